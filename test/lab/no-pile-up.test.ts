// Policies that grow in number and size cost little, counted on the switches of a lab whose objects come through the API.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Manifest } from "../../src/client/manifest.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import type { FlowEntry } from "../../src/openflow/flow-entry.ts";
import { tableNames, tables } from "../../src/pipeline/tables.ts";
import { type FlowHistory, type FlowMoment, compareFlows, momentOf } from "./flow-history.ts";
import { TestLab } from "./harness.ts";

const namespace = "shop";
const policyTables: ReadonlySet<number> = new Set(
  tableNames
    .filter((name) => /^(Egress|Ingress|Region)/.test(name))
    .map((name) => tables[name].number),
);
const stack = new AsyncDisposableStack();
let lab: TestLab;

interface PodPlace {
  readonly name: string;
  readonly node: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** Of each group's pods every one is an identity of its own, by its role. Strangers are in neither group. */
const servers = podsOf("server", 3, () => 1);
const clients = podsOf("client", 5, (index) => 2 + (index % 2));
const strangers = podsOf("stranger", 3, (index) => index + 1);

function podsOf(app: string, length: number, nodeOf: (index: number) => number): PodPlace[] {
  return Array.from({ length }, (_, index) => ({
    name: `${app}-${index}`,
    node: nodeOf(index),
    labels: { app, role: `role-${index}` },
  }));
}

function podManifest({ name, node, labels }: PodPlace): Manifest {
  const spec = { nodeName: `node-${node}`, containers: [{ name: "main", image: "any" }] };
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels }, spec };
}

/** Lets the group of `peers` use `ports` of the group of `subjects`, or the other way round for egress. */
function policyManifest(
  name: string,
  direction: "ingress" | "egress",
  ports: readonly number[],
): Manifest {
  const peers = [{ podSelector: { matchLabels: { app: "client" } } }];
  const entries = ports.map((port) => ({ port }));
  const rule =
    direction === "ingress"
      ? { policyTypes: ["Ingress"], ingress: [{ from: peers, ports: entries }] }
      : { policyTypes: ["Egress"], egress: [{ to: peers, ports: entries }] };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace },
    spec: { podSelector: { matchLabels: { app: "server" } }, ...rule },
  };
}

/** The flows of each node, in the order of the nodes. */
async function moments(): Promise<FlowMoment[]> {
  await lab.settle();
  return await Promise.all(lab.nodes.map(async (node) => momentOf(await lab.flows(node))));
}

/** What `change` does to the flows of each node. */
async function effectOf(change: () => Promise<void>): Promise<FlowHistory[]> {
  const earlier = await moments();
  await change();
  const later = await moments();
  return later.map((moment, index) => compareFlows(earlier[index]!, moment));
}

function changesOf({ added, removed, changed }: FlowHistory): number {
  return added.length + removed.length + changed.length;
}

function isOfPolicies({ flow }: FlowEntry): boolean {
  return policyTables.has(flow.table);
}

/** How many more flows the policy tables have than before. */
function policyCostOf({ added, removed }: FlowHistory): number {
  return added.filter(isOfPolicies).length - removed.filter(isOfPolicies).length;
}

function costSince(earlier: readonly FlowMoment[], later: readonly FlowMoment[]): number[] {
  return later.map((moment, index) => policyCostOf(compareFlows(earlier[index]!, moment)));
}

async function relabel(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const body = { metadata: { labels } };
  await lab.client.patch(podKind, { namespace, name }, { type: "merge-patch+json", body });
}

async function revisions(): Promise<number[]> {
  return await Promise.all(lab.nodes.map(async (node) => (await lab.agentStatus(node)).revision));
}

before(async () => {
  lab = stack.use(await TestLab.start());
  await lab.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    ...[...servers, ...clients, ...strangers].map(podManifest),
  ]);
});

after(async () => await stack.disposeAsync());

for (const direction of ["ingress", "egress"] as const) {
  test(`an ${direction} rule between groups costs the sum of their identities and its ports`, async () => {
    // Far apart, so that none shares a flow with another.
    const ports = Array.from({ length: 12 }, (_, index) => 1000 + 7 * index);
    const earlier = await moments();
    await lab.apply([policyManifest(direction, direction, ports)]);
    const [atSubjects = 0, ...elsewhere] = costSince(earlier, await moments());
    const sum = servers.length + clients.length + ports.length;
    assert.ok(atSubjects >= sum && atSubjects <= sum + 8, `${atSubjects} flows for ${sum}`);
    assert.deepEqual(elsewhere, [0, 0]);
    await lab.delete(networkPolicyKind, { namespace, name: direction });
    assert.deepEqual(costSince(earlier, await moments()), [0, 0, 0]);
  });
}

describe("with 1,000 policies about a group", () => {
  before(async () => {
    for (let index = 0; index < 999; index += 27) {
      const batch = Array.from({ length: 27 }, (_, next) => createPolicy(index + next));
      await Promise.all(batch);
    }
  });

  async function createPolicy(index: number): Promise<void> {
    const body = policyManifest(`many-${index}`, "ingress", [10_000 + index]);
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
    await lab.client.json("POST", path, { body });
  }

  test("the last tells nothing to nodes without a subject", async () => {
    await lab.settle();
    const earlier = await revisions();
    const effect = await effectOf(async () => await createPolicy(999));
    const later = await revisions();
    assert.deepEqual(effect.slice(1).map(changesOf), [0, 0]);
    // Everything that a node is sent comes with a revision, which it confirms.
    assert.deepEqual(later.slice(1), earlier.slice(1));
    assert.ok(later[0]! > earlier[0]!);
    const sum = servers.length + clients.length + 1;
    assert.ok(changesOf(effect[0]!) <= sum + 8, `${changesOf(effect[0]!)} changes for ${sum}`);
  });

  test("an endpoint that joins with a known identity changes its own two flows on every node", async () => {
    const effect = await effectOf(async () => {
      await relabel("stranger-1", { app: "client", role: "role-0" });
    });
    const [subjects, own, other] = effect.map(changesOf);
    // One for each address.
    assert.deepEqual([subjects, other], [2, 2]);
    // The port's own, and the gate of what was the last endpoint of its identity here.
    assert.ok(own! <= 5, `${own} changes on its own node`);
  });

  test("an endpoint that joins with a new identity changes one more where the policies are", async () => {
    const effect = await effectOf(async () => {
      await relabel("stranger-2", { app: "client", role: "role-of-its-own" });
    });
    const [subjects, other, own] = effect.map(changesOf);
    assert.deepEqual([subjects, other], [3, 2]);
    // The gates of the old identity and of the new one, in both directions.
    assert.ok(own! <= 7, `${own} changes on its own node`);
  });

  test("a pod that is created in the group changes as few on other nodes", async () => {
    const newcomer = { name: "newcomer", node: 2, labels: { app: "client", role: "new" } };
    const effect = await effectOf(async () => await lab.apply([podManifest(newcomer)]));
    const [subjects, , other] = effect.map(changesOf);
    assert.deepEqual([subjects, other], [3, 2]);
  });
});
