// B13, CNI ADD: how long a runtime waits for the CNI executable, at 1, 10 and 50 containers at a time, on a node whose switch
// has 1,000 ports already. ADD returns when the switch has confirmed the endpoint's policies.
//
//   node bench/cni-add.bench.ts [--quick] [--ports N]
//
// Beside it, on the same switch: what a shell script does for a container (ip, and ovs-vsctl, which waits for the switch),
// without addresses from anywhere, policies or flows. And the probe: all interfaces by one `ip -batch`, all ports in one
// transaction; less than that the kernel and ovs-vswitchd do not take. Some of the containers send from before they have an
// interface to where their policies do not let them; what arrives is counted.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs, promisify } from "node:util";
import { buildCniExecutable } from "../src/lab/cni-runtime.ts";
import { cleanup } from "../src/lab/network/cleanup.ts";
import { LabNetwork } from "../src/lab/network/lab-network.ts";
import { runIp } from "../src/runtime/command.ts";
import type { Resource } from "../src/southbound/resources.ts";
import { OvsBridge } from "../src/switch/ovs-bridge.ts";
import { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import { AgentProcess } from "../test/agent/agent-process.ts";
import { TestController } from "../test/agent/test-controller.ts";
import { invokeCni } from "../test/cni/invoke.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    ports: { type: "string", default: "1000" },
  },
});
const portCount = Number(options.ports);
/** Containers by how many are attached at a time. */
const counts: readonly (readonly [parallel: number, count: number])[] = options.quick
  ? [
      [1, 10],
      [10, 40],
      [50, 100],
    ]
  : [
      [1, 200],
      [10, 200],
      [50, 200],
    ];
const most = 200;
/** So many of them send while they are attached. */
const senderCount = 4;
const deniedPort = 9000;

const run = promisify(execFile);
const root = mkdtempSync(join(tmpdir(), "isobar-bench-"));
const lab = `b${process.pid}`;
await using stack = new AsyncDisposableStack();
stack.defer(() => rmSync(root, { recursive: true, force: true }));
stack.defer(async () => {
  await cleanup(lab, root);
});

function addressOf(number: number): string {
  return `10.9.${number >> 8}.${number & 255}`;
}

function endpoint(number: number, identity: string): Resource {
  const hex = number.toString(16).padStart(4, "0");
  return {
    kind: "endpoint",
    id: `bench/pod-${number}`,
    domain: "default",
    node: "node0",
    addresses: [addressOf(number)],
    mac: `0a:00:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`,
    uids: [`uid-${number}`],
    identity,
  };
}

const policy = "NetworkPolicy/bench/isolated";
const world: readonly Resource[] = [
  { kind: "domain", id: "default", vni: 9, pools: ["10.9.0.0/16"] },
  { kind: "group", id: "isolated", identities: ["isolated"], networks: [] },
  { kind: "group", id: "peers", identities: ["peer"], networks: [] },
  {
    kind: "rule",
    id: "rule",
    direction: "egress",
    tier: "networkpolicy",
    priority: 0,
    action: "allow",
    subjects: ["isolated"],
    peers: ["peers"],
    ports: [{ protocol: "TCP", from: 80, to: 80 }],
    policy,
    ruleIndex: 0,
  },
  { kind: "posture", id: "isolated", ingress: [policy], egress: [policy] },
  { kind: "posture", id: "peer", ingress: [], egress: [] },
];
/** The one that nobody may send to on `deniedPort`. */
const peer = 1;
const firstPod = 2;
const firstPort = 1_000;

