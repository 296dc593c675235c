import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { StatusError } from "../apimachinery/errors.ts";
import { notFound, unavailable } from "../apimachinery/status.ts";
import { namespaceKind } from "../kinds/namespace.ts";
import { AddressSpace } from "../ipam/address-space.ts";
import {
  AddressController,
  type AddressStore,
  type KnownEndpoint,
  type NewEndpoint,
  type StoredAddresses,
} from "./address-controller.ts";
import { AddressesExhaustedError, NameTakenError } from "./errors.ts";

/** A store that works, and fails as often as it is told to: before the write, or after it. */
class FakeStore implements AddressStore {
  readonly endpoints = new Map<string, KnownEndpoint>();
  readonly networks = new Map<string, { domain: string; zone: string; cidrs: readonly string[] }>();
  failures: ("before" | "after" | StatusError)[] = [];
  reads = 0;
  #uid = 0;

  async read(): Promise<StoredAddresses> {
    this.reads += 1;
    return this.#write(() => ({
      networks: new Map(this.networks),
      endpoints: new Map(this.endpoints),
    }));
  }

  async createNetwork(
    namespace: string,
    domain: string,
    cidrs: readonly string[],
  ): Promise<string> {
    return this.#write(() => {
      const name = `pods-${this.networks.size}`;
      this.networks.set(`${namespace}/${name}`, { domain, zone: namespace, cidrs });
      return name;
    });
  }

  async createEndpoint(
    namespace: string,
    name: string,
    { podUid, node, domain, network, addresses }: NewEndpoint,
  ): Promise<KnownEndpoint> {
    return this.#write(() => {
      const key = `${namespace}/${name}`;
      if (this.endpoints.has(key)) throw new Error(`${key} exists already`);
      const version = this.#uid++;
      const placed = { podUid, node, domain, network, addresses };
      const endpoint = { uid: String(version), version, ofPod: true, ...placed };
      this.endpoints.set(key, endpoint);
      return endpoint;
    });
  }

  async deleteEndpoint(namespace: string, name: string, uid: string): Promise<void> {
    this.#write(() => {
      const key = `${namespace}/${name}`;
      if (this.endpoints.get(key)?.uid === uid) this.endpoints.delete(key);
    });
  }

  #write<T>(write: () => T): T {
    const failure = this.failures.shift();
    if (failure instanceof StatusError) throw failure;
    if (failure === "before") throw new Error("no answer");
    const result = write();
    if (failure === "after") throw new Error("no answer");
    return result;
  }
}

/** A controller that has read the store, as after a start. */
function start(
  store: FakeStore,
  pools: readonly string[] = ["10.0.0.0/16", "fd00::/48"],
): AddressController {
  const space = new AddressSpace();
  space.setDomain("default", { pools, networkLength: { 4: 28, 6: 64 } });
  for (const [id, network] of store.networks) space.setNetwork(id, network);
  const controller = new AddressController(space, store);
  for (const [key, endpoint] of store.endpoints) controller.setEndpoint(key, endpoint);
  return controller;
}

const pod = (uid: string, node = "n1") => ({ uid, node, domain: "default" });

