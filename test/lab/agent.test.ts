import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cleanup } from "../../src/lab/network/cleanup.ts";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import { Listeners } from "../../src/lab/network/listeners.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import type { Attached, LocalReply } from "../../src/southbound/attachment.ts";
import type { EndpointResource, Resource, RuleResource } from "../../src/southbound/resources.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { TestController } from "../agent/test-controller.ts";

const root = mkdtempSync(join(tmpdir(), "isobar-agent-"));
const lab = `a${process.pid}`;
const listeners = new Listeners();
const prober = new Prober();
const stack = new AsyncDisposableStack();
const agents: AgentProcess[] = [];
let network: LabNetwork;
let controller: TestController;

interface Pod {
  readonly name: string;
  readonly node: number;
  readonly number: number;
  readonly identity: string;
}

const pods: readonly Pod[] = [
  { name: "shop/web", node: 0, number: 1, identity: "web" },
  { name: "shop/client-a", node: 0, number: 2, identity: "client" },
  { name: "shop/client-b", node: 1, number: 3, identity: "client" },
  { name: "shop/other-b", node: 1, number: 4, identity: "other" },
];

function endpointOf(pod: Pod): EndpointResource {
  const hex = pod.number.toString(16).padStart(2, "0");
  return {
    kind: "endpoint",
    id: pod.name,
    domain: "default",
    node: `node${pod.node}`,
    addresses: [`10.9.0.${pod.number}`, `fd09::${pod.number}`],
    mac: `0a:00:00:00:09:${hex}`,
    identity: pod.identity,
  };
}

function netnsOf(pod: Pod): string {
  return `/run/netns/isobar-${lab}.pod.${pod.name.replace("/", ".")}`;
}

const rule80: RuleResource = {
  kind: "rule",
  id: "web-80",
  direction: "ingress",
  tier: "networkpolicy",
  priority: 0,
  action: "allow",
  subjects: ["web"],
  peers: ["clients"],
  ports: [{ protocol: "TCP", from: 80, to: 80 }],
  policy: "NetworkPolicy/shop/web",
  ruleIndex: 0,
};

/** Only clients may reach the web on port 80. */
const policy: readonly Resource[] = [
  { kind: "domain", id: "default", vni: 9, pools: ["10.9.0.0/16", "fd09::/64"] },
  { kind: "group", id: "web", identities: ["web"], networks: [] },
  { kind: "group", id: "clients", identities: ["client"], networks: [] },
  rule80,
  { kind: "posture", id: "web", ingress: ["NetworkPolicy/shop/web"], egress: [] },
  { kind: "posture", id: "client", ingress: [], egress: [] },
  { kind: "posture", id: "other", ingress: [], egress: [] },
];

function startAgent(node: LabNode, socket: string): AgentProcess {
  const folder = join(root, `agent-${node.name}`);
  mkdirSync(folder);
  return new AgentProcess({
    node: node.name,
    folder,
    controllers: [socket],
    ovsdb: node.databaseSocket,
    rundir: node.rundir,
    datapathType: node.datapathType,
    netns: node.netns,
    arguments: node.addresses.map((address) => `--underlay-address=${address}`),
  });
}

async function attach(pod: Pod, container = pod.name): Promise<LocalReply> {
  const agent = agents[pod.node];
  assert.ok(agent !== undefined);
  return await agent.request({
    type: "attach",
    endpoint: pod.name,
    container,
    netns: netnsOf(pod),
    interface: "eth0",
    timeoutMs: 10_000,
  });
}

async function attached(pod: Pod): Promise<Attached> {
  const reply = await attach(pod);
  assert.ok(reply.type === "attached", JSON.stringify(reply));
  return reply;
}

async function verdict(from: string, to: string, port: number): Promise<string> {
  const { verdict: word } = await prober.probe({
    netns: from,
    to,
    protocol: "tcp",
    port,
    timeoutMs: 900,
  });
  return word;
}

function nodeCommand(node: LabNode, ...command: string[]): string {
  return execFileSync("nsenter", [`--net=${node.netns}`, ...command], { encoding: "utf8" });
}

function ip(node: LabNode, ...args: string[]): string {
  return nodeCommand(node, "ip", ...args);
}

