// What may break or be replaced under a running cluster, while connections that policies admit stay open.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processesIn } from "../../src/lab/network/processes.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { Cluster } from "./cluster.ts";
import { installIsobar, isobarNamespace } from "./isobar.ts";
import {
  type PodView,
  deployment,
  namespaceObject,
  podsOf,
  probe,
  processOf,
  target,
} from "./pods.ts";
import { denyAll, policy } from "./policies.ts";
import { Traffic, type TrafficResult } from "./traffic.ts";
import { until } from "./until.ts";

let cluster: Cluster;
const running: Traffic[] = [];
const slow = 300_000;
const inSystem = `--namespace=${isobarNamespace}`;

before(async () => {
  cluster = await Cluster.start("faults", ["node-1", "node-2"]);
  await installIsobar(cluster);
  await cluster.kubectl.apply(namespaceObject("shop"));
  await cluster.kubectl.apply(denyAll("shop"), ...frontToBack);
  await cluster.kubectl.apply(
    deployment("shop", "front", 2),
    deployment("shop", "back", 2),
    deployment("shop", "other", 2),
  );
  await readyPods(6);
});

// What a failed test left running.
afterEach(() => {
  for (const one of running.splice(0)) one.end();
});

after(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

const [front, back] = ["front", "back"].map((app) => ({ podSelector: { matchLabels: { app } } }));
const frontToBack = [
  policy("shop", "back", { ...back, policyTypes: ["Ingress"], ingress: [{ from: [front] }] }),
  policy("shop", "front", { ...front, policyTypes: ["Egress"], egress: [{ to: [back] }] }),
];

async function readyPods(count: number): Promise<PodView[]> {
  let pods: PodView[] = [];
  await until(
    `${count} ready pods`,
    async () => {
      pods = await podsOf(cluster.kubectl, "--namespace=shop");
      return pods.length === count && pods.every(({ ready }) => ready);
    },
    slow,
  );
  return pods;
}

function podOn(pods: readonly PodView[], app: string, node: string): PodView {
  const found = pods.find((pod) => pod.name.startsWith(`${app}-`) && pod.node === node);
  if (found === undefined) throw new Error(`no pod of ${app} on ${node}`);
  return found;
}

/** From the front on node-1 to the back on each of the nodes. */
async function startTraffic(): Promise<Traffic[]> {
  const pods = await readyPods(6);
  const pid = await processOf(cluster.kubectl, podOn(pods, "front", "node-1"));
  const { workload } = cluster.programs;
  const traffic = ["node-1", "node-2"].map(
    (node) => new Traffic({ pid, address: podOn(pods, "back", node).addresses[0]!, workload }),
  );
  running.push(...traffic);
  await sleep(1_000);
  return traffic;
}

async function stopTraffic(traffic: readonly Traffic[]): Promise<TrafficResult[]> {
  return await Promise.all(traffic.map(async (one) => await one.stop()));
}

function assertUnharmed(results: readonly TrafficResult[]): void {
  for (const { connection, sent, lost } of results) {
    assert.match(connection, /held: /);
    assert.equal(lost, 0, `of ${sent} pings`);
  }
}

/** Policies are in force: the front reaches the back, and nobody else does. */
async function assertPolicies(): Promise<void> {
  const pods = await readyPods(6);
  const backs = ["node-1", "node-2"].map((node) => podOn(pods, "back", node));
  const targets = backs.flatMap(({ addresses }) =>
    addresses.map((address) => target("tcp", address, 7000)),
  );
  for (const node of ["node-1", "node-2"]) {
    const from = podOn(pods, "front", node);
    await until(`the way from the front on ${node}`, async () => {
      const verdicts = await probe(cluster.kubectl, from, targets);
      assert.deepEqual(
        targets.filter((one) => verdicts.get(one) !== "allowed"),
        [],
        "not reached",
      );
      return true;
    });
    const verdicts = await probe(cluster.kubectl, podOn(pods, "other", node), targets);
    assert.deepEqual([...new Set(verdicts.values())], ["denied"], `from the other on ${node}`);
  }
}

/** Id of the node's agent, as the machine sees it. */
function agentPid(node: ClusterNode): number {
  const agents = processesIn([node.host.netns]).filter(({ pid }) =>
    readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("src/main/agent.ts"),
  );
  // A program that it is about to call still has its name for a moment.
  const [first] = agents.toSorted((one, other) => Number(one.startTime) - Number(other.startTime));
  if (first === undefined) throw new Error(`no agent runs on ${node.name}`);
  return first.pid;
}

async function agentsFollow(): Promise<void> {
  const { kubectl } = cluster;
  await kubectl.run("rollout", "status", "daemonset/isobar-agent", inSystem, "--timeout=25s");
}

test("agents and the controller are replaced while every ping is answered and no connection is cut", async () => {
  const { kubectl } = cluster;
  const traffic = await startTraffic();
  await kubectl.run("rollout", "restart", "daemonset/isobar-agent", inSystem);
  await until("the new agents", async () => {
    await agentsFollow();
    return true;
  });
  await kubectl.run("rollout", "restart", "deployment/isobar-controller", inSystem);
  await until("the new controller", async () => {
    const status = ["rollout", "status", "deployment/isobar-controller", inSystem];
    await kubectl.run(...status, "--timeout=25s");
    return true;
  });
  await sleep(5_000);
  assertUnharmed(await stopTraffic(traffic));
  await kubectl.run("rollout", "restart", "deployment/other", "--namespace=shop");
  await until("new pods", async () => {
    const status = ["rollout", "status", "deployment/other", "--namespace=shop"];
    await kubectl.run(...status, "--timeout=25s");
    return true;
  });
  await assertPolicies();
});

test("a pod that is deleted while its node has no agent is gone, and its port follows when an agent is back", async () => {
  const { kubectl, nodes } = cluster;
  const nowhere = { spec: { template: { spec: { nodeSelector: { "isobar.test/nowhere": "" } } } } };
  const patch = async (body: object): Promise<void> => {
    const change = ["--type=merge", `--patch=${JSON.stringify(body)}`];
    await kubectl.run("patch", "daemonset/isobar-agent", inSystem, ...change);
  };
  const ports = async (): Promise<number> => {
    const links = await nodes[1]!.run("ip", "-brief", "link");
    return links.match(/^iso[0-9a-f]{12}/gm)?.length ?? 0;
  };
  const other = podOn(await readyPods(6), "other", "node-2");
  const portsBefore = await ports();
  await patch(nowhere);
  await until("the end of the agents", async () => {
    const names = [
      "pods",
      inSystem,
      "--selector=app.kubernetes.io/component=agent",
      "--output=name",
    ];
    return (await kubectl.run("get", ...names)) === "";
  });
  await kubectl.run("delete", "pod", other.name, "--namespace=shop", "--timeout=25s");
  const names = (await podsOf(kubectl, "--namespace=shop")).map(({ name }) => name);
  assert.ok(!names.includes(other.name), "the pod is gone without an agent");
  await patch({ spec: { template: { spec: { nodeSelector: null } } } });
  await readyPods(6);
  await until("the same number of ports", async () => (await ports()) === portsBefore);
  await assertPolicies();
});

test("kubelet, containerd, switch and agent of a node die at once, and the node is as it was", async () => {
  const node = cluster.nodes[1]!;
  const earlier = await readyPods(6);
  const traffic = await startTraffic();
  process.kill(agentPid(node), "SIGKILL");
  process.kill(node.host.processes.switch!, "SIGKILL");
  node.kill("kubelet", "containerd");
  await until("the new kubelet", () => node.pid("kubelet") !== undefined);
  await sleep(10_000);
  await assertPolicies();
  const [same, across] = await stopTraffic(traffic);
  assertUnharmed([same!]);
  assert.match(across!.connection, /held: /, "the connection waited for the switch and went on");
  assert.deepEqual(await readyPods(6), earlier, "the same pods, not restarted");
});

test("a node that lost its power comes back with its pods at their addresses", async () => {
  const node = cluster.nodes[1]!;
  const earlier = await readyPods(6);
  const traffic = await startTraffic();
  await node.reboot();
  await until(
    "the containers' new start",
    async () =>
      (await podsOf(cluster.kubectl, "--namespace=shop")).every(
        (pod) => pod.node !== node.name || pod.restarts > 0,
      ),
    slow,
  );
  const now = await readyPods(6);
  const places = (pods: readonly PodView[]): object[] =>
    pods.map(({ uid, addresses }) => ({ uid, addresses }));
  assert.deepEqual(places(now), places(earlier));
  await assertPolicies();
  const [same] = await stopTraffic(traffic);
  assertUnharmed([same!]);
});

test("while the API server is away traffic goes on as it was, and afterwards pods start again", async () => {
  const { kubectl, plane } = cluster;
  const traffic = await startTraffic();
  const pid = plane.processes().get("kube-apiserver")!;
  process.kill(pid, "SIGSTOP");
  await sleep(15_000);
  process.kill(pid, "SIGCONT");
  await until(
    "the API server",
    async () => (await kubectl.run("get", "--raw", "/readyz")) === "ok",
  );
  await kubectl.run("delete", "pod", "--selector=app=other", "--namespace=shop", "--timeout=25s");
  await assertPolicies();
  assertUnharmed(await stopTraffic(traffic));
});
