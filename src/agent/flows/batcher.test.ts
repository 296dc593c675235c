import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Batcher } from "./batcher.ts";

test("what is asked for during a run goes into the next one together", async () => {
  const runs: number[][] = [];
  const batcher = new Batcher<number>(async (items) => {
    runs.push([...items]);
    await turn();
  });
  await Promise.all([1, 2, 3, 4].map(async (item) => await batcher.add(item)));
  await batcher.add(5);
  assert.deepEqual(runs, [[1], [2, 3, 4], [5]]);
});

test("an item that cannot be done fails alone", async () => {
  const batcher = new Batcher<number>(async (items) => {
    await turn();
    if (items.includes(3)) throw new Error("three");
  });
  const results = await Promise.allSettled([1, 2, 3, 4].map(async (n) => await batcher.add(n)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled"],
  );
});
