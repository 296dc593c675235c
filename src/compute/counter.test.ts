import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CompactSet } from "./compact-set.ts";
import { Counter } from "./counter.ts";
import { Multimap } from "./multimap.ts";

/** Enough different values to go through every way of storing and back. */
const values = fc.constantFrom(...Array.from({ length: 14 }, (_, index) => `value-${index}`));
const steps = fc.array(fc.record({ value: values, added: fc.boolean() }), { maxLength: 80 });

test("a compact set holds what a set holds", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const compact = new CompactSet<string>();
      const plain = new Set<string>();
      for (const { value, added } of list) {
        if (added) compact.add(value);
        else compact.delete(value);
        if (added) plain.add(value);
        else plain.delete(value);
        assert.equal(compact.size, plain.size);
        assert.equal(compact.has(value), added);
        assert.deepEqual(new Set(compact), plain);
      }
    }),
  );
});

test("a counter tells the first and the last use", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const counter = new Counter<string>();
      const counts = new Map<string, number>();
      for (const { value, added } of list) {
        const before = counts.get(value) ?? 0;
        const after = added ? before + 1 : Math.max(0, before - 1);
        if (after === 0) counts.delete(value);
        else counts.set(value, after);
        const told = added ? counter.add(value) : counter.remove(value);
        assert.equal(told, added ? before === 0 : before === 1);
        assert.equal(counter.has(value), after > 0);
        assert.equal(counter.isEmpty, counts.size === 0);
        assert.deepEqual(new Set(counter.keys()), new Set(counts.keys()));
      }
    }),
  );
});

test("a multimap holds sets of values and forgets keys without values", () => {
  const key = fc.constantFrom("a", "b");
  const entries = fc.array(fc.record({ key, value: values, added: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(entries, (list) => {
      const multimap = new Multimap<string, string>();
      const plain = new Map([
        ["a", new Set<string>()],
        ["b", new Set<string>()],
      ]);
      for (const each of list) {
        if (each.added) multimap.add(each.key, each.value);
        else multimap.delete(each.key, each.value);
        const set = plain.get(each.key);
        if (each.added) set?.add(each.value);
        else set?.delete(each.value);
        assert.deepEqual(new Set(multimap.get(each.key)), set);
        assert.equal(multimap.count(each.key), set?.size);
        assert.equal(multimap.has(each.key, each.value), each.added);
      }
      assert.equal(multimap.size, [...plain.values()].filter((set) => set.size > 0).length);
    }),
  );
});
