// Two API servers with one controller: pods of equal names in both, attached by the CNI executable, on real packets. And an
// Endpoint that is no pod at all.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ApiClient } from "../../src/client/api-client.ts";
import { endpointKind } from "../../src/kinds/endpoint.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { buildCniExecutable } from "../../src/lab/cni-runtime.ts";
import { cleanup } from "../../src/lab/network/cleanup.ts";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import { Listeners } from "../../src/lab/network/listeners.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { startTestApi } from "../api-harness.ts";
import { invokeCni } from "../cni/invoke.ts";
import { until } from "../controller/following-agent.ts";
import {
  RunningController,
  createDomain,
  createNamespace,
  createNode,
  createPod,
  createPolicy,
} from "../controller/harness.ts";

const root = mkdtempSync(join(tmpdir(), "isobar-sources-"));
const lab = `s${process.pid}`;
const stack = new AsyncDisposableStack();
const listeners = new Listeners();
const prober = new Prober();
const port = 8080;
const pods = ["web", "db"] as const;

/** One API server, and the one node that it has. Both have a node `n1` and pods `shop/web` and `shop/db`. */
interface Cluster {
  readonly source: "" | "east";
  readonly client: ApiClient;
  readonly node: LabNode;
  readonly agent: AgentProcess;
}

let network: LabNetwork;
let executable: string;
let clusters: readonly Cluster[];

function netnsOf({ source }: Pick<Cluster, "source">, pod: string): string {
  return network.podNetns(`${source || "first"}/${pod}`);
}

async function fill(client: ApiClient, number: number, address: string): Promise<void> {
  await createDomain(client, number, `10.${number}.0.0/16`);
  await createNode(client, "n1", address);
  await createNamespace(client, "shop");
  for (const name of pods) await createPod(client, { namespace: "shop", name, node: "n1" });
}

/** As kubelet has it done for a pod. */
async function attach(cluster: Cluster, name: string): Promise<string> {
  const pod = await cluster.client.get(podKind, { namespace: "shop", name });
  const named = `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name};K8S_POD_UID=${pod.metadata.uid}`;
  return await add(cluster, name, named);
}

async function add(cluster: Cluster, name: string, named: string): Promise<string> {
  const { node, agent } = cluster;
  const environment = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: `sandbox-${name}`,
    CNI_NETNS: netnsOf(cluster, name),
    CNI_IFNAME: "eth0",
    CNI_ARGS: `IgnoreUnknown=1;${named}`,
  };
  const config = { cniVersion: "1.1.0", name: "isobar", type: "isobar", socket: agent.socket };
  const place = { netns: node.netns };
  const { code, output } = await invokeCni(executable, environment, JSON.stringify(config), place);
  assert.equal(code, 0, output);
  const result: { readonly ips: readonly { readonly address: string }[] } = JSON.parse(output);
  return result.ips[0]?.address ?? "";
}

async function verdict(cluster: Cluster, from: string, to: string): Promise<string> {
  const netns = netnsOf(cluster, from);
  const result = await prober.probe({ netns, to, protocol: "tcp", port, timeoutMs: 1_000 });
  return result.verdict;
}

before(async () => {
  executable = await buildCniExecutable();
  network = await LabNetwork.create({ name: lab, nodes: ["node0", "node1"], root });
  stack.defer(async () => await network.destroy());
  const apis = [stack.use(await startTestApi()), stack.use(await startTestApi())] as const;
  const sources = ["", "east"] as const;
  const running = stack.use(new RunningController({ "": apis[0].client, east: apis[1].client }));
  clusters = await Promise.all(
    sources.map(async (source, index): Promise<Cluster> => {
      const node = network.nodes[index]!;
      const { client } = apis[index]!;
      await fill(client, index + 1, node.addresses[0]!);
      const folder = join(root, `agent-${index}`);
      mkdirSync(folder);
      const agent = stack.use(
        new AgentProcess({
          node: source === "" ? "n1" : `${source}:n1`,
          folder,
          controllers: [running.socket],
          ovsdb: node.databaseSocket,
          rundir: node.rundir,
          datapathType: node.datapathType,
          netns: node.netns,
        }),
      );
      await agent.start();
      return { source, client, node, agent };
    }),
  );
  await network.createPods(["first/vm"]);
  await network.createPods(
    clusters.flatMap((each) => pods.map((pod) => `${each.source || "first"}/${pod}`)),
  );
});

