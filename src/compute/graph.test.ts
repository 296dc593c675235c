import { test } from "node:test";
import fc from "fast-check";
import { type Change, changeArbitrary, clusterArbitrary } from "../../test/compute/arbitrary.ts";
import { Harness } from "../../test/compute/harness.ts";
import { World } from "../../test/compute/world.ts";

const batches = fc.array(fc.array(changeArbitrary, { minLength: 1, maxLength: 5 }), {
  maxLength: 15,
});

test("after random changes every node has what the definition says, and was told exactly that", () => {
  fc.assert(
    fc.property(batches, (list) => {
      const harness = new Harness();
      for (const batch of list) {
        harness.apply(batch);
        harness.flush();
      }
      harness.clear();
    }),
    { numRuns: 300 },
  );
});

/** What leads from one state to the next: first what is gone, then what is new or other. */
function steps(from: World, to: World): readonly Change[] {
  const kept = new Set([...to.changes()].map(({ kind, id }) => `${kind}/${id}`));
  const gone = [...from.changes()].filter(({ kind, id }) => !kept.has(`${kind}/${id}`));
  return [...gone.map((each) => ({ ...each, value: undefined })), ...to.changes()];
}

/** The same states reached in other ways. */
const expanders: Readonly<Record<string, (states: readonly World[]) => readonly World[]>> = {
  "in order": (states) => states,
  "in reverse order": (states) => states.toReversed(),
  "with nothing in between": (states) => states.flatMap((state) => [state, new World()]),
  "each twice": (states) => states.flatMap((state) => [state, state]),
  "there and back": (states) => [...states, ...states.toReversed()],
};

/** Ways to tell the steps from one state to the next. */
const tellers: Readonly<Record<string, (harness: Harness, changes: readonly Change[]) => void>> = {
  "at once": (harness, changes) => {
    harness.apply(changes);
    harness.flush();
  },
  "at once and backwards": (harness, changes) => {
    harness.apply(changes.toReversed());
    harness.flush();
  },
  "one by one": (harness, changes) => {
    for (const change of changes) {
      harness.apply([change]);
      harness.flush();
    }
  },
  "with repetitions and detours": (harness, changes) => {
    for (const change of changes) {
      harness.apply([change, { ...change, value: undefined }, change]);
    }
    harness.flush();
    harness.apply(changes);
    harness.flush();
  },
  "without a flush": (harness, changes) => {
    harness.apply(changes);
  },
};

const parts = fc.tuple(clusterArbitrary, fc.infiniteStream(fc.integer({ min: 0, max: 3 })));

/** Three of four objects of a random cluster. */
const stateArbitrary = parts.map(([changes, dice]) =>
  World.of(changes.filter(() => dice.next().value !== 0)),
);

for (const [order, expand] of Object.entries(expanders)) {
  for (const [manner, tell] of Object.entries(tellers)) {
    test(`states told ${order}, ${manner}, leave what the last one defines`, () => {
      const states = fc.array(stateArbitrary, { minLength: 1, maxLength: 3 });
      const property = fc.property(states, (list) => {
        const harness = new Harness();
        let current = new World();
        for (const next of expand(list)) {
          tell(harness, steps(current, next));
          current = next;
        }
        harness.flush();
        harness.clear();
      });
      fc.assert(property, { numRuns: 15 });
    });
  }
}