await buildCniExecutable();
const network = await LabNetwork.create({ name: lab, nodes: ["node0"], root });
stack.defer(async () => await network.destroy());
const node = network.nodes[0]!;
const namespaces = Array.from({ length: most + firstPod }, (_, number) => `bench/pod-${number}`);
await network.createPods(namespaces);
const controllerSocket = join(root, "controller.sock");
const controller = stack.use(await TestController.listen(controllerSocket));
controller.change([
  ...world,
  { kind: "node", id: node.name, addresses: node.addresses },
  endpoint(peer, "peer"),
  ...Array.from({ length: most }, (_, index) => endpoint(firstPod + index, "isolated")),
  ...Array.from({ length: portCount }, (_, index) => endpoint(firstPort + index, "isolated")),
]);
mkdirSync(join(root, "agent"));
const agent = stack.use(
  new AgentProcess({
    node: node.name,
    folder: join(root, "agent"),
    controllers: [controllerSocket],
    ovsdb: node.databaseSocket,
    rundir: node.rundir,
    datapathType: node.datapathType,
    netns: node.netns,
    arguments: node.addresses.map((address) => `--underlay-address=${address}`),
  }),
);
await agent.start();
await agent.until(({ flows, switchConnected }) => switchConnected && flows > 100);
await occupyPorts();
const executable = await buildCniExecutable();

/** Ports labelled as attachments, made in one go, which the agent takes over at its next start. */
async function occupyPorts(): Promise<void> {
  const numbers = Array.from({ length: portCount }, (_, index) => firstPort + index);
  const nameOf = (number: number): string => `iso${number.toString(16).padStart(12, "0")}`;
  await agent.stop("SIGTERM");
  await runIp(
    numbers.flatMap((number) => [
      `link add ${nameOf(number)} type veth peer name q${number}`,
      `link set ${nameOf(number)} up`,
    ]),
    node.netns.slice("/run/netns/".length),
  );
  const client = new OvsdbClient({ address: { path: node.databaseSocket } });
  try {
    await client.connected(5_000);
    const bridge = await OvsBridge.open(client, { name: "br-int", datapathType: "netdev" });
    const ports = numbers.map((number) => ({
      name: nameOf(number),
      externalIds: {
        "isobar-endpoint": `bench/pod-${number}`,
        "isobar-container": String(number),
        "isobar-interface": "eth0",
        "isobar-netns": "/",
        "isobar-attached": "1",
      },
    }));
    await bridge.addPorts(ports, 120_000);
  } finally {
    await client.close();
  }
  await agent.start();
  await agent.until(({ endpoints, switchConnected }) => {
    return switchConnected && endpoints.length >= portCount;
  });
}