/** Names of the node's interfaces. */
function linksOf(node: LabNode): string[] {
  const links: unknown = JSON.parse(ip(node, "-json", "link", "show"));
  assert.ok(Array.isArray(links));
  return links.map(({ ifname }: { ifname: string }) => ifname).toSorted();
}

function internetAddress(): string {
  const address = network.externalHosts[0]?.addresses[0];
  assert.ok(address !== undefined);
  return address;
}

/** Tries again for a while. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await check();
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}

before(async () => {
  network = await LabNetwork.create({ name: lab, nodes: ["node0", "node1"], root });
  stack.defer(async () => await network.destroy());
  await network.createPods(pods.map(({ name }) => name));
  const socket = join(root, "controller.sock");
  controller = stack.use(await TestController.listen(socket));
  controller.change([
    ...policy,
    ...network.nodes.map(({ name: id, addresses }) => ({ kind: "node", id, addresses }) as const),
    ...pods.map(endpointOf),
  ]);
  for (const node of network.nodes) agents.push(stack.use(startAgent(node, socket)));
  await Promise.all(agents.map(async (agent) => await agent.start()));
});

after(async () => {
  listeners.closeAll();
  await stack.disposeAsync();
  await cleanup(lab, root);
  rmSync(root, { recursive: true, force: true });
});

test("nodes find each other before there is anything to send", async () => {
  for (const node of network.nodes) {
    const peer = network.nodes.find((other) => other !== node);
    await eventually(async () => {
      const known = await unixctl(node.controlSocket, "tnl/neigh/show");
      assert.ok(known.includes(peer!.addresses[0]!), known);
    });
  }
});

test("attached pods reach each other as the policy says, over the tunnel and on one node", async () => {
  const replies = await Promise.all(pods.map(attached));
  assert.deepEqual(replies[0]?.addresses, ["10.9.0.1/32", "fd09::1/128"]);
  assert.equal(replies[0]?.mtu, 1450);
  const [web, clientA, clientB, otherB] = pods.map(netnsOf);
  assert.ok(web && clientA && clientB && otherB);
  listeners.open({
    netns: web,
    identity: "web",
    ports: [
      { protocol: "tcp", port: 80 },
      { protocol: "tcp", port: 81 },
    ],
  });
  for (const address of ["10.9.0.1", "fd09::1"]) {
    assert.deepEqual(
      await Promise.all([
        verdict(clientA, address, 80),
        verdict(clientB, address, 80),
        verdict(otherB, address, 80),
        verdict(clientB, address, 81),
      ]),
      ["allowed", "allowed", "denied", "denied"],
      address,
    );
  }
});

test("a megabyte crosses the tunnel in full-size segments", async () => {
  const [web, , clientB] = pods.map(netnsOf);
  assert.ok(web && clientB);
  const receive = `
    const server = require("net").createServer((socket) => {
      let size = 0;
      socket.on("data", (chunk) => (size += chunk.length));
      socket.on("end", () => { console.log(size); process.exit(); });
    });
    server.listen(8080, "::", () => console.log("ready"));`;
  const send = `require("net").connect(8080, "10.9.0.1").end(Buffer.alloc(1 << 20))`;
  const open = {
    ...rule80,
    id: "web-8080",
    ports: [{ protocol: "TCP", from: 8080, to: 8080 }],
  } as const;
  controller.change([open]);
  await controller.confirmed();
  const receiver = spawn("nsenter", [`--net=${web}`, process.execPath, "-e", receive]);
  const lines = createInterface({ input: receiver.stdout });
  await once(lines, "line");
  const total = once(lines, "line");
  const sender = spawn("nsenter", [`--net=${clientB}`, process.execPath, "-e", send]);
  try {
    assert.deepEqual(await total, [String(1 << 20)]);
  } finally {
    receiver.kill();
    sender.kill();
  }
});

test("the node reaches its pods, and pods reach the outside under the node's address", async () => {
  const [node0] = network.nodes;
  const [internet] = network.externalHosts;
  const [web, clientA] = pods.map(netnsOf);
  assert.ok(node0 && internet && web && clientA);
  assert.equal(await verdict(node0.netns, "10.9.0.1", 80), "allowed");
  assert.equal(await verdict(node0.netns, "fd09::1", 80), "allowed");
  listeners.open({
    netns: internet.netns,
    identity: "internet",
    ports: [{ protocol: "tcp", port: 443 }],
  });
  for (const address of internet.addresses) {
    assert.equal(await verdict(clientA, address, 443), "allowed", address);
  }
});

test("no pod sends tunnel packets to the outside under its node's address", async () => {
  const [internet] = network.externalHosts;
  const [, clientA] = pods.map(netnsOf);
  assert.ok(internet && clientA);
  const ports = [4788, 4789].map((port) => ({ protocol: "udp", port }) as const);
  listeners.open({ netns: internet.netns, identity: "tunnel-ports", ports });
  for (const to of internet.addresses) {
    const probe = async (port: number): Promise<string> => {
      const target = { netns: clientA, to, protocol: "udp", port, timeoutMs: 900 } as const;
      return (await prober.probe(target)).verdict;
    };
    assert.deepEqual(await Promise.all([4788, 4789].map(probe)), ["allowed", "denied"], to);
  }
});

test("an attach that cannot be completed says what is missing and leaves nothing behind", async () => {
  const [web] = pods;
  assert.ok(web);
  const links = linksOf(network.nodes[0]!);
  const request = {
    type: "attach",
    container: "impossible",
    netns: netnsOf(web),
    interface: "eth1",
    timeoutMs: 300,
  } as const;
  const cases = [
    [{ endpoint: "shop/nobody" }, "unknown-endpoint", /shop\/nobody is not known/],
    [{ endpoint: "shop/client-b" }, "unknown-endpoint", /belongs to node node1, this is node0/],
    [{ endpoint: "shop/web", netns: "/run/netns/none" }, "no-netns", /none/],
    [{ endpoint: "shop/web", netns: "/run" }, "no-netns", /no network namespace \/run/],
    [{ endpoint: "shop/web", netns: "/proc/self/ns/net" }, "no-netns", /the node's own/],
    [{ endpoint: "shop/web", interface: "eth0" }, "interface-exists", /an interface eth0/],
    [
      { endpoint: "shop/web", uid: "another" },
      "unknown-endpoint",
      /expected uid another, got none/,
    ],
    [{ endpoint: "shop/web", mtu: 1451 }, "refused", /at most 1450/],
    [{ endpoint: "shop/web", requestedAddresses: ["10.9.0.7"] }, "refused", /10\.9\.0\.7/],
    [{ endpoint: "shop/web", requestedMac: "0a:00:00:00:00:01" }, "refused", /0a:00:00:00:00:01/],
    [{ endpoint: "shop/web", netns: "relative" }, "invalid", /netns/],
    [{ endpoint: "shop/web", interface: "eth0; reboot" }, "invalid", /interface/],
  ] as const;
  for (const [fields, code, message] of cases) {
    const reply = await agents[0]!.request({ ...request, ...fields });
    assert.ok(reply.type === "error", JSON.stringify(reply));
    assert.equal(reply.code, code);
    assert.match(reply.message, message);
  }
  assert.deepEqual(linksOf(network.nodes[0]!), links);
  // The pod's own interface was not touched.
  assert.equal(await verdict(netnsOf(pods[1]!), "10.9.0.1", 80), "allowed");
});

test("an attachment outlives a repeated request for it that fails", async () => {
  const [web, clientA] = pods;
  assert.ok(web && clientA);
  const reply = await agents[0]?.request({
    type: "attach",
    endpoint: clientA.name,
    container: clientA.name,
    netns: netnsOf(clientA),
    interface: "eth0",
    mtu: 9000,
    timeoutMs: 10_000,
  });
  assert.ok(reply?.type === "error", JSON.stringify(reply));
  assert.equal(reply.code, "refused");
  assert.equal(await verdict(netnsOf(clientA), "10.9.0.1", 80), "allowed");
});

test("a pod without known policies is not let in", async () => {
  const [, clientA] = pods;
  assert.ok(clientA);
  const stranger = { ...clientA, name: "shop/stranger", number: 9, identity: "unheard-of" };
  await network.createPod(stranger.name);
  controller.change([endpointOf(stranger)]);
  const pending = attach(stranger);
  await sleep(300);
  // It may be seen already, but nothing goes in or out.
  assert.equal(await verdict(netnsOf(stranger), internetAddress(), 443), "denied");
  controller.change([{ kind: "posture", id: "unheard-of", ingress: [], egress: [] }]);
  const reply = await pending;
  assert.equal(await verdict(netnsOf(stranger), internetAddress(), 443), "allowed");
  assert.equal(reply.type, "attached", JSON.stringify(reply));
  const detach = { type: "detach", container: stranger.name, interface: "eth0" } as const;
  assert.deepEqual(await agents[0]!.request(detach), { type: "detached" });
  assert.deepEqual(await agents[0]!.request(detach), { type: "detached" });
});

test("a pod whose identity changes while it is attached is let in under the new one", async () => {
  const changing = { name: "shop/changing", node: 0, number: 10, identity: "before" };
  await network.createPod(changing.name);
  controller.change([endpointOf(changing)]);
  const pending = attach(changing);
  await sleep(300);
  controller.change([
    endpointOf({ ...changing, identity: "after" }),
    { kind: "posture", id: "after", ingress: [], egress: [] },
  ]);
  const reply = await pending;
  const detach = { type: "detach", container: changing.name, interface: "eth0" } as const;
  assert.deepEqual(await agents[0]!.request(detach), { type: "detached" });
  assert.equal(reply.type, "attached", JSON.stringify(reply));
});

test("a connection outlives kill -9 of its agents, and a repeated attach is answered as the first", async () => {
  const [web, clientA] = pods;
  assert.ok(web && clientA);
  const lines: string[] = [];
  const echo = `
    require("net").createServer((socket) => socket.pipe(socket))
      .listen(8080, "::", () => console.log("ready"));`;
  const talk = `
    const socket = require("net").connect(8080, "10.9.0.1");
    let waiting = 0;
    socket.on("data", () => { waiting = 0; });
    socket.on("close", () => console.log("closed"));
    setInterval(() => {
      if (waiting > 20) console.log("lost");
      waiting += 1;
      socket.write("x");
    }, 10);
    setTimeout(() => console.log("talking"), 200);`;
  const server = spawn("nsenter", [`--net=${netnsOf(web)}`, process.execPath, "-e", echo]);
  await once(createInterface({ input: server.stdout }), "line");
  const client = spawn("nsenter", [`--net=${netnsOf(clientA)}`, process.execPath, "-e", talk]);
  const output = createInterface({ input: client.stdout }).on("line", (line) => lines.push(line));
  try {
    await once(output, "line");
    for (let round = 0; round < 3; round++) {
      await agents[0]!.stop("SIGKILL");
      await sleep(50);
      await agents[0]!.start();
      assert.equal((await attached(web)).mac, endpointOf(web).mac);
      await attached(clientA);
    }
    await sleep(300);
    assert.deepEqual(lines, ["talking"]);
  } finally {
    client.kill();
    server.kill();
  }
});

test("a connection is cut when no rule admits it any more, and only that one", async () => {
  const [web, clientA, clientB] = pods;
  assert.ok(web && clientA && clientB);
  // The server speaks as well, so that its packets must not open the connection anew from its side.
  const stream = `
    require("net").createServer((socket) => {
      socket.on("error", () => {});
      const timer = setInterval(() => socket.write("x"), 10);
      socket.on("close", () => clearInterval(timer));
    }).listen(8080, "::", () => console.log("ready"));`;
  const listen = `
    const socket = require("net").connect(8080, "fd09::1");
    socket.on("data", () => { heard = Date.now(); });
    let heard = Date.now();
    setInterval(() => { socket.write("y"); console.log(Date.now() - heard < 2_000 ? "alive" : "cut"); }, 50);`;
  const server = spawn("nsenter", [`--net=${netnsOf(web)}`, process.execPath, "-e", stream]);
  await once(createInterface({ input: server.stdout }), "line");
  const clients = [clientA, clientB].map((pod) => {
    const child = spawn("nsenter", [`--net=${netnsOf(pod)}`, process.execPath, "-e", listen]);
    const states: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => states.push(line));
    return { child, states };
  });
  const last = (index: number): string | undefined => clients[index]!.states.at(-1);
  try {
    await eventually(async () => assert.deepEqual([last(0), last(1)], ["alive", "alive"]));
    // Client b changes its identity, as a pod does that is labelled anew.
    controller.change([{ ...endpointOf(clientB), identity: "other" }]);
    await eventually(async () => assert.equal(last(1), "cut"));
    await sleep(1_500);
    assert.deepEqual([last(0), last(1)], ["alive", "cut"]);
    assert.ok(!clients[0]!.states.includes("cut"));
  } finally {
    for (const { child } of clients) child.kill();
    server.kill();
    controller.change([endpointOf(clientB)]);
    await controller.confirmed();
  }
  assert.equal(await verdict(netnsOf(clientB), "10.9.0.1", 80), "allowed");
});

test("while ovs-vswitchd is away nothing is open, and afterwards all is as before", async () => {
  const [web, clientA, , otherB] = pods;
  assert.ok(web && clientA && otherB);
  const pid = network.nodes[0]!.processes.switch;
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGKILL");
  await eventually(async () => {
    assert.equal(await verdict(netnsOf(otherB), "10.9.0.1", 80), "denied");
    assert.equal(await verdict(netnsOf(clientA), "10.9.0.1", 80), "allowed");
    assert.equal(await verdict(network.nodes[0]!.netns, "10.9.0.1", 80), "allowed");
  });
});

test("half-made attachments are finished or removed when the agent starts", async () => {
  const [node0] = network.nodes;
  assert.ok(node0);
  const links = linksOf(node0);
  await agents[0]!.stop("SIGKILL");
  // As of an agent that was killed between making the pair and asking for the port.
  ip(node0, "link", "add", "iso0123456789ab", "type", "veth", "peer", "name", "orphan");
  await agents[0]!.start();
  await eventually(async () => assert.deepEqual(linksOf(node0), links));
  // A container that went without a word took its interface along.
  const [, clientA] = pods;
  assert.ok(clientA);
  const { hostInterface } = await attached(clientA);
  await agents[0]!.stop("SIGKILL");
  ip(node0, "link", "delete", hostInterface);
  await agents[0]!.start();
  await eventually(async () => {
    const { endpoints } = await agents[0]!.status();
    assert.deepEqual(
      endpoints.map(({ id }) => id),
      ["shop/web"],
    );
  });
  await attached(clientA);
  assert.equal(await verdict(netnsOf(clientA), "10.9.0.1", 80), "allowed");
});

test("200 attachments that come and go leave nothing behind", async (t) => {
  const [node0] = network.nodes;
  const [, clientA] = pods;
  assert.ok(node0 && clientA);
  const detach = { type: "detach", container: clientA.name, interface: "eth0" } as const;
  await agents[0]!.request(detach);
  const links = linksOf(node0);
  const { flows } = await agents[0]!.status();
  const times: number[] = [];
  for (let round = 0; round < 200; round++) {
    const startedAt = performance.now();
    await attached(clientA);
    times.push(performance.now() - startedAt);
    await agents[0]!.request(detach);
  }
  assert.deepEqual(linksOf(node0), links);
  const status = await agents[0]!.until((now) => now.endpoints.length === 1);
  assert.equal(status.flows, flows);
  times.sort((a, b) => a - b);
  t.diagnostic(`attach: median ${times[100]!.toFixed(1)} ms, slowest ${times[199]!.toFixed(1)} ms`);
  await attached(clientA);
  assert.equal(await verdict(netnsOf(clientA), "10.9.0.1", 80), "allowed");
});

test("an uninstalled agent leaves nothing but what was there before it", async () => {
  const [node0] = network.nodes;
  const agent = agents[0];
  assert.ok(node0 && agent);
  await agent.stop("SIGTERM");
  await using remover = new AgentProcess({
    ...agent.options,
    arguments: [...(agent.options.arguments ?? []), "--uninstall"],
  });
  remover.spawn();
  assert.equal(await remover.ended(), 0, JSON.stringify(remover.log));
  await eventually(async () => {
    const ours = linksOf(node0).filter((name) => /^iso|br-int/.test(name));
    assert.deepEqual(ours, []);
  });
  assert.ok(linksOf(node0).includes("br-ext"));
  assert.equal(nodeCommand(node0, "nft", "list", "tables"), "");
  assert.equal(ip(node0, "route", "show", "10.9.0.0/16"), "");
});
