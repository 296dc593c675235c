// What every store must do, whatever keeps its state. Each implementation's test runs this suite.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CompactedError, FutureRevisionError, UnavailableError } from "./errors.ts";
import type { Store, StoreEvent, WatchBatch, WatchRequest } from "./store.ts";

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** Lets time pass for leases. */
  advance(ms: number): Promise<void>;
}

type Open = () => StoreUnderTest;

export function describeStore(name: string, open: Open): void {
  describe(name, () => {
    testTransactions(open);
    testRanges(open);
    testWatches(open);
    testCompaction(open);
    testLeases(open);
    testEnd(open);
  });
}

/** Puts one key and returns the revision. */
export async function put(store: Store, key: string, value: string): Promise<number> {
  return (await store.transact({ success: [{ kind: "put", key, value }] })).revision;
}

async function remove(store: Store, key: string): Promise<number> {
  return (await store.transact({ success: [{ kind: "delete", key }] })).revision;
}

/** Reads batches until everything up to the store's present has come. */
async function watchUntilNow(store: Store, request: WatchRequest): Promise<WatchBatch[]> {
  const now = await store.currentRevision();
  const watcher = store.watch(request);
  watcher.requestProgress();
  const batches: WatchBatch[] = [];
  for await (const batch of watcher) {
    batches.push(batch);
    if (batch.revision >= now) break;
  }
  return batches;
}

function describeEvents(batches: readonly WatchBatch[]): string[] {
  return batches
    .flatMap((batch) => batch.events)
    .map((event: StoreEvent) =>
      event.kind === "put"
        ? `put ${event.entry.key}=${event.entry.value} was ${event.previous?.value}`
        : `delete ${event.entry.key} was ${event.entry.value}`,
    );
}

function testTransactions(open: Open): void {
  test("a key remembers when it was created, when it was changed and how often", async () => {
    await using under = open();
    const { store } = under;
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
  });

  test("all writes of a transaction share one revision, and reads alone use none", async () => {
    await using under = open();
    const { store } = under;
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
  });

  test("compare-and-swap over several keys runs one side or the other", async () => {
    await using under = open();
    const { store } = under;
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
  });

  test("of many swaps that begin together exactly one wins", async () => {
    await using under = open();
    const { store } = under;
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
  });

  test("a transaction that writes a key twice is refused and changes nothing", async () => {
    await using under = open();
    const twice = { kind: "put", key: "a", value: "1" } as const;
    await assert.rejects(under.store.transact({ success: [twice, twice] }), TypeError);
    assert.equal(await under.store.get("a"), undefined);
  });
}

function testRanges(open: Open): void {
  test("a range has the keys of its prefix in order, and no others", async () => {
    await using under = open();
    const { store } = under;
    for (const key of ["p/b", "p/a", "p", "p0", "o/z", "p/c", "p/"]) await put(store, key, key);
    const { entries } = await store.range({ prefix: "p/" });
    assert.deepEqual(
      entries.map((entry) => entry.key),
      ["p/", "p/a", "p/b", "p/c"],
    );
  });

  test("pages at one revision show that revision, whatever is written meanwhile", async () => {
    await using under = open();
    const { store } = under;
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
  });

  test("a limit that is just met leaves no more", async () => {
    await using under = open();
    await put(under.store, "k/1", "");
    await put(under.store, "k/2", "");
    assert.equal((await under.store.range({ prefix: "k/", limit: 2 })).more, false);
    assert.equal((await under.store.range({ prefix: "k/", limit: 1 })).more, true);
  });

  test("a revision that has not happened cannot be read or watched", async () => {
    await using under = open();
    const { store } = under;
    const future = (await store.currentRevision()) + 1;
    await assert.rejects(store.range({ prefix: "", revision: future }), FutureRevisionError);
    await assert.rejects(store.get("a", future), FutureRevisionError);
    await assert.rejects(
      watchUntilNow(store, { prefix: "", startRevision: future + 1 }),
      FutureRevisionError,
    );
  });
}

