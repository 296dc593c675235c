import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { flowBody, flowKey } from "../../openflow/flow-key.ts";
import type { Flow } from "../../openflow/flow.ts";
import { groupBody } from "../../openflow/group-change.ts";
import type { Group, GroupMod } from "../../openflow/group.ts";
import {
  FlowReconciler,
  type FlowSwitch,
  type Refusals,
  type SwitchChanges,
} from "./flow-reconciler.ts";

function flow(port: number, next: number): Flow {
  const match = [{ field: "in_port", value: BigInt(port) }] as const;
  return { table: 0, priority: 1, cookie: 0n, match, actions: [], gotoTable: next };
}

/** A switch that works, except that it refuses flows that go on to table 99. */
class FakeSwitch implements FlowSwitch {
  readonly flows = new Map<string, Flow>();
  bundles = 0;
  changed = 0;
  /** Called before a bundle is looked at. */
  onBundle: () => Promise<void> | void = () => undefined;

  readonly groups = new Map<number, Group>();

  dumpFlows(): Promise<readonly Flow[]> {
    return Promise.resolve([...this.flows.values()]);
  }

  dumpGroups(): Promise<readonly Group[]> {
    return Promise.resolve([...this.groups.values()]);
  }

  async change({ upserts, deletes, groups, groupDeletes }: SwitchChanges): Promise<Refusals> {
    await this.onBundle();
    const bad = groups.filter(({ group }) => group.buckets.some(({ id }) => id === 99));
    const known = new Set([...this.groups.keys(), ...groups.map(({ group }) => group.id)]);
    for (const { group } of bad) known.delete(group.id);
    const refused = upserts.filter(
      ({ gotoTable, actions }) =>
        gotoTable === 99 || actions.some((one) => one.kind === "group" && !known.has(one.group)),
    );
    if (refused.length + bad.length > 0) {
      return {
        flows: refused.map((one) => ({ flow: one, message: "bad table or group" })),
        groups: bad.map(({ group }) => ({ id: group.id, message: "bad bucket" })),
      };
    }
    this.bundles += 1;
    this.changed += upserts.length + deletes.length;
    for (const one of groups) this.#changeGroup(one);
    for (const one of deletes) this.flows.delete(flowKey(one));
    for (const one of upserts) this.flows.set(flowKey(one), one);
    for (const one of groupDeletes) this.#changeGroup(one);
    return { flows: [], groups: [] };
  }

  #changeGroup({ command, group }: GroupMod): void {
    if (command === "delete") this.groups.delete(group.id);
    else if (command === "add-or-modify") this.groups.set(group.id, group);
    else assert.fail(command);
  }

  bodies(): Map<string, string> {
    return new Map([...this.flows].map(([key, one]) => [key, flowBody(one)]));
  }
}

function bodiesOf(flows: readonly Flow[]): Map<string, string> {
  return new Map(flows.map((one) => [flowKey(one), flowBody(one)]));
}

/** Serves until the test ends. */
function serving(reconciler: FlowReconciler, target: FlowSwitch): AsyncDisposable {
  const stop = new AbortController();
  const served = reconciler.serve(target, stop.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await served;
    },
  };
}

const soon = (): AbortSignal => AbortSignal.timeout(2_000);

test("nothing is touched before changes are allowed, then only what differs", async () => {
  const target = new FakeSwitch();
  for (const one of [flow(1, 5), flow(2, 5), flow(3, 5)]) target.flows.set(flowKey(one), one);
  const reconciler = new FlowReconciler();
  const version = reconciler.change({ upserts: [flow(1, 5), flow(2, 6)], deletes: [] });
  await using _ = serving(reconciler, target);
  await turn();
  assert.equal(target.bundles, 0);
  await assert.rejects(reconciler.confirmed(version, AbortSignal.timeout(20)));
  reconciler.enable();
  await reconciler.confirmed(version, soon());
  assert.deepEqual(target.bodies(), bodiesOf([flow(1, 5), flow(2, 6)]));
  assert.deepEqual([target.bundles, target.changed], [1, 2]);
});

test("a refused flow is left out, its earlier version goes, and the rest is in force", async () => {
  const target = new FakeSwitch();
  const reconciler = new FlowReconciler();
  reconciler.enable();
  await using _ = serving(reconciler, target);
  const first = reconciler.change({ upserts: [flow(1, 5), flow(2, 5)], deletes: [] });
  await reconciler.confirmed(first, soon());
  const second = reconciler.change({
    upserts: [flow(2, 99), flow(3, 5), flow(4, 99)],
    deletes: [],
  });
  await reconciler.confirmed(second, soon());
  assert.deepEqual(target.bodies(), bodiesOf([flow(1, 5), flow(3, 5)]));
  assert.deepEqual(
    reconciler.refused.map((one) => one.flow),
    [flow(2, 99), flow(4, 99)],
  );
  const third = reconciler.change({ upserts: [flow(2, 7)], deletes: [flow(4, 99)] });
  await reconciler.confirmed(third, soon());
  assert.deepEqual(target.bodies(), bodiesOf([flow(1, 5), flow(2, 7), flow(3, 5)]));
  assert.deepEqual(reconciler.refused, []);
});

