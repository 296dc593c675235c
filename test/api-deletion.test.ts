// Deletion: preconditions, finalizers, owners and their dependents, namespaces and their content.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestApi, type TestApi } from "./api-harness.ts";

const maps = "/api/v1/namespaces/default/configmaps";
const mergePatch = { "content-type": "application/merge-patch+json" };

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

interface Made {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

async function create(name: string, metadata: object = {}): Promise<Made> {
  const { code, body } = await api.raw("POST", maps, { body: { metadata: { name, ...metadata } } });
  assert.equal(code, 201);
  return body;
}

function ownedBy({ metadata: { name, uid } }: Made, blockOwnerDeletion = false): object {
  return { apiVersion: "v1", kind: "ConfigMap", name, uid, blockOwnerDeletion };
}

async function find(name: string): Promise<Made | undefined> {
  const { code, body } = await api.raw("GET", `${maps}/${name}`);
  return code === 200 ? body : undefined;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await condition()) return;
    await sleep(10);
  }
  assert.fail("it has not come about within two seconds");
}

async function unhold(name: string): Promise<void> {
  await api.raw("PATCH", `${maps}/${name}`, {
    body: { metadata: { finalizers: null } },
    headers: mergePatch,
  });
}

test("what nothing holds is gone at once, and the answer says what it was", async () => {
  const made = await create("plain");
  const { code, body } = await api.raw("DELETE", `${maps}/plain`);
  assert.equal(code, 200);
  assert.deepEqual([body.kind, body.status], ["Status", "Success"]);
  assert.deepEqual(body.details, { name: "plain", kind: "configmaps", uid: made.metadata.uid });
  assert.equal((await api.raw("DELETE", `${maps}/plain`)).code, 404);
});

async function removeGuarded(preconditions: object): Promise<number> {
  return (await api.raw("DELETE", `${maps}/guarded`, { body: { preconditions } })).code;
}

test("preconditions on identity and version hold", async () => {
  const made = await create("guarded");
  assert.equal(await removeGuarded({ uid: "another" }), 409);
  assert.equal(await removeGuarded({ resourceVersion: "1" }), 409);
  assert.equal(
    await removeGuarded({ uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion }),
    200,
  );
});

test("a dry run deletes nothing", async () => {
  await create("kept");
  assert.equal((await api.raw("DELETE", `${maps}/kept?dryRun=All`)).code, 200);
  assert.equal((await api.raw("DELETE", `${maps}/kept`, { body: { dryRun: ["All"] } })).code, 200);
  assert.ok(await find("kept"));
});

test("finalizers hold an object that is being deleted until the last is gone", async () => {
  await create("held", { finalizers: ["example.com/a", "example.com/b"] });
  const { body } = await api.raw("DELETE", `${maps}/held`, { body: { gracePeriodSeconds: 5 } });
  assert.match(body.metadata.deletionTimestamp, /Z$/);
  assert.equal(body.metadata.deletionGracePeriodSeconds, 5);
  const again = await api.raw("DELETE", `${maps}/held`);
  assert.deepEqual(again.body, body, "deleting again changes nothing");
  const patch = async (finalizers: string[] | null): ReturnType<TestApi["raw"]> =>
    await api.raw("PATCH", `${maps}/held`, {
      body: { metadata: { finalizers } },
      headers: mergePatch,
    });
  const more = await patch(["example.com/a", "example.com/b", "example.com/c"]);
  assert.equal(more.code, 422);
  assert.match(more.body.message, /no new finalizers can be added if the object is being deleted/);
  const renewed = await api.raw("PATCH", `${maps}/held`, {
    body: { metadata: { deletionTimestamp: null } },
    headers: mergePatch,
  });
  assert.equal(
    renewed.body.metadata.deletionTimestamp,
    body.metadata.deletionTimestamp,
    "no way back",
  );
  await patch(["example.com/b"]);
  assert.ok(await find("held"));
  assert.equal((await patch(null)).code, 200);
  assert.equal(await find("held"), undefined);
});

test("dependents follow their last owner", async () => {
  const [one, two] = [await create("owner-1"), await create("owner-2")];
  await create("child", { ownerReferences: [ownedBy(one), ownedBy(two)] });
  const child = await find("child");
  assert.ok(child);
  await create("grandchild", { ownerReferences: [ownedBy(child)] });
  await api.raw("DELETE", `${maps}/owner-1`);
  await until(async () => {
    const { body } = await api.raw("GET", `${maps}/child`);
    return body.metadata.ownerReferences.length === 1;
  });
  await api.raw("DELETE", `${maps}/owner-2`);
  await until(
    async () => (await find("child")) === undefined && (await find("grandchild")) === undefined,
  );
});

