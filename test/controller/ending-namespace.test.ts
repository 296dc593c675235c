// A namespace that is deleted while its pods still run: the API server takes its other objects away first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { networkKind } from "../../src/kinds/network.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
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

/** As long as it is set, the pod's object stays. */
async function setHeld({ client }: TestApi, name: string, isHeld: boolean): Promise<void> {
  const body = { metadata: { finalizers: isHeld ? ["example.com/hold"] : null } };
  const place = { namespace: "shop", name };
  await client.patch(podKind, place, { type: "merge-patch+json", body });
}

async function countIn({ client }: TestApi): Promise<number[]> {
  const place = { namespace: "shop" };
  const lists = await Promise.all([
    client.list(networkPolicyKind, place),
    client.list(endpointKind, place),
    client.list(networkKind, place),
  ]);
  return lists.map(({ items }) => items.length);
}

test("its pods keep their addresses and policies until they have ended, and nothing stays behind", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await createDomain(client, 1, "10.1.0.0/16");
  await createNode(client, "n1", "192.0.2.1");
  await createNamespace(client, "shop");
  await createNamespace(client, "other");
  for (const name of ["web", "db"])
    await createPod(client, { namespace: "shop", name, node: "n1" });
  await createPod(client, { namespace: "other", name: "probe", node: "n1" });
  await createPolicy(client, "closed", {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { app: "db" } } }] }],
  });
  await using running = new RunningController({ "": client });
  await using agent = running.agent("n1");
  await until(() => agent.ids("endpoint").length === 3);
  await until(() => agent.ids("rule").length === 1);
  const told = (): string[] =>
    [...agent.resources.values()]
      .filter(({ kind, id }) => kind !== "group" && id.includes("shop"))
      .map((resource) => JSON.stringify(resource))
      .toSorted();
  const before = told();

  for (const name of ["web", "db"]) await setHeld(api, name, true);
  await client.delete(namespaceKind, { name: "shop" });
  await until(async () => (await countIn(api)).every((count) => count === 0));
  // Whatever the controller makes of it has come when a later change has.
  await createPod(client, { namespace: "other", name: "late", node: "n1" });
  await until(() => agent.ids("endpoint").includes("other/late"));
  assert.deepEqual(told(), before);

  await setHeld(api, "db", false);
  await until(() => !agent.ids("endpoint").includes("shop/db"));
  assert.ok(agent.ids("endpoint").includes("shop/web"));
  assert.equal(agent.ids("rule").length, 1, "the other pod still has its policy");
  await setHeld(api, "web", false);
  await until(() => agent.ids("endpoint").every((id) => id.startsWith("other/")));
  await until(() => agent.ids("rule").length === 0);
  await until(async () => (await client.find(namespaceKind, { name: "shop" })) === undefined);
});

test("a policy that is deleted alone goes at once, also when its namespace is deleted later", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await createDomain(client, 1, "10.1.0.0/16");
  await createNode(client, "n1", "192.0.2.1");
  await createNamespace(client, "shop");
  await createPod(client, { namespace: "shop", name: "web", node: "n1" });
  await createPolicy(client, "closed", {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ ports: [{ port: 80 }] }],
  });
  await using running = new RunningController({ "": client });
  await using agent = running.agent("n1");
  await until(() => agent.ids("rule").length === 1);
  await client.delete(networkPolicyKind, { namespace: "shop", name: "closed" });
  await until(() => agent.ids("rule").length === 0);
  await client.delete(namespaceKind, { name: "shop" });
  await until(() => agent.ids("endpoint").length === 0);
});

test("a server keeps its policies until its Endpoint has gone, as a pod does", async () => {
  await using api = await startTestApi();
  const { client } = api;
  await createDomain(client, 1, "10.1.0.0/16");
  await createNode(client, "n1", "192.0.2.1");
  await createNamespace(client, "shop");
  await client.create(endpointKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Endpoint",
    metadata: { namespace: "shop", name: "machine", finalizers: ["example.com/hold"] },
    spec: {
      domain: "default",
      node: "n1",
      addresses: ["10.1.0.9"],
      mac: "0a:00:00:00:00:09",
      attachment: { kind: "Server", name: "machine" },
    },
  });
  await createPolicy(client, "closed", {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ ports: [{ port: 80 }] }],
  });
  await using running = new RunningController({ "": client });
  await using agent = running.agent("n1");
  await until(() => agent.ids("rule").length === 1 && agent.ids("endpoint").length === 1);
  await client.delete(namespaceKind, { name: "shop" });
  await until(async () => (await countIn(api))[0] === 0);
  await createNamespace(client, "other");
  await createPod(client, { namespace: "other", name: "late", node: "n1" });
  await until(() => agent.ids("endpoint").includes("other/late"));
  assert.equal(agent.ids("rule").length, 1);
  const place = { namespace: "shop", name: "machine" };
  const body = { metadata: { finalizers: null } };
  await client.patch(endpointKind, place, { type: "merge-patch+json", body });
  await until(() => agent.ids("rule").length === 0);
  assert.deepEqual(agent.ids("endpoint"), ["other/late"]);
});