test("changes that come while a bundle is under way are not lost, and go together", async () => {
  const target = new FakeSwitch();
  const reconciler = new FlowReconciler();
  reconciler.enable();
  let version = 0;
  let once = true;
  target.onBundle = () => {
    if (!once) return;
    once = false;
    for (let n = 2; n < 50; n++)
      version = reconciler.change({ upserts: [flow(n, 5)], deletes: [] });
  };
  await using _ = serving(reconciler, target);
  reconciler.change({ upserts: [flow(1, 5)], deletes: [] });
  await turn();
  await reconciler.confirmed(version, soon());
  assert.equal(target.flows.size, 49);
  assert.equal(target.bundles, 2);
});

test("after a lost connection everything is compared anew", async () => {
  const target = new FakeSwitch();
  const reconciler = new FlowReconciler();
  reconciler.enable();
  reconciler.change({ upserts: [flow(1, 5), flow(2, 5)], deletes: [] });
  target.onBundle = () => Promise.reject(new Error("lost"));
  await assert.rejects(reconciler.serve(target, soon()), /lost/);
  assert.equal(reconciler.connected, false);
  target.onBundle = () => undefined;
  {
    await using _ = serving(reconciler, target);
    await reconciler.confirmed(reconciler.version, soon());
  }
  // Somebody meddles while nobody looks.
  target.flows.delete(flowKey(flow(1, 5)));
  target.flows.set(flowKey(flow(8, 8)), flow(8, 8));
  target.bundles = 0;
  await using _ = serving(reconciler, target);
  await reconciler.confirmed(reconciler.version, soon());
  assert.deepEqual(target.bodies(), bodiesOf([flow(1, 5), flow(2, 5)]));
  assert.equal(target.bundles, 1);
});

test("any changes and interruptions end with the flows that are wanted", async () => {
  const change = fc.record({
    port: fc.integer({ min: 1, max: 5 }),
    next: fc.option(fc.constantFrom(5, 6, 99), { nil: undefined }),
    lost: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 20 }), async (changes) => {
      const target = new FakeSwitch();
      const reconciler = new FlowReconciler();
      reconciler.enable();
      const wanted = new Map<number, Flow>();
      for (const { port, next, lost } of changes) {
        if (next === undefined) wanted.delete(port);
        else wanted.set(port, flow(port, next));
        const one = flow(port, next ?? 0);
        reconciler.change(
          next === undefined ? { upserts: [], deletes: [one] } : { upserts: [one], deletes: [] },
        );
        await using _ = serving(reconciler, target);
        if (!lost) await reconciler.confirmed(reconciler.version, soon());
      }
      await using _ = serving(reconciler, target);
      await reconciler.confirmed(reconciler.version, soon());
      const expected = [...wanted.values()].filter(({ gotoTable }) => gotoTable !== 99);
      assert.deepEqual(target.bodies(), bodiesOf(expected));
    }),
    { numRuns: 50 },
  );
});

function groupOf(id: number, ...buckets: number[]): Group {
  return { id, type: "select", buckets: buckets.map((one) => ({ id: one, actions: [] })) };
}

function toGroup(port: number, id: number): Flow {
  const { gotoTable: _none, ...base } = flow(port, 0);
  return { ...base, actions: [{ kind: "group", group: id }] };
}

test("groups become what is wanted, whatever was there and after any changes", async () => {
  const wanted = fc.uniqueArray(
    fc.tuple(fc.integer({ min: 1, max: 4 }), fc.uniqueArray(fc.integer({ min: 1, max: 6 }))),
    { selector: ([id]) => id },
  );
  await fc.assert(
    fc.asyncProperty(wanted, fc.array(wanted, { maxLength: 6 }), async (found, steps) => {
      const target = new FakeSwitch();
      for (const [id, buckets] of found) target.groups.set(id, groupOf(id, ...buckets));
      const reconciler = new FlowReconciler();
      reconciler.enable();
      await using _ = serving(reconciler, target);
      let held: number[] = [];
      for (const step of steps) {
        const groups = new Map<number, Group | undefined>(held.map((id) => [id, undefined]));
        for (const [id, buckets] of step) groups.set(id, groupOf(id, ...buckets));
        held = step.map(([id]) => id);
        await reconciler.confirmed(reconciler.change({ upserts: [], deletes: [], groups }), soon());
        const bodies = step.map(
          ([id, buckets]) => [id, groupBody(groupOf(id, ...buckets))] as const,
        );
        const actual = Array.from(target.groups, ([id, one]) => [id, groupBody(one)] as const);
        assert.deepEqual(new Map(actual), new Map(bodies));
      }
    }),
    { numRuns: 60 },
  );
});

test("a refused group is left out with the flows that lead to it, and the rest is in force", async () => {
  const target = new FakeSwitch();
  const reconciler = new FlowReconciler();
  reconciler.enable();
  await using _ = serving(reconciler, target);
  const groups = new Map([
    [1, groupOf(1, 99)],
    [2, groupOf(2, 5)],
  ]);
  const upserts = [toGroup(1, 1), toGroup(2, 2), flow(3, 5)];
  await reconciler.confirmed(reconciler.change({ upserts, deletes: [], groups }), soon());
  assert.deepEqual(target.bodies(), bodiesOf([toGroup(2, 2), flow(3, 5)]));
  assert.deepEqual([...target.groups.keys()], [2]);
  const mended = new Map([[1, groupOf(1, 7)]]);
  const again = reconciler.change({ upserts: [toGroup(1, 1)], deletes: [], groups: mended });
  await reconciler.confirmed(again, soon());
  assert.deepEqual(target.bodies(), bodiesOf(upserts));
});
