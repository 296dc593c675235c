// Parts of the installation are killed while 200 connections and a ping every 10 ms go through its switches.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { addFlow, deleteFlow } from "../../src/openflow/flow-mod.ts";
import type { Flow } from "../../src/openflow/flow.ts";
import { type FlowMoment, compareFlows, momentOf } from "./flow-history.ts";
import { TestLab, killAll, until } from "./harness.ts";
import { Conversation, EchoServer, Ping, Traffic } from "./traffic.ts";

const echoPort = 7000;
const stack = new AsyncDisposableStack();
const numbers = [1, 2, 3] as const;
let lab: TestLab;
let traffic: Traffic;

function pod(role: string, number: number): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${role}-${number}, namespace: shop, labels: { role: ${role} } }
spec:
  nodeSelector: { kubernetes.io/hostname: node-${number} }
  containers: [{ name: main, image: any, ports: [{ containerPort: 80 }] }]
---`;
}

function servers(role: string): string {
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: servers, namespace: shop }
spec:
  podSelector: { matchLabels: { role: server } }
  ingress:
    - from: [{ podSelector: { matchLabels: { role: ${role} } } }]
      ports:
        - { protocol: TCP, port: 80 }
        - { protocol: TCP, port: ${echoPort} }
        - { protocol: UDP, port: ${echoPort} }
`;
}

const manifests = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
${numbers.map((number) => ["server", "client", "stranger"].map((role) => pod(role, number)).join("")).join("")}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: nobody, namespace: shop }
spec: { podSelector: {}, policyTypes: [Ingress] }
---
${servers("client")}
`;

async function addressOf(name: string): Promise<string> {
  const { status } = await lab.client.get(podKind, { namespace: "shop", name });
  assert.ok(status?.podIP !== undefined);
  return status.podIP;
}

/** Whether a datagram from the one comes back from the other. */
async function reaches(from: string, to: string): Promise<boolean> {
  const route = { netns: lab.podNetns(`shop/${from}`), to: await addressOf(to), port: echoPort };
  using ping = new Ping(`${from} -> ${to}`, route);
  for (let attempt = 0; attempt < 10 && ping.answered === 0; attempt++) {
    ping.send();
    await sleep(30);
  }
  return ping.answered > 0;
}

async function momentsOfAll(): Promise<Map<string, FlowMoment>> {
  const moments = lab.nodes.map(async (node) => [node, momentOf(await lab.flows(node))] as const);
  return new Map(await Promise.all(moments));
}

/** Every flow of every switch is the very flow that it was. */
async function assertUntouched(earlier: ReadonlyMap<string, FlowMoment>): Promise<void> {
  for (const [node, now] of await momentsOfAll()) {
    const then = earlier.get(node);
    assert.ok(then !== undefined && then.flows.size > 100, `${node} has flows`);
    assert.ok(now.atSeconds - then.atSeconds >= 2, "flows that are made anew can be told");
    const { added, removed, changed, reinstalled } = compareFlows(then, now);
    assert.deepEqual(
      { node, added, removed, changed, reinstalled },
      {
        node,
        added: [],
        removed: [],
        changed: [],
        reinstalled: [],
      },
    );
  }
}

before(async () => {
  lab = stack.use(await TestLab.start());
  await lab.apply(manifests);
  await lab.settle();
  const pairs: { from: number; to: number; address: string }[] = [];
  for (const to of numbers) {
    stack.use(new EchoServer(lab.podNetns(`shop/server-${to}`), echoPort));
    const address = await addressOf(`server-${to}`);
    for (const from of numbers) pairs.push({ from, to, address });
  }
  const routeOf = (pair: (typeof pairs)[number]) => ({
    netns: lab.podNetns(`shop/client-${pair.from}`),
    to: pair.address,
    port: echoPort,
  });
  const conversations = Array.from({ length: 200 }, (_, index) => {
    const pair = pairs[index % pairs.length]!;
    return new Conversation(`client-${pair.from} -> server-${pair.to} #${index}`, routeOf(pair));
  });
  const pings = pairs
    .filter(({ from, to }) => from !== to)
    .map((pair) => new Ping(`client-${pair.from} -> server-${pair.to}`, routeOf(pair)));
  traffic = stack.use(new Traffic(conversations, pings));
  await lab.takePrecedence();
  await traffic.established();
  // Flows must have an age by which younger ones can be told.
  await sleep(2_100);
});

after(async () => await stack.disposeAsync());

const agents = ["agent-node-1", "agent-node-2", "agent-node-3"] as const;

const kills: readonly (readonly [what: string, names: readonly string[]])[] = [
  ["the controller", ["controller"]],
  ["an agent", ["agent-node-2"]],
  ["all agents", agents],
  ["the controller and all agents", ["controller", ...agents]],
  ["the API server", ["apiserver"]],
  ["the API server, the controller and all agents", ["apiserver", "controller", ...agents]],
];

