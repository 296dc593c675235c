import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { OffsetSet } from "./offset-set.ts";

const offsets = fc.array(fc.nat(400), { maxLength: 200 });

describe("OffsetSet", () => {
  test("reads what it writes, whatever was added and deleted", () => {
    fc.assert(
      fc.property(offsets, offsets, (added, deleted) => {
        const set = new OffsetSet();
        const reference = new Set<number>();
        for (const offset of added) {
          set.add(offset);
          reference.add(offset);
        }
        for (const offset of deleted) {
          set.delete(offset);
          reference.delete(offset);
        }
        const sorted = [...reference].toSorted((a, b) => a - b);
        assert.deepEqual([...set], sorted);
        assert.equal(set.length, reference.size);
        const read = OffsetSet.parse(set.format(), 401);
        assert.deepEqual(read && [...read], sorted);
      }),
    );
  });

  test("finds the first gap", () => {
    fc.assert(
      fc.property(offsets, fc.nat(400), fc.nat(400), (added, begin, end) => {
        const set = new OffsetSet();
        for (const offset of added) set.add(offset);
        const places = Array.from(
          { length: Math.max(0, end - begin) },
          (_, index) => begin + index,
        );
        const expected = places.find((offset) => !added.includes(offset));
        assert.equal(set.firstGap(begin, end), expected);
      }),
    );
  });

  test("writes runs, and refuses what is none", () => {
    const set = OffsetSet.parse("1-3,7,9-10", 100);
    assert.equal(set?.format(), "1-3,7,9-10");
    for (const text of ["1-", "-3", "3-1", "1,,2", "a", "1-100", "0x1", " 1"]) {
      assert.equal(OffsetSet.parse(text, 100), undefined, text);
    }
  });
});
