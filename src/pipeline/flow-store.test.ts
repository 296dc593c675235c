import assert from "node:assert/strict";
import { test } from "node:test";
import type { Flow } from "../openflow/flow.ts";
import type { Group } from "../openflow/group.ts";
import { FlowStore, type UnitContent } from "./flow-store.ts";

function flow(priority: number, next?: number): Flow {
  const gotoTable = next === undefined ? {} : { gotoTable: next };
  return { table: 0, priority, cookie: 0n, match: [], actions: [], ...gotoTable };
}

function only(...flows: Flow[][]): UnitContent {
  return { flows: flows.flat(), groups: [] };
}

test("changes are the difference to the last look, whatever came between", () => {
  const store = new FlowStore();
  store.setUnit("a", only([flow(1), flow(2)]));
  store.setUnit("a", only([flow(2), flow(3)]));
  assert.deepEqual(store.takeChanges(), { upserts: [flow(2), flow(3)], deletes: [] });
  store.setUnit("a", only([flow(3, 9)]));
  store.setUnit("a", only([flow(2), flow(3, 7)]));
  assert.deepEqual(store.takeChanges(), { upserts: [flow(3, 7)], deletes: [] });
  store.setUnit("a", only([]));
  assert.deepEqual(store.takeChanges(), { upserts: [], deletes: [flow(2), flow(3, 7)] });
  assert.equal(store.size, 0);
});

test("groups change with their units, and what came back as it was is no change", () => {
  const group = (id: number): Group => ({ id, type: "select", buckets: [] });
  const store = new FlowStore();
  store.setUnit("a", { flows: [], groups: [group(1), group(2)] });
  store.setUnit("b", { flows: [], groups: [group(3)] });
  assert.deepEqual(store.takeChanges().groups, new Map([1, 2, 3].map((id) => [id, group(id)])));
  store.setUnit("a", { flows: [], groups: [group(2)] });
  assert.deepEqual(store.takeChanges().groups, new Map([[1, undefined]]));
  assert.equal(store.takeChanges().groups, undefined);
  assert.deepEqual([...store.groups()], [group(3), group(2)]);
});

test("an entry may move from one unit to another in either order", () => {
  for (const order of [
    ["from", "to"],
    ["to", "from"],
  ]) {
    const store = new FlowStore();
    store.setUnit("from", only([flow(1)]));
    store.takeChanges();
    for (const unit of order) store.setUnit(unit, only(unit === "to" ? [flow(1, 5)] : []));
    assert.deepEqual(store.takeChanges(), { upserts: [flow(1, 5)], deletes: [] }, order.join());
    assert.deepEqual([...store.flows()], [flow(1, 5)]);
  }
});