/**
 * A datagram can also be lost because the machine stood still and a queue ran over. What a kill loses it loses every
 * time, so a round with lost pings is repeated; connections and flows are held to every round.
 */
const mostRounds = 3;

for (const [what, names] of kills) {
  test(`killing ${what} loses no connection and no ping, and touches no flow`, async (t) => {
    const lost: number[] = [];
    do {
      const flows = await momentsOfAll();
      let recoveredMs = 0;
      const report = await traffic.during(async () => {
        await sleep(300);
        const killedAt = performance.now();
        await lab.killAndRecover(...names);
        recoveredMs = Math.round(performance.now() - killedAt);
        await sleep(Math.max(300, 2_100 - recoveredMs));
      });
      t.diagnostic(`whole again after ${recoveredMs} ms; ${JSON.stringify(report)}`);
      assert.equal(report.conversations, 200);
      assert.ok(report.pings > 500, "pings were sent");
      assert.deepEqual(report.ended, []);
      await assertUntouched(flows);
      lost.push(report.lostPings);
    } while (lost.at(-1) !== 0 && lost.length < mostRounds);
    assert.equal(lost.at(-1), 0, `pings lost in each round: ${lost.join(", ")}`);
  });
}

/**
 * ovs-vswitchd does nothing in its main loop while it has lost the database, and tries again after a second. In user
 * space that loop also moves the packets of ports such as these; the kernel's datapath would not pause.
 */
test("killing the switch's database loses no connection and touches no flow", async (t) => {
  const flows = await momentsOfAll();
  const killed = lab.switchPidOf("node-2", "ovsdb-server");
  const report = await traffic.during(async () => {
    await sleep(300);
    await killAll([killed]);
    await until("another ovsdb-server", () => {
      try {
        return lab.switchPidOf("node-2", "ovsdb-server") !== killed;
      } catch {
        return false;
      }
    });
    await sleep(2_000);
  });
  t.diagnostic(JSON.stringify(report));
  assert.deepEqual(report.ended, []);
  await assertUntouched(flows);
  const calm = await traffic.during(async () => await sleep(500));
  assert.ok(calm.lostPings * 20 < calm.pings, `${calm.lostPings} of ${calm.pings} pings lost`);
  assert.deepEqual((await lab.compareVerdicts()).mismatches, []);
});

test("an agent that comes back takes away what is too much, adds what is missing, and leaves the rest", async () => {
  const node = "node-1";
  await using client = await lab.openSwitch(node);
  const earlier = momentOf(await client.dumpFlows());
  const missing = [...earlier.flows.values()].filter(({ flow }) => flow.table > 30).slice(0, 3);
  const stray: Flow = { table: 200, priority: 7, cookie: 5n, match: [], actions: [] };
  await lab.whileDown(["agent-node-1"], async () => {
    await client.bundle([...missing.map(({ flow }) => deleteFlow(flow)), addFlow(stray)]);
  });
  await sleep(2_100);
  const history = compareFlows(earlier, momentOf(await client.dumpFlows()));
  const cookies = (entries: typeof missing) =>
    entries.map(({ flow }) => String(flow.cookie)).toSorted((a, b) => (a < b ? -1 : 1));
  assert.deepEqual([history.added, history.removed, history.changed], [[], [], []]);
  assert.deepEqual(cookies([...history.reinstalled]), cookies(missing));
});

test("policies change while all agents and the controller are down: verdicts stay, and follow when they are back", async (t) => {
  assert.equal(await reaches("client-1", "server-2"), true);
  assert.equal(await reaches("stranger-1", "server-2"), false);
  let backAt = 0;
  await lab.whileDown(["controller", ...agents], async () => {
    await lab.apply(servers("stranger"));
    await sleep(200);
    assert.equal(await reaches("client-1", "server-2"), true);
    assert.equal(await reaches("client-2", "server-2"), true);
    assert.equal(await reaches("stranger-1", "server-2"), false);
    assert.equal(await reaches("stranger-2", "server-2"), false);
    backAt = performance.now();
  });
  t.diagnostic(`in force ${Math.round(performance.now() - backAt)} ms after they could start`);
  assert.equal(await reaches("stranger-1", "server-2"), true);
  assert.equal(await reaches("stranger-2", "server-2"), true);
  assert.equal(await reaches("client-1", "server-2"), false);
  assert.deepEqual((await lab.compareVerdicts()).mismatches, []);
  await lab.apply(servers("client"));
  await lab.settle();
});

test("agents alone follow a controller that changed its mind while they were down", async () => {
  await lab.whileDown(agents, async () => {
    await lab.delete(networkPolicyKind, { namespace: "shop", name: "servers" });
    await sleep(200);
    assert.equal(await reaches("client-1", "server-2"), true);
  });
  assert.equal(await reaches("client-1", "server-2"), false);
  assert.deepEqual((await lab.compareVerdicts()).mismatches, []);
});
