import assert from "node:assert/strict";
import { CompactedError, FutureRevisionError } from "../errors.ts";
import type { WatchBatch } from "../store.ts";
import { type Contract, describeEvents, put, remove, watchUntilNow } from "./helpers.ts";

/** Watches deliver everything, once, in order. */
export const watches: Contract = {
  "a watch from a revision delivers all that happened to its prefix, in order": async ({
    store,
  }) => {
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
  },

  "a watch without a revision begins after the present": async ({ store }) => {
    await put(store, "w/a", "1");
    const watcher = store.watch({ prefix: "w/" });
    await put(store, "w/b", "2");
    for await (const batch of watcher) {
      assert.deepEqual(describeEvents([batch]), ["put w/b=2 was undefined"]);
      break;
    }
  },

  "events of one transaction come in one batch": async ({ store }) => {
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
  },

  "progress is reported past events of other prefixes": async ({ store }) => {
    const watcher = store.watch({ prefix: "quiet/" });
    const iterator = watcher[Symbol.asyncIterator]();
    const first = iterator.next();
    const revision = await put(store, "loud/a", "1");
    watcher.requestProgress();
    assert.deepEqual(await first, { done: false, value: { revision, events: [] } });
    watcher.close();
    assert.equal((await iterator.next()).done, true);
  },

  "many watchers of different speeds see the same events": async ({ store }) => {
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
  },
};

/** What is forgotten is forgotten for everyone. */
export const compaction: Contract = {
  "a watch that waits is not left behind by compaction of what does not concern it": async ({
    store,
  }) => {
    const iterator = store.watch({ prefix: "quiet/" })[Symbol.asyncIterator]();
    const next = iterator.next();
    await put(store, "loud/a", "1");
    await store.compact(await put(store, "loud/a", "2"));
    const revision = await put(store, "quiet/a", "1");
    assert.equal((await next).value?.revision, revision);
  },

  "below the compacted revision nothing can be read or watched; the present stays": async ({
    store,
  }) => {
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
  },

  "a deleted key is gone after compaction and can be made again": async ({ store }) => {
    await put(store, "a", "1");
    const deleted = await remove(store, "a");
    await store.compact(deleted);
    assert.deepEqual((await store.range({ prefix: "" })).entries, []);
    const again = await put(store, "a", "2");
    assert.equal((await store.get("a"))?.createRevision, again);
  },

  "compacting again, or to the past, changes nothing; to the future is refused": async ({
    store,
  }) => {
    const revision = await put(store, "a", "1");
    await store.compact(revision);
    await store.compact(revision - 1);
    assert.equal(await store.compactedRevision(), revision);
    await assert.rejects(store.compact(revision + 1), FutureRevisionError);
  },
};

/** Keys die with their lease. */
export const leases: Contract = {
  "keys die with their lease, in one revision, and watchers see it": async ({ store, advance }) => {
    const lease = await store.grantLease(1000);
    const success = ["l/a", "l/b"].map((key) => ({ kind: "put", key, value: "1", lease }) as const);
    const { revision } = await store.transact({ success });
    await advance(900);
    assert.equal((await store.get("l/a"))?.lease, lease);
    await advance(200);
    assert.deepEqual((await store.range({ prefix: "l/" })).entries, []);
    assert.equal(await store.currentRevision(), revision + 1);
    const events = await watchUntilNow(store, { prefix: "l/", startRevision: revision + 1 });
    assert.deepEqual(describeEvents(events), ["delete l/a was 1", "delete l/b was 1"]);
  },

  "a lease that is kept alive does not expire": async ({ store, advance }) => {
    const lease = await store.grantLease(1000);
    await store.transact({ success: [{ kind: "put", key: "a", value: "1", lease }] });
    for (let turn = 0; turn < 5; turn++) {
      await advance(800);
      await store.keepLeaseAlive(lease);
    }
    assert.notEqual(await store.get("a"), undefined);
  },

  "a key written without its lease outlives it": async ({ store }) => {
    const lease = await store.grantLease(1000);
    await store.transact({ success: [{ kind: "put", key: "a", value: "1", lease }] });
    await put(store, "a", "2");
    await store.revokeLease(lease);
    assert.equal((await store.get("a"))?.value, "2");
  },

  "a lease that is gone is not found": async ({ store }) => {
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
  },
};
