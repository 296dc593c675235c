// Writes that race with others, made to do so at the worst moment.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog } from "../src/apiserver/catalog.ts";
import { ExpiryLeases } from "../src/apiserver/expiry-leases.ts";
import { ObjectService } from "../src/apiserver/object-service.ts";
import { ensureSystemNamespaces } from "../src/apiserver/system-namespaces.ts";
import { decodeObject } from "../src/apimachinery/object.ts";
import { configMapKind } from "../src/kinds/config-map.ts";
import { kinds } from "../src/kinds/kinds.ts";
import { openMemoryStore } from "../src/store/memory-store.ts";
import type { Store } from "../src/store/store.ts";

/** A service whose next write waits until `meanwhile` has been done to the store. */
async function startService(): Promise<{
  service: ObjectService;
  store: Store;
  interrupt: (meanwhile: () => Promise<unknown>) => void;
}> {
  const store = openMemoryStore();
  let next: (() => Promise<unknown>) | undefined;
  const interrupted = new Proxy(store, {
    get(target, name) {
      if (name !== "transact") {
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      }
      return async (...args: Parameters<Store["transact"]>) => {
        const meanwhile = next;
        next = undefined;
        await meanwhile?.();
        return await target.transact(...args);
      };
    },
  });
  const now = (): Date => new Date();
  const service = new ObjectService({
    store: interrupted,
    catalog: new Catalog(kinds),
    leases: new ExpiryLeases(store, now),
    now,
  });
  await ensureSystemNamespaces(service);
  return {
    service,
    store,
    interrupt: (meanwhile) => {
      next = meanwhile;
    },
  };
}

function configMap(name: string): ReturnType<typeof decodeObject>["object"] {
  return decodeObject(configMapKind, { metadata: { name } }).object;
}

test("an object is not created in a namespace that goes in the same moment", async () => {
  const { service, store, interrupt } = await startService();
  interrupt(() =>
    store.transact({ success: [{ kind: "delete", key: "/registry/core/namespaces/default" }] }),
  );
  await assert.rejects(service.create(configMapKind, "default", configMap("late")), {
    name: "StatusError",
    message: 'namespaces "default" not found',
  });
  assert.deepEqual((await store.range({ prefix: "/registry/core/configmaps/" })).entries, []);
});

test("an object is created when its namespace only changes in the same moment", async () => {
  const { service, store, interrupt } = await startService();
  const key = "/registry/core/namespaces/default";
  const value = (await store.get(key))?.value ?? "";
  interrupt(() => store.transact({ success: [{ kind: "put", key, value }] }));
  assert.equal((await service.create(configMapKind, "default", configMap("a"))).outcome, "created");
});

test("an update is made again on top of one that was faster", async () => {
  const { service, interrupt } = await startService();
  const target = { kind: configMapKind, namespace: "default", name: "a" };
  await service.create(configMapKind, "default", configMap("a"));
  const add = async (label: string): Promise<unknown> =>
    await service.update(target, (current) => {
      current.metadata.labels = { ...current.metadata.labels, [label]: "" };
      return current;
    });
  interrupt(() => add("first"));
  await add("second");
  const { value } = await service.read(target);
  assert.deepEqual(JSON.parse(value).metadata.labels, { first: "", second: "" });
});

test("a deletion with a precondition does not hit an object that took the name", async () => {
  const { service, interrupt } = await startService();
  const target = { kind: configMapKind, namespace: "default", name: "a" };
  const { entry } = await service.create(configMapKind, "default", configMap("a"));
  const { uid }: { uid: string } = JSON.parse(entry.value).metadata;
  interrupt(async () => {
    await service.delete(target);
    await service.create(configMapKind, "default", configMap("a"));
  });
  await assert.rejects(
    service.delete(target, { preconditions: { uid } }),
    /Precondition failed: UID/,
  );
  assert.ok(await service.read(target));
});
