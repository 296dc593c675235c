// What comes of policies, shown on themselves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../../src/client/api-client.ts";
import { clusterNetworkPolicyKind } from "../../src/kinds/cluster-network-policy.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { nodeKind } from "../../src/kinds/node.ts";
import { startTestApi, type TestApi } from "../api-harness.ts";
import { until } from "./following-agent.ts";
import {
  createDomain,
  createNamespace,
  createNode,
  createPod,
  createPolicy,
  RunningController,
} from "./harness.ts";

async function fill({ client }: TestApi): Promise<void> {
  await createDomain(client, 1, "10.1.0.0/16");
  await createNamespace(client, "shop");
  for (const number of [1, 2]) {
    await createNode(client, `n${number}`, `192.0.2.${number}`);
    await createPod(client, { namespace: "shop", name: `web-${number}`, node: `n${number}` });
  }
}

async function annotationsOf(client: ApiClient, name: string): Promise<Record<string, string>> {
  const policy = await client.get(networkPolicyKind, { namespace: "shop", name });
  return policy.metadata.annotations ?? {};
}

async function untilRealised(client: ApiClient, name: string, realised: string): Promise<void> {
  await until(
    async () => (await annotationsOf(client, name))["isobar.io/realised"] === realised,
    40_000,
  );
}

test("a policy says on how many of its nodes it is in force, and follows acknowledgements", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await fill(api);
  await createPolicy(client, "closed", { podSelector: {}, policyTypes: ["Ingress"] });
  await createPolicy(client, "nobody", { podSelector: { matchLabels: { app: "none" } } });
  await using running = new RunningController({ "": client });
  await using first = running.agent("n1");
  await using second = running.agent("n2");
  await untilRealised(client, "closed", "2/2");
  await untilRealised(client, "nobody", "0/0");
  assert.equal((await annotationsOf(client, "closed"))["isobar.io/realised-generation"], "1");
  assert.equal((await annotationsOf(client, "closed"))["isobar.io/problems"], undefined);
  assert.ok(first.isFollowing);

  // A node that does not confirm is not counted, whatever else changes.
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  second.gate = gate;
  const body = { spec: { policyTypes: ["Ingress", "Egress"] } };
  const patch = { type: "merge-patch+json", body } as const;
  const place = { namespace: "shop", name: "closed" };
  await client.patch(networkPolicyKind, place, patch);
  await untilRealised(client, "closed", "1/2");
  assert.equal((await annotationsOf(client, "closed"))["isobar.io/realised-generation"], "2");
  open();
  await untilRealised(client, "closed", "2/2");

  // Another node gets a subject of it.
  await createNode(client, "n3", "192.0.2.3");
  await createPod(client, { namespace: "shop", name: "web-3", node: "n3" });
  await untilRealised(client, "closed", "2/3");
  await using third = running.agent("n3");
  await untilRealised(client, "closed", "3/3");
  assert.ok(third.isFollowing);
});

test("a ClusterNetworkPolicy says so in its conditions, and leaves those of others alone", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await fill(api);
  const name = "no-telnet";
  await client.create(clusterNetworkPolicyKind, {
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    kind: "ClusterNetworkPolicy",
    metadata: { name },
    spec: {
      tier: "Admin",
      priority: 1,
      subject: { namespaces: {} },
      ingress: [
        {
          action: "Deny",
          from: [{ namespaces: {} }],
          protocols: [{ tcp: { destinationPort: { number: 23 } } }],
        },
      ],
    },
  });
  const time = "2026-01-01T00:00:00Z";
  const foreign = { type: "Reviewed", status: "True", reason: "Ours", message: "" };
  const body = { status: { conditions: [{ ...foreign, lastTransitionTime: time }] } };
  const place = { name, subresource: "status" };
  await client.patch(clusterNetworkPolicyKind, place, { type: "merge-patch+json", body });
  await using running = new RunningController({ "": client });
  await using first = running.agent("n1");
  const conditions = async (): Promise<string> => {
    const { status } = await client.get(clusterNetworkPolicyKind, { name });
    const said = status?.conditions.map(({ type, status: is }) => `${type}=${is}`) ?? [];
    return said.toSorted().join();
  };
  const untilSaid = async (wanted: string): Promise<void> =>
    await until(async () => (await conditions()) === wanted, 40_000);
  await untilSaid("Accepted=True,PriorityUnique=True,Realised=False,Reviewed=True");
  await using second = running.agent("n2");
  await untilSaid("Accepted=True,PriorityUnique=True,Realised=True,Reviewed=True");
  assert.ok(first.isFollowing && second.isFollowing);
  const { status } = await client.get(clusterNetworkPolicyKind, { name });
  const realised = status?.conditions.find(({ type }) => type === "Realised");
  assert.equal(realised?.message, "in force on 2 of 2 nodes");
  assert.equal(realised?.observedGeneration, 1);

  // Another of the same priority for the same pods, and again none.
  const { spec } = await client.get(clusterNetworkPolicyKind, { name });
  await client.create(clusterNetworkPolicyKind, {
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    kind: "ClusterNetworkPolicy",
    metadata: { name: "other" },
    spec,
  });
  await untilSaid("Accepted=True,PriorityUnique=False,Realised=True,Reviewed=True");
  const shared = (await client.get(clusterNetworkPolicyKind, { name })).status?.conditions.find(
    ({ type }) => type === "PriorityUnique",
  );
  assert.equal(shared?.message, "shared with other: the first by name decides");
  await client.delete(clusterNetworkPolicyKind, { name: "other" });
  await untilSaid("Accepted=True,PriorityUnique=True,Realised=True,Reviewed=True");
});