after(async () => {
  listeners.closeAll();
  await stack.disposeAsync();
  await cleanup(lab, root);
  rmSync(root, { recursive: true, force: true });
});

test("pods of equal names in two API servers are attached, each with its own address and policies", async () => {
  const [first, east] = clusters;
  assert.ok(first !== undefined && east !== undefined);
  await createPolicy(east.client, "nobody", {
    podSelector: { matchLabels: { app: "web" } },
    policyTypes: ["Ingress"],
  });
  // Each has two identities of its own.
  await east.agent.until(({ resources }) => (resources["posture"] ?? 0) >= 2);
  for (const [index, cluster] of clusters.entries()) {
    for (const pod of pods) {
      const given = await attach(cluster, pod);
      assert.match(given, new RegExp(`^10\\.${index + 1}\\.0\\.\\d+/32$`));
      const name = { namespace: "shop", name: pod };
      const { spec } = await cluster.client.get(endpointKind, name);
      assert.equal(given, `${spec.addresses[0]}/32`);
      const netns = netnsOf(cluster, pod);
      listeners.open({ netns, identity: pod, ports: [{ protocol: "tcp", port }] });
    }
    const { endpoints } = await cluster.agent.status();
    const ids = endpoints.map(({ id }) => id).toSorted();
    const prefix = cluster.source === "" ? "" : `${cluster.source}:`;
    assert.deepEqual(ids, [`${prefix}shop/db`, `${prefix}shop/web`]);
  }
  const webOf = async ({ client }: Cluster): Promise<string> => {
    const { spec } = await client.get(endpointKind, { namespace: "shop", name: "web" });
    return spec.addresses[0] ?? "";
  };
  assert.equal(await verdict(first, "db", await webOf(first)), "allowed");
  assert.equal(await verdict(east, "db", await webOf(east)), "denied");
  // Sources do not meet, though the one's addresses are in no use in the other.
  assert.notEqual(await verdict(first, "db", await webOf(east)), "allowed");
  assert.notEqual(await verdict(east, "db", await webOf(first)), "allowed");
});

test("an Endpoint that is no pod's is attached by its name, and under the policies that its labels ask for", async () => {
  const [first] = clusters;
  assert.ok(first !== undefined);
  const { client } = first;
  const address = "10.1.200.1";
  await client.create(endpointKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Endpoint",
    metadata: { namespace: "shop", name: "vm", labels: { app: "vm" } },
    spec: {
      domain: "default",
      node: "n1",
      addresses: [address],
      mac: "0a:00:00:00:20:01",
      attachment: { kind: "VirtualMachine", name: "vm" },
    },
  });
  await createPolicy(client, "vm", {
    podSelector: { matchLabels: { app: "vm" } },
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: "db" } } }] }],
  });
  await first.agent.until(({ resources }) => resources["rule"] !== undefined);
  assert.equal(await add(first, "vm", "ISOBAR_ENDPOINT=shop/vm"), `${address}/32`);
  const netns = netnsOf(first, "vm");
  listeners.open({ netns, identity: "vm", ports: [{ protocol: "tcp", port }] });
  assert.equal(await verdict(first, "db", address), "allowed");
  assert.equal(await verdict(first, "web", address), "denied");
  await client.delete(endpointKind, { namespace: "shop", name: "vm" });
  await until(async () => (await verdict(first, "db", address)) !== "allowed");
});