function testWatches(open: Open): void {
  test("a watch from a revision delivers all that happened to its prefix, in order", async () => {
    await using under = open();
    const { store } = under;
    const startRevision = await put(store, "w/a", "1");
    await put(store, "other", "x");
    await put(store, "w/a", "2");
    await put(store, "w/b", "1");
    await remove(store, "w/a");
    const batches = await watchUntilNow(store, { prefix: "w/", startRevision });
    assert.deepEqual(describeEvents(batches), [
      "put w/a=1 was undefined",
      "put w/a=2 was 1",
      "put w/b=1 was undefined",
      "delete w/a was 2",
    ]);
    const resumed = await watchUntilNow(store, { prefix: "w/", startRevision: startRevision + 3 });
    assert.deepEqual(describeEvents(resumed), ["put w/b=1 was undefined", "delete w/a was 2"]);
  });

  test("a watch without a revision begins after the present", async () => {
    await using under = open();
    const { store } = under;
    await put(store, "w/a", "1");
    const watcher = store.watch({ prefix: "w/" });
    await put(store, "w/b", "2");
    for await (const batch of watcher) {
      assert.deepEqual(describeEvents([batch]), ["put w/b=2 was undefined"]);
      break;
    }
  });

  test("events of one transaction come in one batch", async () => {
    await using under = open();
    const { store } = under;
    const startRevision = (await store.currentRevision()) + 1;
    const success = Array.from(
      { length: 1500 },
      (_, index) => ({ kind: "put", key: `w/${index}`, value: "" }) as const,
    );
    await put(store, "w/before", "");
    await store.transact({ success });
    await put(store, "w/after", "");
    const batches = await watchUntilNow(store, { prefix: "w/", startRevision });
    assert.equal(batches.flatMap((batch) => batch.events).length, 1502);
    for (const [index, batch] of batches.entries()) {
      assert.ok(batch.events.every((event) => event.revision <= batch.revision));
      const next = batches[index + 1]?.events[0];
      assert.ok(next === undefined || next.revision > batch.revision);
    }
  });

  test("progress is reported past events of other prefixes", async () => {
    await using under = open();
    const { store } = under;
    const watcher = store.watch({ prefix: "quiet/" });
    const iterator = watcher[Symbol.asyncIterator]();
    const first = iterator.next();
    const revision = await put(store, "loud/a", "1");
    watcher.requestProgress();
    assert.deepEqual(await first, { done: false, value: { revision, events: [] } });
    watcher.close();
    assert.equal((await iterator.next()).done, true);
  });

  test("many watchers of different speeds see the same events", async () => {
    await using under = open();
    const { store } = under;
    const startRevision = (await store.currentRevision()) + 1;
    const read = async (every: number): Promise<string[]> => {
      const seen: WatchBatch[] = [];
      for await (const batch of store.watch({ prefix: "w/", startRevision })) {
        seen.push(batch);
        if (batch.events.some((event) => event.entry.key === "w/end")) break;
        for (let turn = 0; turn < every; turn++) await new Promise(setImmediate);
      }
      return describeEvents(seen);
    };
    const readers = [0, 1, 5].map((every) => read(every));
    for (let index = 0; index < 200; index++) await put(store, `w/${index % 7}`, String(index));
    await put(store, "w/end", "");
    const [fast, ...others] = await Promise.all(readers);
    assert.equal(fast?.length, 201);
    for (const other of others) assert.deepEqual(other, fast);
  });
}