describe("AddressController", () => {
  test("a placed pod gets an endpoint with an address of each family, and keeps it", async () => {
    const store = new FakeStore();
    const controller = start(store);
    controller.setPod("shop/web", pod("1"));
    await controller.reconcile("shop/web");
    const made = store.endpoints.get("shop/web");
    assert.deepEqual(made?.addresses, ["10.0.0.1", "fd00::1"]);
    await controller.reconcile("shop/web");
    assert.equal(store.endpoints.get("shop/web"), made);
  });

  test("a pod that was made again under its name gets an endpoint of its own", async () => {
    const store = new FakeStore();
    const controller = start(store);
    controller.setPod("shop/web", pod("1"));
    await controller.reconcile("shop/web");
    controller.setPod("shop/web", pod("2"));
    await controller.reconcile("shop/web");
    assert.equal(store.endpoints.get("shop/web")?.podUid, "2");
    assert.deepEqual(store.endpoints.get("shop/web")?.addresses, ["10.0.0.2", "fd00::2"]);
  });

  test("an endpoint without its pod is taken away", async () => {
    const store = new FakeStore();
    const controller = start(store);
    controller.setPod("shop/web", pod("1"));
    await controller.reconcile("shop/web");
    controller.setPod("shop/web", undefined);
    await controller.reconcile("shop/web");
    assert.equal(store.endpoints.size, 0);
  });

  test("an endpoint that a user made for something else stays, and a pod of its name waits", async () => {
    const store = new FakeStore();
    const vm = { uid: "vm", version: 1, ofPod: false, podUid: "1", node: "n1" } as const;
    const addresses = ["10.0.0.1"];
    store.endpoints.set("z/vm", { ...vm, domain: "default", network: "z/pods-0", addresses });
    store.networks.set("z/pods-0", { domain: "default", zone: "z", cidrs: ["10.0.0.0/28"] });
    const controller = start(store);
    await controller.reconcile("z/vm");
    controller.setPod("z/vm", pod("1"));
    await assert.rejects(controller.reconcile("z/vm"), NameTakenError);
    assert.equal(store.endpoints.get("z/vm")?.uid, "vm");
    controller.setPod("z/web", pod("2"));
    await controller.reconcile("z/web");
    assertUnique(store);
  });

  test("late news of a predecessor does not free its successor's addresses", async () => {
    const store = new FakeStore();
    const controller = start(store, ["10.0.0.0/30"]);
    controller.setPod("z/a", pod("1"));
    await controller.reconcile("z/a");
    const first = store.endpoints.get("z/a");
    assert.ok(first);
    controller.setPod("z/a", pod("2"));
    await controller.reconcile("z/a");
    controller.setEndpoint("z/a", first);
    controller.removeEndpoint("z/a", first.uid);
    for (const name of ["b", "c"]) {
      controller.setPod(`z/${name}`, pod(name));
      await controller.reconcile(`z/${name}`).catch(() => {});
    }
    assertUnique(store);
    assert.equal(store.endpoints.size, 2);
  });

  test("only a write of unknown outcome has everything read again", async () => {
    const store = new FakeStore();
    const controller = start(store);
    for (const [failure, reads] of [
      [new StatusError(notFound(namespaceKind, "shop")), 0],
      [new StatusError(unavailable("later")), 1],
      ["after", 2],
    ] as const) {
      controller.setPod("shop/web", pod(`after ${reads}`));
      store.failures = [failure];
      await assert.rejects(controller.reconcile("shop/web"));
      await controller.reconcile("shop/web");
      assert.equal(store.reads, reads);
      assertUnique(store);
    }
  });

  test("full pools are named, and nothing is made", async () => {
    const store = new FakeStore();
    const controller = start(store, ["10.0.0.0/30"]);
    for (const name of ["a", "b"]) {
      controller.setPod(`z/${name}`, pod(name));
      await controller.reconcile(`z/${name}`);
    }
    controller.setPod("z/c", pod("c"));
    await assert.rejects(controller.reconcile("z/c"), AddressesExhaustedError);
    assert.equal(store.endpoints.size, 2);
  });

  test("whatever fails or dies, no two pods have one address and none is left over", async () => {
    const event = fc.record({
      pod: fc.integer({ min: 0, max: 8 }),
      zone: fc.constantFrom("a", "b"),
      gone: fc.boolean(),
      failures: fc.array(fc.constantFrom("before" as const, "after" as const), { maxLength: 3 }),
      restart: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 60 }), async (events) => {
        const store = new FakeStore();
        let controller = start(store);
        const pods = new Map<string, ReturnType<typeof pod>>();
        for (const [index, { pod: number, zone, gone, failures, restart }] of events.entries()) {
          const key = `${zone}/${number}`;
          if (gone) pods.delete(key);
          else pods.set(key, pod(`${key} ${index}`));
          controller.setPod(key, pods.get(key));
          store.failures = [...failures];
          await controller.reconcile(key).catch(() => {});
          if (restart) {
            controller = start(store);
            for (const [name, placed] of pods) controller.setPod(name, placed);
          }
          assertUnique(store);
        }
        store.failures = [];
        controller = start(store);
        for (const [name, placed] of pods) controller.setPod(name, placed);
        for (const key of new Set([...pods.keys(), ...store.endpoints.keys()])) {
          await controller.reconcile(key);
        }
        assertUnique(store);
        assert.deepEqual([...store.endpoints.keys()].toSorted(), [...pods.keys()].toSorted());
        for (const [key, { podUid }] of store.endpoints) assert.equal(podUid, pods.get(key)?.uid);
      }),
    );
  });
});

function assertUnique(store: FakeStore): void {
  const addresses = [...store.endpoints.values()].flatMap((endpoint) => endpoint.addresses);
  assert.equal(new Set(addresses).size, addresses.length, `twice: ${addresses.join(" ")}`);
}