test("invalid parts and a switch's refusals are told on the policy, in events and no longer than they last", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await fill(api);
  await createPolicy(client, "odd", {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: {} }] }],
  });
  // As an API server of a later version could have stored it.
  const { entries } = await api.store.range({ prefix: "" });
  const entry = entries.find(({ key }) => key.endsWith("networkpolicies/shop/odd"));
  assert.ok(entry);
  const later = entry.value.replace(`{"podSelector":{}}]`, `{"podSelector":{},"moons":1}]`);
  assert.notEqual(later, entry.value);
  await api.store.transact({ success: [{ kind: "put", key: entry.key, value: later }] });
  await createPolicy(client, "refused", {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: {} }] }],
  });
  await using running = new RunningController({ "": client });
  await using first = running.agent("n1");
  let isFull = true;
  await using second = running.agent("n2", ({ kind, id }) =>
    isFull && kind === "rule" && id.includes("refused") ? "the table is full" : undefined,
  );
  // What is written on it has this server drop the field that it does not know.
  await untilRealised(client, "odd", "2/2");
  await untilRealised(client, "refused", "1/2");
  assert.equal(
    (await annotationsOf(client, "refused"))["isobar.io/problems"],
    "node n2: the table is full",
  );
  const reasons = new Set(running.reports.all.map(({ reason }) => reason));
  assert.ok(reasons.has("PolicyInvalidInPart") && reasons.has("FlowsRefused"));

  isFull = false;
  await createPod(client, { namespace: "shop", name: "another", node: "n2" });
  await untilRealised(client, "refused", "2/2");
  assert.equal((await annotationsOf(client, "refused"))["isobar.io/problems"], undefined);
  assert.ok(first.isFollowing && second.isFollowing);
});

test("nothing is written twice, over others' changes, or where it is switched off", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await fill(api);
  await createPolicy(client, "closed", { podSelector: {} });
  const place = { namespace: "shop", name: "closed" };
  {
    await using silent = new RunningController({ "": client }, { writesStatus: false });
    await using agents = new AsyncDisposableStack();
    const [first, second] = [agents.use(silent.agent("n1")), agents.use(silent.agent("n2"))];
    await until(() => first.isFollowing && second.isFollowing);
    await sleep(1_000);
    assert.deepEqual(await annotationsOf(client, "closed"), {});
  }
  await using running = new RunningController({ "": client });
  await using first = running.agent("n1");
  await using second = running.agent("n2");
  await untilRealised(client, "closed", "2/2");
  const { resourceVersion } = (await client.get(networkPolicyKind, place)).metadata;
  await sleep(1_000);
  const again = await client.get(networkPolicyKind, place);
  assert.equal(again.metadata.resourceVersion, resourceVersion, "no write without a change");
  // Someone who read it before our write may still write it back, and we put ours on again.
  const { annotations: _ours, resourceVersion: _version, ...metadata } = again.metadata;
  await client.update(networkPolicyKind, { ...again, metadata });
  await untilRealised(client, "closed", "2/2");
  assert.ok(first.isFollowing && second.isFollowing);
});

test("a node's network is said to be there once its agent has all in force", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await fill(api);
  const cloud = { type: "NetworkUnavailable", status: "True", reason: "NoRouteCreated" };
  const status = { conditions: [cloud, { type: "Ready", status: "True" }] };
  const patch = { type: "strategic-merge-patch+json", body: { status } } as const;
  await client.patch(nodeKind, { name: "n1", subresource: "status" }, patch);
  await using running = new RunningController({ "": client });
  const conditions = async () => {
    const { conditions: all = [] } = (await client.get(nodeKind, { name: "n1" })).status ?? {};
    return Object.fromEntries(all.map(({ type, status: value }) => [type, value]));
  };
  await sleep(500);
  assert.equal((await conditions())["NetworkUnavailable"], "True");
  await using agent = running.agent("n1");
  await until(async () => (await conditions())["NetworkUnavailable"] === "False");
  assert.equal((await conditions())["Ready"], "True");
  assert.ok(agent.isFollowing);
});