function environmentOf(command: string, number: number): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `sandbox-${number}`,
    CNI_NETNS: network.podNetns(`bench/pod-${number}`),
    CNI_IFNAME: "eth0",
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=pod-${number};K8S_POD_UID=uid-${number}`,
  };
}

async function cni(command: string, number: number): Promise<void> {
  const config = { cniVersion: "1.1.0", name: "isobar", type: "isobar", socket: agent.socket };
  const environment = environmentOf(command, number);
  const { code, output } = await invokeCni(executable, environment, JSON.stringify(config));
  if (code !== 0) throw new Error(`${command} ${number}: ${output}`);
}

async function shellAdd(number: number): Promise<void> {
  const script = `
    ip link add peer${number} mtu 1450 type veth peer name eth0 mtu 1450 netns ${network.podNetns(`bench/pod-${number}`)}
    ip link set peer${number} up
    nsenter --net=${network.podNetns(`bench/pod-${number}`)} sh -ec 'ip link set eth0 up
      ip address add ${addressOf(number)}/32 dev eth0
      ip route add 169.254.1.1/32 dev eth0 scope link
      ip route add default via 169.254.1.1 dev eth0'
    ovs-vsctl --db=unix:${node.databaseSocket} --may-exist add-port br-int peer${number}`;
  await run("nsenter", [`--net=${node.netns}`, "sh", "-ec", script]);
}

async function shellDelete(numbers: readonly number[]): Promise<void> {
  const ports = numbers.flatMap((number) => ["--", "del-port", "br-int", `peer${number}`]);
  await run("ovs-vsctl", [`--db=unix:${node.databaseSocket}`, ...ports.slice(1)]);
  const lines = numbers.map((number) => `link delete peer${number}`);
  await runIp(lines, node.netns.slice("/run/netns/".length));
}

/** The least that the machine takes for so many. */
async function probe(count: number): Promise<number> {
  const names = Array.from({ length: count }, (_, index) => `probe${index}`);
  const netns = node.netns.slice("/run/netns/".length);
  const client = new OvsdbClient({ address: { path: node.databaseSocket } });
  try {
    await client.connected(5_000);
    const bridge = await OvsBridge.open(client, { name: "br-int", datapathType: "netdev" });
    const start = performance.now();
    await runIp(
      names.flatMap((name) => [
        `link add ${name} type veth peer name q${name}`,
        `link set ${name} up`,
      ]),
      netns,
    );
    await bridge.addPorts(
      names.map((name) => ({ name })),
      60_000,
    );
    const duration = performance.now() - start;
    await bridge.removePorts(names, 60_000);
    await runIp(
      names.map((name) => `link delete ${name}`),
      netns,
    );
    return duration;
  } finally {
    await client.close();
  }
}

/** Times of single requests, `parallel` of them at any time. */
async function measure(
  numbers: readonly number[],
  parallel: number,
  add: (number: number) => Promise<void>,
): Promise<number[]> {
  const waiting = [...numbers];
  const times: number[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const start = performance.now();
      await add(next);
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return times.toSorted((a, b) => a - b);
}

function quantile(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return `${value.toFixed(0)} ms`.padStart(9);
}

function report(name: string, times: readonly number[], totalMs: number): void {
  const each = (totalMs / times.length).toFixed(1);
  console.log(
    `  ${name.padEnd(10)} p50 ${quantile(times, 0.5)}   p99 ${quantile(times, 0.99)}   ${each} ms each, all told`,
  );
}

const sender = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("error", () => {});
const send = () => { socket.send("x", ${deniedPort}, "${addressOf(peer)}", () => {}); setTimeout(send, 1); };
socket.bind(0, send);
process.stdin.on("end", () => process.exit()).resume();`;
const receiver = `
let count = 0;
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", () => count++);
socket.bind(${deniedPort});
process.stdin.on("end", () => { console.log(count); process.exit(); }).resume();`;

function startIn(number: number, program: string): ChildProcess {
  const netns = network.podNetns(`bench/pod-${number}`);
  const argv = [`--net=${netns}`, process.execPath, "-e", program];
  const child = spawn("nsenter", argv, { stdio: ["pipe", "pipe", "inherit"] });
  stack.defer(() => void child.kill());
  return child;
}

await cni("ADD", peer);
const listening = startIn(peer, receiver);
console.log(`\n${portCount} ports are there already`);
for (const [parallel, count] of counts) {
  const numbers = Array.from({ length: count }, (_, index) => firstPod + index);
  const probed = await probe(parallel);
  const senders = numbers.slice(0, senderCount).map((number) => startIn(number, sender));
  const start = performance.now();
  const ours = await measure(numbers, parallel, async (number) => await cni("ADD", number));
  const ourTotal = performance.now() - start;
  for (const one of senders) one.stdin?.end();
  await measure(numbers, 50, async (number) => await cni("DEL", number));
  const shellStart = performance.now();
  const theirs = await measure(numbers, parallel, shellAdd);
  const shellTotal = performance.now() - shellStart;
  await shellDelete(numbers);
  console.log(`\n${count} containers, ${parallel} at a time`);
  report("isobar", ours, ourTotal);
  report("shell", theirs, shellTotal);
  console.log(`  probe      ${parallel} in one go: ${probed.toFixed(0)} ms`);
}
listening.stdin?.end();
const arrived = (await text(listening.stdout!)).trim();
console.log(`\npackets that policy denies and that arrived: ${arrived}`);
if (arrived !== "0") process.exitCode = 1;
