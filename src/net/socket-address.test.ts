import assert from "node:assert/strict";
import { test } from "node:test";
import { tryParseSocketAddress } from "./socket-address.ts";

test("addresses are read with and without a port", () => {
  const expected: readonly (readonly [string, string | undefined])[] = [
    ["192.0.2.1", "192.0.2.1 53"],
    ["192.0.2.1:5353", "192.0.2.1 5353"],
    ["2001:db8::1", "2001:db8::1 53"],
    ["[2001:DB8::1]:5353", "2001:db8::1 5353"],
    ["192.0.2.1:0", undefined],
    ["192.0.2.1:65536", undefined],
    ["[192.0.2.1]:53", undefined],
    ["192.0.2", undefined],
    ["dns.example", undefined],
    ["", undefined],
  ];
  for (const [text, found] of expected) {
    const parsed = tryParseSocketAddress(text, 53);
    assert.equal(parsed && `${parsed.address} ${parsed.port}`, found, text);
  }
});
