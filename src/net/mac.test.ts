import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { AddressError } from "./errors.ts";
import { formatMac, parseMac } from "./mac.ts";

describe("MAC addresses", () => {
  test("the first octet is the most significant", () => {
    assert.equal(parseMac("0a:00:00:00:00:01"), 0x0a0000000001n);
    assert.equal(formatMac(0x0a0000000001n), "0a:00:00:00:00:01");
    assert.equal(formatMac(0n), "00:00:00:00:00:00");
  });

  test("capital letters are read and small ones written", () => {
    assert.equal(formatMac(parseMac("AA:BB:CC:DD:EE:FF")), "aa:bb:cc:dd:ee:ff");
  });

  test("every MAC address survives being written and parsed", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 48n) - 1n }), (mac) => {
        assert.equal(parseMac(formatMac(mac)), mac);
      }),
    );
  });

  for (const text of [
    "",
    "0a:00:00:00:00",
    "0a:00:00:00:00:01:02",
    "0a-00-00-00-00-01",
    "a:0:0:0:0:1",
    "0a:00:00:00:00:0g",
    "0a0000000001",
    "0a:00:00:00:00:01\n",
  ]) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(() => parseMac(text), AddressError);
    });
  }
});
