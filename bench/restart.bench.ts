// Restart without loss: 100,000 flows on a node, pings every 10 ms and 200 TCP connections to a pod of it, from its own
// node and through the tunnel. Then the agent, the controller and ovs-vswitchd are killed, one after the other, and what
// the traffic loses is counted. Beside it ovn-controller, killed under as many flows and the same traffic on one node.
//
//   node bench/restart.bench.ts [--quick]
import { setTimeout as sleep } from "node:timers/promises";
import { networkPolicyKind } from "../src/kinds/network-policy.ts";
import { podKind } from "../src/kinds/pod.ts";
import { compareFlows, momentOf } from "../test/lab/flow-history.ts";
import { TestLab, killAll, until } from "../test/lab/harness.ts";
import { Conversation, EchoServer, Ping, type Route, Traffic } from "../test/lab/traffic.ts";
import { type Outcome, measureOvn } from "./restart-ovn.ts";

const quick = process.argv.includes("--quick");
/** Networks that the policies name; each costs a flow that finds it, and one for the rule that names it. */
const networks = quick ? 5_000 : 50_000;
const networksPerPolicy = 1_000;
const connections = 200;
const port = 7000;

const places = { server: "node-1", near: "node-1", far: "node-2" } as const;

const manifests = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
${Object.entries(places)
  .map(
    ([name, node]) => `---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec:
  nodeName: ${node}
  containers: [{ name: main, image: any }]
`,
  )
  .join("")}---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: shop, namespace: shop }
spec:
  podSelector: { matchLabels: { app: server } }
  ingress: [{ from: [{ podSelector: {} }] }]
`;

/** Policies that allow the server to be reached from networks of the outside, each an address. */
async function createPolicies(lab: TestLab): Promise<void> {
  for (let first = 0; first < networks; first += networksPerPolicy) {
    const from = Array.from({ length: networksPerPolicy }, (_, n) => {
      const number = first + n;
      const cidr = `11.${number >> 15}.${(number >> 7) & 255}.${(number & 127) * 2}/32`;
      return { ipBlock: { cidr } };
    });
    const name = `outside-${first}`;
    await lab.client.create(networkPolicyKind, {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { namespace: "shop", name },
      spec: { podSelector: { matchLabels: { app: "server" } }, ingress: [{ from }] },
    });
  }
}

/** The longest time in which no ping was answered, looked at every few milliseconds. */
async function longestSilence(pings: readonly Ping[], work: () => Promise<void>): Promise<number> {
  let longest = 0;
  const last = pings.map(({ answered }) => ({ answered, atMs: performance.now() }));
  const look = setInterval(() => {
    const now = performance.now();
    for (const [index, ping] of pings.entries()) {
      const before = last[index]!;
      longest = Math.max(longest, now - before.atMs);
      if (ping.answered > before.answered) last[index] = { answered: ping.answered, atMs: now };
    }
  }, 5);
  try {
    await work();
  } finally {
    clearInterval(look);
  }
  return Math.round(longest);
}

/** On a busy machine the traffic goes before what is started again. */
async function killAndRecover(lab: TestLab, names: readonly string[]): Promise<void> {
  const pids = await Promise.all(names.map(async (name) => await lab.pidOf(name)));
  await killAll(pids);
  await until(
    "other processes in their places",
    async () => {
      const { processes } = await lab.status();
      return processes
        .filter(({ name }) => names.includes(name))
        .every(({ pid }) => pid !== undefined && !pids.includes(pid));
    },
    60_000,
  );
  await lab.recovered(300_000);
}

async function measure(
  killed: string,
  traffic: Traffic,
  lab: TestLab,
  kill: () => Promise<void>,
): Promise<Outcome> {
  const before = momentOf(await lab.flows("node-1"));
  await sleep(3_000);
  let awayMs = 0;
  const report = await traffic.during(async () => {
    await sleep(1_000);
    awayMs = await longestSilence(traffic.pings, kill);
    await sleep(2_000);
  });
  const { added, removed, reinstalled } = compareFlows(before, momentOf(await lab.flows("node-1")));
  return {
    killed,
    pings: report.pings,
    lost: report.lostPings,
    ended: report.ended.length,
    awayMs: report.lostPings === 0 ? 0 : awayMs,
    flows: `${added.length} added, ${removed.length} removed, ${reinstalled.length} made anew`,
  };
}

async function measureIsobar(): Promise<readonly Outcome[]> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await TestLab.start({ nodes: 2 }));
  await lab.apply(manifests);
  await createPolicies(lab);
  await lab.settle(300_000);
  const { flows } = await lab.agentStatus("node-1");
  console.log(`Isobar: ${flows} flows on node-1`);
  const server = await lab.client.get(podKind, { namespace: "shop", name: "server" });
  const to = server.status?.podIPs?.[0]?.ip ?? "";
  stack.use(new EchoServer(lab.podNetns("shop/server"), port));
  await lab.takePrecedence();
  const route = (from: string): Route => ({ netns: lab.podNetns(`shop/${from}`), to, port });
  const sources = ["near", "far"] as const;
  const traffic = stack.use(
    new Traffic(
      Array.from({ length: connections }, (_, n) => {
        const from = sources[n % 2]!;
        return new Conversation(`${from} ${n}`, route(from));
      }),
      sources.map((from) => new Ping(from, route(from))),
    ),
  );
  await traffic.established();
  const agents = ["agent-node-1", "agent-node-2"];
  const outcomes = [
    await measure("agents", traffic, lab, async () => await killAndRecover(lab, agents)),
    await measure(
      "controller",
      traffic,
      lab,
      async () => await killAndRecover(lab, ["controller"]),
    ),
  ];
  const pings = traffic.pings.map(({ answered }) => answered);
  outcomes.push(
    await measure("ovs-vswitchd", traffic, lab, async () => {
      await killAll([lab.switchPidOf("node-1", "ovs-vswitchd")]);
      await until(
        "pings",
        () => traffic.pings.every((ping, index) => ping.answered > (pings[index] ?? 0) + 200),
        60_000,
      );
      await lab.recovered(300_000);
    }),
  );
  return outcomes;
}

function print(name: string, outcomes: readonly Outcome[]): void {
  for (const { killed, pings, lost, ended, awayMs, flows } of outcomes) {
    const away = lost === 0 ? "" : `, at most ${awayMs} ms without an answer`;
    console.log(
      `${name}, ${killed} killed: ${lost} of ${pings} pings lost${away}; ` +
        `${ended} of ${connections} connections ended; flows: ${flows}`,
    );
  }
}

const isobar = await measureIsobar();
print("Isobar", isobar);
print("OVN", [await measureOvn({ addresses: 2 * networks, connections, port })]);
if (isobar.some(({ killed, lost, ended }) => killed !== "ovs-vswitchd" && lost + ended > 0)) {
  process.exitCode = 1;
}