test("an object whose owner never was is collected, one of an owner of an unknown kind is not", async () => {
  await create("stray", {
    ownerReferences: [ownedBy({ metadata: { name: "no", uid: "no", resourceVersion: "" } })],
  });
  const foreign = { apiVersion: "example.com/v1", kind: "Thing", name: "x", uid: "x" };
  await create("foreign", { ownerReferences: [foreign] });
  await until(async () => (await find("stray")) === undefined);
  assert.ok(await find("foreign"));
});

test("in the foreground the owner waits for the dependents that block it", async () => {
  const owner = await create("fore");
  await create("fore-child", {
    ownerReferences: [ownedBy(owner, true)],
    finalizers: ["example.com/hold"],
  });
  const { body } = await api.raw("DELETE", `${maps}/fore?propagationPolicy=Foreground`);
  assert.deepEqual(body.metadata.finalizers, ["foregroundDeletion"]);
  await until(
    async () =>
      (await api.raw("GET", `${maps}/fore-child`)).body.metadata.deletionTimestamp !== undefined,
  );
  assert.ok(await find("fore"));
  await unhold("fore-child");
  await until(
    async () => (await find("fore")) === undefined && (await find("fore-child")) === undefined,
  );
});

test("orphans stay and forget their owner", async () => {
  const owner = await create("orphaning");
  await create("orphan", { ownerReferences: [ownedBy(owner)] });
  await api.raw("DELETE", `${maps}/orphaning`, { body: { propagationPolicy: "Orphan" } });
  await until(async () => (await find("orphaning")) === undefined);
  const { body } = await api.raw("GET", `${maps}/orphan`);
  assert.equal(body.metadata.ownerReferences, undefined);
  assert.equal((await api.raw("DELETE", `${maps}/orphan?propagationPolicy=Maybe`)).code, 400);
});

test("a collection is deleted as its selectors say", async () => {
  for (const name of ["c-1", "c-2", "c-3"])
    await create(name, { labels: { keep: String(name === "c-3") } });
  const { code, body } = await api.raw("DELETE", `${maps}?labelSelector=keep=false`);
  assert.deepEqual([code, body.items.length], [200, 2]);
  assert.ok(await find("c-3"));
});

test("a namespace goes when its content has gone, and takes it along", async () => {
  const namespaces = "/api/v1/namespaces";
  const made = await api.raw("POST", namespaces, { body: { metadata: { name: "full" } } });
  assert.deepEqual([made.body.spec.finalizers, made.body.status.phase], [["kubernetes"], "Active"]);
  const content = maps.replace("default", "full");
  for (let index = 0; index < 20; index++)
    await api.raw("POST", content, { body: { metadata: { name: `x${index}` } } });
  await api.raw("POST", content, {
    body: { metadata: { name: "held", finalizers: ["example.com/hold"] } },
  });
  const { body } = await api.raw("DELETE", `${namespaces}/full`);
  assert.equal(body.status.phase, "Terminating");
  await until(async () => (await api.raw("GET", content)).body.items.length === 1);
  assert.equal((await api.raw("GET", `${namespaces}/full`)).code, 200);
  await api.raw("PATCH", `${content}/held`, {
    body: { metadata: { finalizers: null } },
    headers: mergePatch,
  });
  await until(async () => (await api.raw("GET", `${namespaces}/full`)).code === 404);
  const refused = await api.raw("DELETE", `${namespaces}/default`);
  assert.deepEqual(
    [refused.code, refused.body.message],
    [403, 'namespaces "default" is forbidden: this namespace may not be deleted'],
  );
});

test("an update cannot take a namespace's finalizer away", async () => {
  const path = "/api/v1/namespaces/stripped";
  await api.raw("POST", "/api/v1/namespaces", { body: { metadata: { name: "stripped" } } });
  const { body } = await api.raw("PUT", path, {
    body: { metadata: { name: "stripped" }, spec: {} },
  });
  assert.deepEqual(body.spec.finalizers, ["kubernetes"]);
  const finalized = await api.raw("PUT", `${path}/finalize`, { body: { ...body, spec: {} } });
  assert.deepEqual(finalized.body.spec.finalizers, undefined);
});

test("no object outlives its namespace, however close the creation is to the deletion", async () => {
  for (let round = 0; round < 10; round++) {
    const name = `race-${round}`;
    await api.raw("POST", "/api/v1/namespaces", { body: { metadata: { name } } });
    const content = maps.replace("default", name);
    const creations = Array.from({ length: 10 }, (_, index) =>
      api.raw("POST", content, { body: { metadata: { name: `x${index}` } } }),
    );
    await api.raw("DELETE", `/api/v1/namespaces/${name}`);
    await Promise.all(creations);
    await until(async () => (await api.raw("GET", `/api/v1/namespaces/${name}`)).code === 404);
    assert.deepEqual((await api.raw("GET", content)).body.items, []);
  }
});
