import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
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
  await using queue = new WorkQueue({
    reconcile: async () => {
      running += 1;
      assert.equal(running, 1);
      await sleep(5);
      running -= 1;
      runs += 1;
    },
    onError: noError,
    concurrency: 4,
  });
  queue.add("a");
  await turn();
  queue.add("a");
  queue.add("a");
  while (queue.size > 0) await sleep(1);
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

test("closing waits for the work at hand and takes no more", async () => {
  let ended = 0;
  const queue = new WorkQueue({
    reconcile: async () => {
      await sleep(5);
      ended += 1;
    },
    onError: noError,
  });
  queue.add("a");
  queue.add("b");
  await queue[Symbol.asyncDispose]();
  queue.add("c");
  await sleep(10);
  assert.equal(ended, 1);
});
