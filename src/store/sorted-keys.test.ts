import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SortedKeys } from "./sorted-keys.ts";

test("it holds what a sorted set holds, whatever comes and goes", () => {
  const key = fc.integer({ min: 0, max: 3000 }).map((number) => `key/${number.toString(36)}`);
  fc.assert(
    fc.property(fc.array(key, { minLength: 500, maxLength: 4000 }), key, (keys, from) => {
      const sorted = new SortedKeys();
      const model = new Set<string>();
      for (const one of keys) {
        // Every second visit of a key takes it away again.
        if (model.delete(one)) sorted.remove(one);
        else {
          model.add(one);
          sorted.add(one);
        }
      }
      const all = [...model].toSorted((a, b) => (a < b ? -1 : 1));
      assert.deepEqual([...sorted.from("")], all);
      assert.deepEqual(
        [...sorted.from(from)],
        all.filter((one) => one >= from),
      );
    }),
    { numRuns: 30 },
  );
});
