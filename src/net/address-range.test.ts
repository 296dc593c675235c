import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddress } from "./address.ts";
import {
  formatRange,
  rangeContains,
  rangeLength,
  rangesOverlap,
  tryParseRange,
} from "./address-range.ts";

test("a range is a CIDR or its first and last address, both included", () => {
  const cases = [
    ["192.0.2.0/28", "192.0.2.0-192.0.2.15", 16n],
    ["192.0.2.5/28", "192.0.2.0-192.0.2.15", 16n],
    ["192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.20", 11n],
    ["192.0.2.10 - 192.0.2.10", "192.0.2.10-192.0.2.10", 1n],
    ["2001:db8::/126", "2001:db8::-2001:db8::3", 4n],
    ["2001:db8::1-2001:db8::ff", "2001:db8::1-2001:db8::ff", 255n],
  ] as const;
  for (const [text, formatted, length] of cases) {
    const range = tryParseRange(text);
    assert.ok(range !== undefined, text);
    assert.equal(formatRange(range), formatted);
    assert.equal(rangeLength(range), length);
  }
});

test("what is no range is none", () => {
  const wrong = ["", "192.0.2.1", "192.0.2.20-192.0.2.10", "192.0.2.1-2001:db8::1", "a-b", "1-2-3"];
  for (const text of wrong) assert.equal(tryParseRange(text), undefined, text);
});

test("ranges know their addresses and one another", () => {
  const of = (text: string) => tryParseRange(text)!;
  assert.ok(rangeContains(of("192.0.2.0/28"), parseAddress("192.0.2.15")));
  assert.ok(!rangeContains(of("192.0.2.0/28"), parseAddress("192.0.2.16")));
  assert.ok(!rangeContains(of("0.0.0.0/0"), parseAddress("::1")));
  assert.ok(rangesOverlap(of("192.0.2.0/28"), of("192.0.2.15-192.0.2.30")));
  assert.ok(!rangesOverlap(of("192.0.2.0/28"), of("192.0.2.16/28")));
  assert.ok(!rangesOverlap(of("0.0.0.0/0"), of("::/0")));
});
