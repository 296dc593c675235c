// Several API servers at once: each with names, policies and addresses of its own, and each alone in its troubles.
import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { networkKind } from "../../src/kinds/network.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { openMemoryStore } from "../../src/store/memory-store.ts";
import { makeTestClient, startTestApi, type TestApi } from "../api-harness.ts";
import { until } from "./following-agent.ts";
import {
  createDomain,
  createNamespace,
  createNode,
  createPod,
  createPolicy,
  RunningController,
} from "./harness.ts";

/** Both clusters have the same names throughout; only their pools and VNIs differ. */
async function fill({ client }: TestApi, number: number): Promise<void> {
  await createDomain(client, number, `10.${number}.0.0/16`);
  await createNode(client, "n1", `192.0.2.${number}`);
  await createNamespace(client, "shop");
  for (const name of ["web", "db"])
    await createPod(client, { namespace: "shop", name, node: "n1" });
}

async function addressesIn({ client }: TestApi): Promise<string[]> {
  const { items } = await client.list(endpointKind);
  return items.flatMap(({ spec }) => spec.addresses).toSorted();
}

test("equal names of two sources stay apart, and each source gets its own addresses", async () => {
  await using first = await startTestApi();
  await using east = await startTestApi();
  await fill(first, 1);
  await fill(east, 2);
  await createPolicy(first.client, "all", {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ namespaceSelector: {} }] }],
  });
  await using running = new RunningController({ "": first.client, east: east.client });
  await using agent = running.agent("n1");
  await using eastern = running.agent("east:n1");
  const wanted = ["east:shop/db", "east:shop/web", "shop/db", "shop/web"];
  for (const each of [agent, eastern]) {
    await until(() => each.ids("endpoint").length === 4);
    assert.deepEqual(each.ids("endpoint"), wanted);
    assert.deepEqual(each.ids("domain"), ["default", "east:default"]);
    assert.deepEqual(each.ids("node"), ["east:n1", "n1"]);
  }
  assert.deepEqual(await addressesIn(first), ["10.1.0.1", "10.1.0.2"]);
  assert.deepEqual(await addressesIn(east), ["10.2.0.1", "10.2.0.2"]);
  assert.equal((await east.client.list(networkKind)).items[0]?.spec.domain, "default");

  const metrics = await running.controller.metrics.render();
  for (const [domain, pool] of [
    ["default", "10.1.0.0/16"],
    ["east:default", "10.2.0.0/16"],
  ]) {
    // One network of 256 addresses in a pool of 65,536.
    const cut = `isobar_controller_pool_cut_ratio{domain="${domain}",pool="${pool}"} 0.00390625`;
    assert.ok(metrics.includes(`${cut}\n`), cut);
    const used = `isobar_controller_network_places_used{domain="${domain}"} 2`;
    assert.ok(metrics.includes(`${used}\n`), used);
  }
  assert.match(metrics, /^isobar_controller_network_places\{domain="default"\} 25\d$/m);
  assert.match(metrics, /^isobar_controller_watch_silence_seconds\{kind="Pod"\} \d\.\d+$/m);

  // The policy isolates and admits pods of its own source only.
  assert.equal(agent.ids("rule").length, 1);
  assert.deepEqual(eastern.ids("rule"), []);
  const groups = [...agent.resources.values()].filter((each) => each.kind === "group");
  const members = groups.flatMap((group) => group.identities ?? []);
  assert.ok(members.length > 0);
  assert.deepEqual(
    members.filter((identity) => identity.includes("east")),
    [],
  );
});

test("a namespace cannot claim to be another source's", async () => {
  await using first = await startTestApi();
  await using east = await startTestApi();
  await fill(first, 1);
  await fill(east, 2);
  await createPolicy(east.client, "all", {
    podSelector: {},
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ namespaceSelector: {} }] }],
  });
  const body = { metadata: { labels: { "isobar.io/source": "east" } } };
  await first.raw("PATCH", "/api/v1/namespaces/shop", {
    body,
    headers: { "content-type": "application/merge-patch+json" },
  });
  await using running = new RunningController({ "": first.client, east: east.client });
  await using eastern = running.agent("east:n1");
  await until(() => eastern.ids("endpoint").length === 4);
  const groups = [...eastern.resources.values()].filter((each) => each.kind === "group");
  const members = groups.flatMap((group) => group.identities ?? []);
  assert.ok(members.length > 0 && members.every((identity) => identity.includes("east")));
});

