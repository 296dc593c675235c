import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { flowBody, flowKey } from "../openflow/flow-key.ts";
import type { Flow } from "../openflow/flow.ts";
import type { FlowChanges } from "../pipeline/flow-store.ts";
import { FlowReconciler, type FlowSwitch, type RefusedFlow } from "./flow-reconciler.ts";

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

  dumpFlows(): Promise<readonly Flow[]> {
    return Promise.resolve([...this.flows.values()]);
  }

  async changeFlows({ upserts, deletes }: FlowChanges): Promise<readonly RefusedFlow[]> {
    await this.onBundle();
    const refused = upserts.filter(({ gotoTable }) => gotoTable === 99);
    if (refused.length > 0) return refused.map((one) => ({ flow: one, message: "bad table" }));
    this.bundles += 1;
    this.changed += upserts.length + deletes.length;
    for (const one of deletes) this.flows.delete(flowKey(one));
    for (const one of upserts) this.flows.set(flowKey(one), one);
    return [];
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