function testCompaction(open: Open): void {
  test("below the compacted revision nothing can be read or watched; the present stays", async () => {
    await using under = open();
    const { store } = under;
    const first = await put(store, "a", "1");
    await put(store, "b", "1");
    await remove(store, "b");
    const compacted = await put(store, "a", "2");
    await put(store, "a", "3");
    await store.compact(compacted);
    assert.equal(await store.compactedRevision(), compacted);
    assert.equal((await store.get("a"))?.value, "3");
    assert.equal((await store.get("a", compacted))?.value, "2");
    await assert.rejects(store.get("a", first), CompactedError);
    await assert.rejects(store.range({ prefix: "", revision: first }), CompactedError);
    await assert.rejects(
      watchUntilNow(store, { prefix: "", startRevision: first + 1 }),
      CompactedError,
    );
    const after = await watchUntilNow(store, { prefix: "", startRevision: compacted + 1 });
    assert.deepEqual(describeEvents(after), ["put a=3 was 2"]);
  });

  test("a deleted key is gone after compaction and can be made again", async () => {
    await using under = open();
    const { store } = under;
    await put(store, "a", "1");
    const deleted = await remove(store, "a");
    await store.compact(deleted);
    assert.deepEqual((await store.range({ prefix: "" })).entries, []);
    const again = await put(store, "a", "2");
    assert.equal((await store.get("a"))?.createRevision, again);
  });

  test("compacting again, or to the past, changes nothing; to the future is refused", async () => {
    await using under = open();
    const { store } = under;
    const revision = await put(store, "a", "1");
    await store.compact(revision);
    await store.compact(revision - 1);
    assert.equal(await store.compactedRevision(), revision);
    await assert.rejects(store.compact(revision + 1), FutureRevisionError);
  });
}

function testLeases(open: Open): void {
  test("keys die with their lease, in one revision, and watchers see it", async () => {
    await using under = open();
    const { store } = under;
    const lease = await store.grantLease(1000);
    const success = ["l/a", "l/b"].map((key) => ({ kind: "put", key, value: "1", lease }) as const);
    const { revision } = await store.transact({ success });
    await under.advance(900);
    assert.equal((await store.get("l/a"))?.lease, lease);
    await under.advance(200);
    assert.deepEqual((await store.range({ prefix: "l/" })).entries, []);
    assert.equal(await store.currentRevision(), revision + 1);
    const events = await watchUntilNow(store, { prefix: "l/", startRevision: revision + 1 });
    assert.deepEqual(describeEvents(events), ["delete l/a was 1", "delete l/b was 1"]);
  });

  test("a lease that is kept alive does not expire", async () => {
    await using under = open();
    const { store } = under;
    const lease = await store.grantLease(1000);
    await store.transact({ success: [{ kind: "put", key: "a", value: "1", lease }] });
    for (let turn = 0; turn < 5; turn++) {
      await under.advance(800);
      await store.keepLeaseAlive(lease);
    }
    assert.notEqual(await store.get("a"), undefined);
  });

  test("a key written without its lease outlives it", async () => {
    await using under = open();
    const { store } = under;
    const lease = await store.grantLease(1000);
    await store.transact({ success: [{ kind: "put", key: "a", value: "1", lease }] });
    await put(store, "a", "2");
    await store.revokeLease(lease);
    assert.equal((await store.get("a"))?.value, "2");
  });

  test("a lease that is gone is not found", async () => {
    await using under = open();
    const { store } = under;
    const lease = await store.grantLease(1000);
    await store.revokeLease(lease);
    const gone = { name: "LeaseNotFoundError" };
    await assert.rejects(store.keepLeaseAlive(lease), gone);
    await assert.rejects(store.revokeLease(lease), gone);
    await assert.rejects(
      store.transact({ success: [{ kind: "put", key: "a", value: "1", lease }] }),
      gone,
    );
    assert.notEqual(await store.grantLease(1000), lease, "ids are not used twice");
  });
}

function testEnd(open: Open): void {
  test("closing ends watches, keeps what was begun and refuses the rest", async () => {
    await using under = open();
    const { store } = under;
    const iterator = store.watch({ prefix: "" })[Symbol.asyncIterator]();
    const writes = Array.from({ length: 20 }, (_, index) => put(store, `k${index}`, ""));
    await store.close();
    const revisions = await Promise.all(writes);
    assert.equal(new Set(revisions).size, 20);
    for (;;) if ((await iterator.next()).done === true) break;
    await assert.rejects(put(store, "a", "1"), UnavailableError);
    await store.close();
  });
}
