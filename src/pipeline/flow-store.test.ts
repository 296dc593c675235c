import assert from "node:assert/strict";
import { test } from "node:test";
import type { Flow } from "../openflow/flow.ts";
import { FlowStore } from "./flow-store.ts";

function flow(priority: number, next?: number): Flow {
  const gotoTable = next === undefined ? {} : { gotoTable: next };
  return { table: 0, priority, cookie: 0n, match: [], actions: [], ...gotoTable };
}

test("changes are the difference to the last look, whatever came between", () => {
  const store = new FlowStore();
  store.setUnit("a", [flow(1), flow(2)]);
  store.setUnit("a", [flow(2), flow(3)]);
  assert.deepEqual(store.takeChanges(), { upserts: [flow(2), flow(3)], deletes: [] });
  store.setUnit("a", [flow(3, 9)]);
  store.setUnit("a", [flow(2), flow(3, 7)]);
  assert.deepEqual(store.takeChanges(), { upserts: [flow(3, 7)], deletes: [] });
  store.setUnit("a", []);
  assert.deepEqual(store.takeChanges(), { upserts: [], deletes: [flow(2), flow(3, 7)] });
  assert.equal(store.size, 0);
});

test("an entry may move from one unit to another in either order", () => {
  for (const order of [
    ["from", "to"],
    ["to", "from"],
  ]) {
    const store = new FlowStore();
    store.setUnit("from", [flow(1)]);
    store.takeChanges();
    for (const unit of order) store.setUnit(unit, unit === "to" ? [flow(1, 5)] : []);
    assert.deepEqual(store.takeChanges(), { upserts: [flow(1, 5)], deletes: [] }, order.join());
    assert.deepEqual([...store.flows()], [flow(1, 5)]);
  }
});
