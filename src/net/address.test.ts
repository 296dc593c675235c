import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  type Address,
  type Family,
  formatAddress,
  formatPrefix,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixMask,
  prefixOf,
  tryParseAddress,
  tryParsePrefix,
  widthOf,
} from "./address.ts";
import { AddressError } from "./errors.ts";

const families: readonly Family[] = [4, 6];

const addresses: fc.Arbitrary<Address> = fc
  .constantFrom(...families)
  .chain((family) =>
    fc
      .bigInt({ min: 0n, max: (1n << BigInt(widthOf(family))) - 1n })
      .map((bits) => ({ family, bits })),
  );

/** Texts near the grammar: groups, octets and separators in any order. */
const nearlyAddresses = fc
  .array(
    fc.constantFrom(
      ":",
      "::",
      ".",
      "0",
      "1",
      "00",
      "ff",
      "255",
      "256",
      "01",
      "ffff",
      "10000",
      "1.2.3.4",
      "%0",
      "g",
    ),
    {
      maxLength: 16,
    },
  )
  .map((parts) => parts.join(""));

/** Eight or fewer groups with at most one gap, and perhaps an IPv4 end: mostly valid. */
const likelyV6 = fc
  .record({
    head: fc.array(fc.constantFrom("0", "1", "ab", "FFFF", "00a0", "1.2.3.4"), { maxLength: 8 }),
    gap: fc.boolean(),
    tail: fc.array(fc.constantFrom("0", "2", "cd", "1.2.3.4"), { maxLength: 8 }),
  })
  .map(({ head, gap, tail }) => `${head.join(":")}${gap ? "::" : ":"}${tail.join(":")}`);

describe("addresses", () => {
  const table: [string, bigint, string][] = [
    ["0.0.0.0", 0n, "0.0.0.0"],
    ["10.0.0.1", 0x0a000001n, "10.0.0.1"],
    ["255.255.255.255", 0xffffffffn, "255.255.255.255"],
    ["::", 0n, "::"],
    ["::1", 1n, "::1"],
    ["1::", 1n << 112n, "1::"],
    ["2001:DB8:0:0:0:0:0:1", 0x20010db8000000000000000000000001n, "2001:db8::1"],
    ["0:0:0:0:0:0:0:0", 0n, "::"],
    ["::ffff:192.0.2.1", 0xffffc0000201n, "::ffff:c000:201"],
    ["1:2:3:4:5:6:1.2.3.4", 0x00010002000300040005000601020304n, "1:2:3:4:5:6:102:304"],
  ];
  for (const [text, bits, canonical] of table) {
    test(`${text} is parsed and written as ${canonical}`, () => {
      const address = parseAddress(text);
      assert.deepEqual(address, { family: text.includes(":") ? 6 : 4, bits });
      assert.equal(formatAddress(address), canonical);
    });
  }

  const written: [string, string][] = [
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:0:1:0:0:0:0:0", "0:0:1::"],
    ["1:0:0:0:0:0:0:0", "1::"],
  ];
  for (const [text, canonical] of written) {
    test(`${text} is written as ${canonical} (RFC 5952 section 4.2)`, () => {
      assert.equal(formatAddress(parseAddress(text)), canonical);
    });
  }

  const refused = [
    "",
    " ",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.04",
    "1.2.3.-4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    ":::",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "1.2.3.4::1",
    "1:1.2.3.4::1",
    "::ffff:1.2.3.04",
  ];
  for (const text of refused) {
    test(`"${text}" is refused`, () => {
      assert.throws(() => parseAddress(text), AddressError);
      assert.equal(tryParseAddress(text), undefined);
    });
  }

  test("whatever the text, it is accepted exactly where Node accepts it", () => {
    fc.assert(
      fc.property(fc.oneof(nearlyAddresses, likelyV6, fc.string()), (text) => {
        fc.pre(!text.includes("%"));
        assert.equal(tryParseAddress(text)?.family ?? 0, isIP(text));
      }),
      { numRuns: 3000 },
    );
  });

  test("every address survives being written and parsed", () => {
    fc.assert(
      fc.property(addresses, (address) => {
        assert.deepEqual(parseAddress(formatAddress(address)), address);
      }),
    );
  });

  test("IPv6 is written as URLs write it", () => {
    // Few different groups make runs of zeros likely.
    const groups = fc.array(fc.constantFrom("0", "0", "1", "ab"), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, (parts) => {
        const text = parts.join(":");
        assert.equal(
          `[${formatAddress(parseAddress(text))}]`,
          new URL(`http://[${text}]`).hostname,
        );
      }),
    );
  });
});

describe("prefixes", () => {
  test("host bits are cleared", () => {
    assert.equal(formatPrefix(parsePrefix("10.1.2.3/8")), "10.0.0.0/8");
    assert.equal(formatPrefix(parsePrefix("2001:db8::1/33")), "2001:db8::/33");
    assert.equal(formatPrefix(parsePrefix("255.255.255.255/0")), "0.0.0.0/0");
    assert.equal(formatPrefix(parsePrefix("10.1.2.3/32")), "10.1.2.3/32");
  });

  for (const text of [
    "",
    "/",
    "10.0.0.0",
    "10.0.0.0/",
    "/8",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/08",
    "10.0.0.0/+8",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "10.0.0.0/-1",
    "10.0.0.0/ 8",
  ]) {
    test(`"${text}" is refused`, () => {
      assert.throws(() => parsePrefix(text), AddressError);
      assert.equal(tryParsePrefix(text), undefined);
    });
  }

  test("a mask has as many leading ones as it is long", () => {
    for (const family of families) {
      const width = widthOf(family);
      for (let length = 0; length <= width; length++) {
        const digits = prefixMask(family, length).toString(2).padStart(width, "0");
        assert.equal(digits, "1".repeat(length) + "0".repeat(width - length));
      }
    }
  });

  test("a prefix contains what shares its leading bits and nothing else", () => {
    fc.assert(
      fc.property(
        addresses.chain((address) =>
          fc.tuple(fc.constant(address), fc.nat({ max: widthOf(address.family) })),
        ),
        fc.nat(),
        ([address, length], bit) => {
          const { family, bits } = address;
          const width = widthOf(family);
          const place = bit % width;
          const flipped = { family, bits: bits ^ (1n << BigInt(width - 1 - place)) };
          const prefix = prefixOf(address, length);
          assert.ok(prefixContains(prefix, address));
          assert.equal(prefixContains(prefix, flipped), place >= length);
        },
      ),
    );
  });

  test("a prefix contains itself and its parts, and not what is wider or of the other family", () => {
    const ten = parsePrefix("10.0.0.0/8");
    assert.ok(prefixContains(ten, ten));
    assert.ok(prefixContains(ten, parsePrefix("10.255.0.0/16")));
    assert.ok(!prefixContains(ten, parsePrefix("10.0.0.0/7")));
    assert.ok(!prefixContains(ten, parsePrefix("0.0.0.0/0")));
    assert.ok(!prefixContains(parsePrefix("::/0"), ten));
    assert.ok(!prefixContains(parsePrefix("0.0.0.0/0"), parseAddress("::1")));
  });
});
