import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { WorkQueue } from "./work-queue.ts";

const noError = (): void => assert.fail("no failure was expected");

test("a key added many times before its turn is worked on once, in order of arrival", async () => {
  const worked: string[] = [];
  await using queue = new WorkQueue({
    reconcile: async (key) => {
      await turn();
      worked.push(key);
    },
    onError: noError,
  });
  for (const key of ["a", "b", "c", "b", "c", "b"]) queue.add(key);
  while (queue.size > 0) await turn();
  assert.deepEqual(worked, ["a", "b", "c"]);
});

test("a key is never worked on twice at once, and again when it was added meanwhile", async () => {
  let running = 0;
  let runs = 0;
  const gate = Promise.withResolvers<undefined>();
  await using queue = new WorkQueue({
    reconcile: async () => {
      running += 1;
      assert.equal(running, 1);
      await gate.promise;
      running -= 1;
      runs += 1;
    },
    onError: noError,
    concurrency: 4,
  });
  for (let added = 0; added < 3; added++) queue.add("a");
  gate.resolve(undefined);
  while (queue.size > 0) await turn();
  assert.equal(runs, 2);
});

test("a failed key is tried again until it succeeds", async () => {
  const attempts: number[] = [];
  let left = 3;
  const { promise: succeeded, resolve } = Promise.withResolvers<undefined>();
  await using queue = new WorkQueue({
    reconcile: async () => {
      await turn();
      if (left-- > 0) throw new Error("not yet");
      resolve(undefined);
    },
    onError: (_key, _error, attempt) => attempts.push(attempt),
    firstDelayMs: 1,
  });
  queue.add("a");
  await succeeded;
  assert.deepEqual(attempts, [1, 2, 3]);
});

test("a key that rests before its next attempt still counts", async () => {
  const sizes: number[] = [];
  await using queue = new WorkQueue({
    reconcile: async () => {
      await turn();
      if (sizes.length === 0) throw new Error("not yet");
    },
    onError: () => setImmediate(() => sizes.push(queue.size)),
    firstDelayMs: 50,
  });
  queue.add("a");
  while (queue.size > 0) await turn();
  assert.deepEqual(sizes, [1]);
});

test("who waits for a key is told of a success that began later, after failures too", async () => {
  const told: string[] = [];
  const gates = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const runs: number[] = [];
  await using queue = new WorkQueue({
    reconcile: async () => {
      const run = runs.push(runs.length) - 1;
      await gates[run]?.promise;
      if (run === 1) throw new Error("not yet");
    },
    onError: () => told.push("failed"),
    firstDelayMs: 1,
  });
  queue.add("a");
  const performed = queue.perform("a").then(() => told.push(`after run ${runs.length}`));
  gates[0]?.resolve(undefined);
  while (runs.length < 2) await turn();
  assert.deepEqual(told, []);
  gates[1]?.resolve(undefined);
  await performed;
  assert.deepEqual(told, ["failed", "after run 3"]);
});

test("closing waits for the work at hand and takes no more", async () => {
  const worked: string[] = [];
  const gate = Promise.withResolvers<undefined>();
  const queue = new WorkQueue({
    reconcile: async (key) => {
      await gate.promise;
      worked.push(key);
    },
    onError: noError,
  });
  queue.add("a");
  queue.add("b");
  const closed = queue[Symbol.asyncDispose]();
  queue.add("c");
  gate.resolve(undefined);
  await closed;
  await turn();
  assert.deepEqual(worked, ["a"]);
});
