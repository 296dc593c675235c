import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointSlice } from "../../kinds/endpoint-slice.ts";
import type { Pod } from "../../kinds/pod.ts";
import type { Service } from "../../kinds/service.ts";
import { ServiceSlices } from "./service-slices.ts";

const stored = { resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
const service: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { ...stored, name: "web", namespace: "shop", uid: "s" },
  spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
};

function pod(index: number, changes: object = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...stored,
      name: `p${index}`,
      uid: `u${index}`,
      namespace: "shop",
      labels: { app: "web" },
    },
    spec: { containers: [] },
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True" }],
      podIPs: [{ ip: `10.0.${index >> 8}.${index & 255}` }],
      ...changes,
    },
  };
}

/** Slices as an API server has them, told back at once or, if not `prompt`, only when asked to. */
class World {
  readonly stored = new Map<string, EndpointSlice>();
  readonly queued = new Set<string>();
  writes = 0;
  prompt = true;
  #count = 0;
  readonly slices: ServiceSlices = new ServiceSlices({
    writes: {
      create: async (slice) => {
        const name = `${slice.metadata.generateName}${this.#count++}`;
        const made = { ...slice, metadata: { ...slice.metadata, name, uid: name } };
        this.#write(name, made);
        return made;
      },
      update: async (slice) => this.#write(slice.metadata.name, slice),
      remove: async ({ metadata }) => this.#write(metadata.name, undefined),
    },
    enqueue: (key) => this.queued.add(key),
  });

  #write(name: string, slice: EndpointSlice | undefined): void {
    this.writes++;
    const old = this.stored.get(name);
    if (slice === undefined) this.stored.delete(name);
    else this.stored.set(name, slice);
    if (this.prompt) this.slices.setSlice(`shop/${name}`, slice, old);
  }

  async settle(): Promise<number> {
    const before = this.writes;
    while (this.queued.size > 0) {
      const [key = ""] = this.queued;
      this.queued.delete(key);
      await this.slices.reconcile(key);
    }
    return this.writes - before;
  }

  get sizes(): number[] {
    return [...this.stored.values()].map(({ endpoints }) => endpoints.length);
  }
}

/** A world at rest, with one slice. */
async function withOnePod(): Promise<{ readonly world: World; readonly slice: EndpointSlice }> {
  const world = new World();
  world.slices.setService("shop/web", service);
  world.slices.setPod("shop/p1", pod(1), undefined);
  await world.settle();
  const [slice] = world.stored.values();
  assert.ok(slice !== undefined);
  return { world, slice };
}

test("slices hold at most 100 endpoints, and a change touches one of them", async () => {
  const world = new World();
  world.slices.setService("shop/web", service);
  for (let index = 0; index < 250; index++) {
    world.slices.setPod(`shop/p${index}`, pod(index), undefined);
  }
  await world.settle();
  assert.deepEqual(world.sizes, [100, 100, 50]);
  world.slices.setPod("shop/p7", undefined, pod(7));
  assert.equal(await world.settle(), 1);
  assert.deepEqual(world.sizes, [100, 100, 49]);
  world.slices.setPod("shop/p8", pod(8, { conditions: [] }), pod(8));
  assert.equal(await world.settle(), 1);
  world.slices.setPod("shop/p300", pod(300), undefined);
  assert.equal(await world.settle(), 1);
  assert.deepEqual(world.sizes, [100, 100, 50]);
  world.slices.setPod("shop/p301", pod(301), undefined);
  assert.equal(await world.settle(), 1);
});

test("pods that no Service selects begin no work", async () => {
  const world = new World();
  world.slices.setService("shop/web", service);
  await world.settle();
  const stranger = pod(1);
  stranger.metadata.labels = { app: "db" };
  world.slices.setPod("shop/p1", stranger, undefined);
  assert.equal(world.queued.size, 0);
  world.slices.setPod("shop/p1", pod(1), stranger);
  assert.equal(world.queued.size, 1);
});

test("what was made and not yet seen is not made again", async () => {
  const world = new World();
  world.prompt = false;
  world.slices.setService("shop/web", service);
  world.slices.setPod("shop/p1", pod(1), undefined);
  await world.settle();
  world.slices.setPod("shop/p2", pod(2), undefined);
  await world.settle();
  assert.deepEqual(world.sizes, [2]);
});

test("slices go with their Service, those of others stay", async () => {
  const { world, slice: own } = await withOnePod();
  const { ownerReferences: _owners, ...metadata } = own.metadata;
  const labels = { "kubernetes.io/service-name": "web" };
  const other = { ...own, metadata: { ...metadata, name: "by-hand", labels } };
  world.stored.set("by-hand", other);
  world.slices.setSlice("shop/by-hand", other, undefined);
  world.slices.setService("shop/web", undefined);
  await world.settle();
  assert.deepEqual([...world.stored.keys()], ["by-hand"]);
});

test("a slice that somebody has changed or deleted is put right", async () => {
  const { world, slice } = await withOnePod();
  const { name } = slice.metadata;
  const changed = { ...slice, endpoints: [] };
  world.stored.set(name, changed);
  world.slices.setSlice(`shop/${name}`, changed, slice);
  await world.settle();
  assert.deepEqual(world.sizes, [1]);
  world.stored.delete(name);
  world.slices.setSlice(`shop/${name}`, undefined, slice);
  await world.settle();
  assert.deepEqual(world.sizes, [1]);
});

test("work that begins at once finds the slice that has just changed", async () => {
  const { world, slice } = await withOnePod();
  const work: Promise<void>[] = [];
  world.queued.add = (key) => {
    work.push(world.slices.reconcile(key));
    return world.queued;
  };
  world.slices.setSlice(`shop/${slice.metadata.name}`, { ...slice }, slice);
  await Promise.all(work);
  assert.deepEqual([...world.stored.keys()], [slice.metadata.name]);
});
