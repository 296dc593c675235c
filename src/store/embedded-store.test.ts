import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { put } from "./contract/helpers.ts";
import { EmbeddedStore } from "./embedded-store.ts";
import { CompactedError, UnavailableError } from "./errors.ts";
import { type Change, makeVolatileJournal } from "./journal.ts";
import { openMemoryStore } from "./memory-store.ts";

test("a write that the journal refuses is not seen by anyone, and the store goes on", async () => {
  let full = false;
  const journal = {
    ...makeVolatileJournal(1),
    append() {
      if (full) throw new Error("disk full");
    },
  };
  const store = new EmbeddedStore(journal);
  const revision = await put(store, "a", "1");
  full = true;
  const writes = [put(store, "a", "2"), put(store, "b", "2")];
  for (const write of writes) await assert.rejects(write, UnavailableError);
  assert.equal(await store.currentRevision(), revision);
  assert.equal((await store.get("a"))?.value, "1");
  full = false;
  assert.equal(await put(store, "a", "3"), revision + 1);
  const watcher = store.watch({ prefix: "", startRevision: revision });
  for await (const { events } of watcher) {
    assert.deepEqual(
      events.map((event) => event.entry.value),
      ["1", "3"],
    );
    break;
  }
  await store.close();
});

test("compaction drops every change that nobody can read any more, a deletion's own too", async () => {
  const dropped: string[] = [];
  const journal = {
    ...makeVolatileJournal(1),
    drop: (changes: readonly Change[]) => {
      dropped.push(...changes.map(({ key, revision }) => `${key} ${revision}`));
    },
  };
  const store = new EmbeddedStore(journal);
  await put(store, "kept", "1");
  await put(store, "kept", "2");
  await put(store, "gone", "1");
  const { revision } = await store.transact({ success: [{ kind: "delete", key: "gone" }] });
  await put(store, "kept", "3");
  await store.compact(revision);
  assert.deepEqual(dropped, ["kept 2", "gone 4", "gone 5"]);
  await store.close();
});

type Step =
  | { readonly kind: "put" | "delete"; readonly keys: readonly string[] }
  | { readonly kind: "compact"; readonly share: number };

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constantFrom("put" as const, "put" as const, "delete" as const),
      keys: fc.uniqueArray(fc.constantFrom("a/1", "a/2", "a/3", "b/1", "b"), { minLength: 1 }),
    }),
    fc.record({
      kind: fc.constant("compact" as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  ),
  { maxLength: 60 },
) satisfies fc.Arbitrary<Step[]>;

test("every kept revision reads as a copy that was made at that time", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const store = openMemoryStore();
      /** By revision: the whole state. */
      const copies = new Map([[1, new Map<string, string>()]]);
      let [revision, compacted] = [1, 1];
      for (const [index, step] of list.entries()) {
        if (step.kind === "compact") {
          compacted = Math.max(compacted, Math.floor(revision * step.share));
          await store.compact(compacted);
          continue;
        }
        const state = new Map(copies.get(revision));
        const success = step.keys.map((key) => {
          if (step.kind === "delete") state.delete(key);
          else state.set(key, `${key} ${index}`);
          return step.kind === "delete"
            ? ({ kind: "delete", key } as const)
            : ({ kind: "put", key, value: `${key} ${index}` } as const);
        });
        ({ revision } = await store.transact({ success }));
        copies.set(revision, state);
      }
      for (const [at, state] of copies) {
        const read = store.range({ prefix: "a/", revision: at });
        if (at < compacted) {
          await assert.rejects(read, CompactedError);
          continue;
        }
        const wanted = [...state].filter(([key]) => key.startsWith("a/"));
        assert.deepEqual(
          (await read).entries.map(({ key, value }) => [key, value]),
          wanted.toSorted(([a], [b]) => (a < b ? -1 : 1)),
        );
      }
      await store.close();
    }),
    { numRuns: 100 },
  );
});
