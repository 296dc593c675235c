import assert from "node:assert/strict";
import { FutureRevisionError, UnavailableError } from "../errors.ts";
import { type Contract, put, remove, watchUntilNow } from "./helpers.ts";

/** Writes are atomic, ordered and counted. */
export const transactions: Contract = {
  "a key remembers when it was created, when it was changed and how often": async ({ store }) => {
    const first = await put(store, "a", "1");
    await put(store, "b", "x");
    const third = await put(store, "a", "2");
    assert.equal(third, first + 2);
    assert.deepEqual(await store.get("a"), {
      key: "a",
      value: "2",
      createRevision: first,
      modRevision: third,
      version: 2,
    });
    await remove(store, "a");
    assert.equal(await store.get("a"), undefined);
    const again = await put(store, "a", "3");
    assert.equal((await store.get("a"))?.createRevision, again);
    assert.equal((await store.get("a"))?.version, 1);
  },

  "all writes of a transaction share one revision, and reads alone use none": async ({ store }) => {
    const before = await store.currentRevision();
    const result = await store.transact({
      success: [
        { kind: "put", key: "a", value: "1" },
        { kind: "get", key: "a" },
        { kind: "put", key: "b", value: "2" },
        { kind: "delete", key: "missing" },
      ],
    });
    assert.equal(result.revision, before + 1);
    assert.deepEqual(
      result.entries.map((entry) => entry?.value),
      ["1", "1", "2", undefined],
    );
    const read = await store.transact({ success: [{ kind: "get", key: "a" }] });
    assert.equal(read.revision, before + 1);
    assert.equal(
      (await store.transact({ success: [{ kind: "delete", key: "no" }] })).revision,
      before + 1,
    );
  },

  "compare-and-swap over several keys runs one side or the other": async ({ store }) => {
    const revision = await put(store, "a", "1");
    const swap = (modRevision: number) =>
      store.transact({
        compare: [
          { key: "a", target: "modRevision", operator: "=", value: modRevision },
          { key: "b", target: "createRevision", operator: "=", value: 0 },
        ],
        success: [{ kind: "put", key: "b", value: "made" }],
        failure: [{ kind: "get", key: "a" }],
      });
    const stale = await swap(revision - 1);
    assert.equal(stale.succeeded, false);
    assert.equal(stale.entries[0]?.value, "1");
    assert.equal(await store.get("b"), undefined);
    assert.equal((await swap(revision)).succeeded, true);
    assert.equal((await swap(revision)).succeeded, false, "b exists now");
  },

  "of many swaps that begin together exactly one wins": async ({ store }) => {
    const revision = await put(store, "a", "0");
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        store.transact({
          compare: [{ key: "a", target: "modRevision", operator: "=", value: revision }],
          success: [{ kind: "put", key: "a", value: String(index) }],
        }),
      ),
    );
    assert.equal(results.filter((result) => result.succeeded).length, 1);
    assert.equal(await store.currentRevision(), revision + 1);
  },

  "a transaction that writes a key twice is refused and changes nothing": async ({ store }) => {
    const twice = { kind: "put", key: "a", value: "1" } as const;
    await assert.rejects(store.transact({ success: [twice, twice] }), TypeError);
    assert.equal(await store.get("a"), undefined);
  },
};

/** Reads are ordered, and consistent at a revision. */
export const ranges: Contract = {
  "a range has the keys of its prefix in order, and no others": async ({ store }) => {
    for (const key of ["p/b", "p/a", "p", "p0", "o/z", "p/c", "p/"]) await put(store, key, key);
    const { entries } = await store.range({ prefix: "p/" });
    assert.deepEqual(
      entries.map((entry) => entry.key),
      ["p/", "p/a", "p/b", "p/c"],
    );
  },

  "pages at one revision show that revision, whatever is written meanwhile": async ({ store }) => {
    const names = Array.from({ length: 25 }, (_, index) => `k/${String(index).padStart(2, "0")}`);
    for (const key of names) await put(store, key, "old");
    const { revision } = await store.range({ prefix: "k/", limit: 1 });
    const seen: string[] = [];
    let from = "k/";
    for (;;) {
      const page = await store.range({ prefix: "k/", from, limit: 10, revision });
      seen.push(...page.entries.map((entry) => `${entry.key}=${entry.value}`));
      await put(store, "k/03", "new");
      await put(store, `k/99${seen.length}`, "new");
      await remove(store, `k/${String(seen.length + 1).padStart(2, "0")}`);
      if (!page.more) break;
      from = `${page.entries.at(-1)?.key}\0`;
    }
    assert.deepEqual(
      seen,
      names.map((key) => `${key}=old`),
    );
  },

  "a limit that is just met leaves no more": async ({ store }) => {
    await put(store, "k/1", "");
    await put(store, "k/2", "");
    assert.equal((await store.range({ prefix: "k/", limit: 2 })).more, false);
    assert.equal((await store.range({ prefix: "k/", limit: 1 })).more, true);
  },

  "a revision that has not happened cannot be read or watched": async ({ store }) => {
    const future = (await store.currentRevision()) + 1;
    await assert.rejects(store.range({ prefix: "", revision: future }), FutureRevisionError);
    await assert.rejects(store.get("a", future), FutureRevisionError);
    await assert.rejects(
      watchUntilNow(store, { prefix: "", startRevision: future + 1 }),
      FutureRevisionError,
    );
  },
};

/** The end. */
export const closing: Contract = {
  "closing ends watches, keeps what was begun and refuses the rest": async ({ store }) => {
    const iterator = store.watch({ prefix: "" })[Symbol.asyncIterator]();
    const writes = Array.from({ length: 20 }, (_, index) => put(store, `k${index}`, ""));
    await store.close();
    const revisions = await Promise.all(writes);
    assert.equal(new Set(revisions).size, 20);
    for (;;) if ((await iterator.next()).done === true) break;
    await assert.rejects(put(store, "a", "1"), UnavailableError);
    await store.close();
  },
};