test("a source that is away stops nobody, and loses nothing", async () => {
  const store = openMemoryStore();
  await using first = await startTestApi();
  let east = await startTestApi({ store });
  const port = Number(new URL(east.server.url).port);
  const eastClient = makeTestClient(east.server.url);
  await fill(first, 1);
  await fill(east, 2);
  const clients = { "": first.client, east: eastClient };
  const before = new RunningController(clients);
  await using agent = before.agent("n1");
  await until(() => agent.ids("endpoint").length === 4);
  await east[Symbol.asyncDispose]();

  // While it is away, the first one's changes go on.
  await createPod(first.client, { namespace: "shop", name: "new", node: "n1" });
  await until(() => agent.ids("endpoint").length === 5);

  // A controller that starts meanwhile serves the first one's nodes, and deletes nothing that it cannot know of.
  await before[Symbol.asyncDispose]();
  const held = new Map(agent.resources);
  await agent[Symbol.asyncDispose]();
  await using after = new RunningController(clients);
  await using again = after.agent("n1");
  for (const [key, resource] of held) again.resources.set(key, resource);
  await using eastern = after.agent("east:n1");
  await createPod(first.client, { namespace: "shop", name: "newer", node: "n1" });
  await until(() => again.ids("endpoint").includes("shop/newer"));
  assert.deepEqual(
    again.ids("endpoint").filter((id) => id.startsWith("east:")),
    ["east:shop/db", "east:shop/web"],
  );
  assert.equal(eastern.isFollowing, false, "a node is not served before its own source is read");

  // When it is back, what went meanwhile goes.
  east = await startTestApi({ store, listen: { port } });
  await east.client.delete(endpointKind, { namespace: "shop", name: "web" });
  await east.client.delete(podKind, { namespace: "shop", name: "web" }, { gracePeriodSeconds: 0 });
  await until(() => eastern.isFollowing && again.ids("endpoint").length === 5);
  assert.deepEqual(again.ids("endpoint"), [
    "east:shop/db",
    "shop/db",
    "shop/new",
    "shop/newer",
    "shop/web",
  ]);
  await east[Symbol.asyncDispose]();
  await eastClient.close();
  await store.close();
});

test("an object that its server should not have taken is left out, and says why", async () => {
  await using api = await startTestApi();
  await fill(api, 1);
  // Past the server's checks, as a server that knows only a CRD would take it.
  const { entries } = await api.store.range({ prefix: "" });
  const entry = entries.find(({ key }) => key.includes("isobar.io/domains/default"));
  assert.ok(entry);
  const { key, value } = entry;
  const put = { kind: "put", key, value: value.replace(`"vni":1,`, `"vni":-1,`) } as const;
  await api.store.transact({ success: [put] });
  await using running = new RunningController({ "": api.client });
  await using agent = running.agent("n1");
  await until(() => agent.isFollowing);
  assert.deepEqual(agent.ids("domain"), []);
  const [report] = running.reports.all;
  assert.deepEqual([report?.reason, report?.regarding.name], ["InvalidObject", "default"]);
  assert.match(report?.message ?? "", /spec.vni: Invalid value: -1/);

  // Mended, it counts.
  const mended = { kind: "put", key, value: value.replace(`"vni":1,`, `"vni":7,`) } as const;
  await api.store.transact({ success: [mended] });
  await until(() => agent.ids("domain").length === 1);
});

test("names of sources are checked", () => {
  const client = makeTestClient("https://localhost:1");
  assert.throws(() => new RunningController({ east: client }), /first source has no name/);
  assert.throws(() => new RunningController({ "": client, "Ea:st": client }), /"Ea:st"/);
});
