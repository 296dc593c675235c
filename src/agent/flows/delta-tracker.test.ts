import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DeltaTracker } from "./delta-tracker.ts";

const key = fc.constantFrom("a", "b", "c", "d");
const value = fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined });
const step = fc.oneof(
  fc.record({ kind: fc.constant("desired" as const), key, value }),
  fc.record({ kind: fc.constant("actual" as const), key, value }),
  fc.record({
    kind: fc.constant("replace" as const),
    entries: fc.uniqueArray(fc.tuple(key, fc.integer({ min: 1, max: 2 })), {
      selector: ([name]) => name,
    }),
  }),
);

test("after any calls the pending changes lead from the actual to the desired, and nothing equal is touched", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const tracker = new DeltaTracker<number>((a, b) => a === b);
      for (const one of steps) {
        if (one.kind === "desired") tracker.setDesired(one.key, one.value);
        else if (one.kind === "actual") tracker.setActual(one.key, one.value);
        else tracker.replaceActual(one.entries);
        const result = new Map(tracker.actual);
        for (const [name, held] of tracker.deletions) {
          assert.equal(held, tracker.actual.get(name));
          result.delete(name);
        }
        for (const [name, wanted] of tracker.updates) {
          assert.notEqual(wanted, tracker.actual.get(name));
          result.set(name, wanted);
        }
        assert.deepEqual(result, new Map(tracker.desired));
        assert.equal(tracker.settled, tracker.updates.size + tracker.deletions.size === 0);
      }
    }),
  );
});
