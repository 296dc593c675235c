// The CNI executable over a real agent and switch: CNI specification 1.1.0, case by case.
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildCniExecutable } from "../../src/lab/cni-runtime.ts";
import { cleanup } from "../../src/lab/network/cleanup.ts";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import { Listeners } from "../../src/lab/network/listeners.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import type { EndpointResource, Resource } from "../../src/southbound/resources.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { TestController } from "../agent/test-controller.ts";
import { invokeCni } from "../cni/invoke.ts";

const root = mkdtempSync(join(tmpdir(), "isobar-cni-"));
const lab = `c${process.pid}`;
const controllerSocket = join(root, "controller.sock");
const confDir = join(root, "net.d");
const binDir = join(root, "bin");
const listeners = new Listeners();
const prober = new Prober();
const stack = new AsyncDisposableStack();
let network: LabNetwork;
let node: LabNode;
let controller: TestController;
let agent: AgentProcess;

function endpoint(number: number, fields: Partial<EndpointResource> = {}): EndpointResource {
  return {
    kind: "endpoint",
    id: `shop/pod-${number}`,
    domain: "default",
    node: "node0",
    addresses: [`10.9.0.${number}`, `fd09::${number}`],
    mac: `0a:00:00:00:09:${number.toString(16).padStart(2, "0")}`,
    uids: [`uid-${number}`],
    identity: "web",
    ...fields,
  };
}

const world: readonly Resource[] = [
  { kind: "domain", id: "default", vni: 9, pools: ["10.9.0.0/16", "fd09::/64"] },
  { kind: "posture", id: "web", ingress: [], egress: [] },
  endpoint(1),
  endpoint(2),
  endpoint(3),
];

const config = { cniVersion: "1.1.0", name: "isobar", type: "isobar", attachTimeoutSeconds: 5 };

interface Outcome {
  readonly code: number | null;
  /** Parsed; `undefined` when nothing was printed. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly output: any;
}

function netnsOf(number: number): string {
  return network.podNetns(`shop/pod-${number}`);
}

/** As kubelet and containerd call it for pod `number`. */
async function cni(
  command: string,
  number: number,
  variables: Readonly<Record<string, string>> = {},
  { signal, ...fields }: Readonly<Record<string, unknown>> & { signal?: AbortSignal } = {},
): Promise<Outcome> {
  const args = {
    IgnoreUnknown: 1,
    K8S_POD_NAMESPACE: "shop",
    K8S_POD_NAME: `pod-${number}`,
    K8S_POD_INFRA_CONTAINER_ID: `sandbox-${number}`,
    K8S_POD_UID: `uid-${number}`,
  };
  const environment = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `sandbox-${number}`,
    CNI_NETNS: netnsOf(number),
    CNI_IFNAME: "eth0",
    CNI_ARGS: Object.entries(args)
      .map(([key, value]) => `${key}=${value}`)
      .join(";"),
    CNI_PATH: binDir,
    ...variables,
  };
  const input = JSON.stringify({ ...config, socket: agent.socket, ...fields });
  const place = { netns: node.netns, ...(signal === undefined ? {} : { signal }) };
  const { code, output } = await invokeCni(join(binDir, "isobar"), environment, input, place);
  return { code, output: output === "" ? undefined : JSON.parse(output) };
}

async function succeeds(...request: Parameters<typeof cni>): Promise<Outcome["output"]> {
  const { code, output } = await cni(...request);
  assert.equal(code, 0, JSON.stringify(output));
  return output;
}

async function fails(
  code: number,
  named: RegExp,
  ...request: Parameters<typeof cni>
): Promise<void> {
  const outcome = await cni(...request);
  const shown = JSON.stringify(outcome.output);
  assert.equal(outcome.code, 1, shown);
  assert.equal(outcome.output.code, code, shown);
  assert.match(`${outcome.output.msg} ${outcome.output.details ?? ""}`, named);
  const asked = request[3]?.["cniVersion"];
  const spoken = asked === "0.3.1" || asked === "1.0.0" ? asked : "1.1.0";
  assert.equal(outcome.output.cniVersion, spoken);
}

function inNetns(netns: string, ...command: string[]): string {
  return execFileSync("nsenter", [`--net=${netns}`, ...command], { encoding: "utf8" });
}

function interfacesIn(netns: string): readonly string[] {
  const names = inNetns(netns, "cat", "/proc/self/net/dev").match(/^\s*[^\s:]+(?=:)/gm) ?? [];
  return names.map((name) => name.trim()).filter((name) => name !== "lo");
}

/** Ports of attachments in the node, and interfaces but for the loopback in the pod. */
function remains(number?: number): readonly string[] {
  const ports = interfacesIn(node.netns).filter((name) => /^iso[0-9a-f]{12}$/.test(name));
  return number === undefined ? ports : [...ports, ...interfacesIn(netnsOf(number))];
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await holds()); waitedMs += 20) {
    const log = (): string => JSON.stringify(agent.log.slice(-8));
    assert.ok(waitedMs < 20_000, `${what} did not come: ${waitedMs < 20_000 ? "" : log()}`);
    await sleep(20);
  }
}

before(async () => {
  await buildCniExecutable();
  network = await LabNetwork.create({ name: lab, nodes: ["node0"], root });
  stack.defer(async () => await network.destroy());
  node = network.nodes[0]!;
  await network.createPods([1, 2, 3].map((number) => `shop/pod-${number}`));
  const folder = join(root, "agent");
  mkdirSync(folder);
  mkdirSync(confDir);
  writeFileSync(join(confDir, "99-other.conflist"), "{}");
  agent = stack.use(
    new AgentProcess({
      node: node.name,
      folder,
      controllers: [controllerSocket],
      ovsdb: node.databaseSocket,
      rundir: node.rundir,
      datapathType: node.datapathType,
      netns: node.netns,
      arguments: [
        ...node.addresses.map((address) => `--underlay-address=${address}`),
        `--cni-bin-dir=${binDir}`,
        `--cni-conf-dir=${confDir}`,
        "--cni-chain=portmap,bandwidth",
      ],
    }),
  );
});

after(async () => {
  listeners.closeAll();
  await stack.disposeAsync();
  await cleanup(lab, root);
  rmSync(root, { recursive: true, force: true });
});

test("the configuration is written once containers can be attached, beside others'", async () => {
  await agent.start();
  await until("the executable", () => existsSync(join(binDir, "isobar")));
  await until("the bridge", async () => {
    const { output } = await cni("STATUS", 1);
    return /no controller/.test(output?.msg);
  });
  await fails(50, /no controller has told the policies/, "STATUS", 1);
  assert.deepEqual(readdirSync(confDir), ["99-other.conflist"]);
  controller = stack.use(await TestController.listen(controllerSocket));
  controller.change([...world, { kind: "node", id: node.name, addresses: node.addresses }]);
  const path = join(confDir, "10-isobar.conflist");
  await until("the configuration", () => existsSync(path));
  const conflist: unknown = JSON.parse(readFileSync(path, "utf8"));
  assert.deepEqual(conflist, {
    cniVersion: "1.0.0",
    cniVersions: ["0.4.0", "1.0.0", "1.1.0"],
    name: "isobar",
    plugins: [
      { type: "isobar", socket: agent.socket },
      { type: "portmap", capabilities: { portMappings: true } },
      { type: "bandwidth", capabilities: { bandwidth: true } },
    ],
  });
  assert.deepEqual(readdirSync(confDir).toSorted(), ["10-isobar.conflist", "99-other.conflist"]);
  assert.deepEqual(readdirSync(binDir), ["isobar"]);
  assert.equal(await succeeds("STATUS", 1), undefined);
});

test("ADD answers in the form of each version, again and again the same", async () => {
  const results: Outcome["output"][] = [];
  for (const cniVersion of ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    const result = await succeeds("ADD", 1, {}, { cniVersion, dns: { domain: "a.example" } });
    assert.equal(result.cniVersion, cniVersion);
    results.push(result);
  }
  const [old, , , newest] = results;
  const host = remains()[0];
  assert.deepEqual(newest, {
    cniVersion: "1.1.0",
    interfaces: [
      { name: host, mtu: 1450 },
      { name: "eth0", mac: "0a:00:00:00:09:01", sandbox: netnsOf(1), mtu: 1450 },
    ],
    ips: [
      { address: "10.9.0.1/32", gateway: "169.254.1.1", interface: 1 },
      { address: "fd09::1/128", gateway: "fe80::1", interface: 1 },
    ],
    routes: [
      { dst: "0.0.0.0/0", gw: "169.254.1.1" },
      { dst: "::/0", gw: "fe80::1" },
    ],
    dns: { domain: "a.example" },
  });
  assert.deepEqual(
    old.ips.map((one: { version: string }) => one.version),
    ["4", "6"],
  );
  assert.equal(old.interfaces[1].mtu, undefined);
  assert.equal(remains().length, 1);
});

test("attached containers reach each other, with what the configuration asks for", async () => {
  const fields = { mtu: 1400, routes: [{ dst: "10.9.0.0/16" }, { dst: "fd09::/64" }] };
  const result = await succeeds("ADD", 2, { CNI_IFNAME: "net7" }, fields);
  assert.deepEqual(
    result.routes.map(({ dst }: { dst: string }) => dst),
    ["10.9.0.0/16", "fd09::/64"],
  );
  const shown = inNetns(netnsOf(2), "ip", "-o", "link", "show", "net7");
  assert.match(shown, /mtu 1400/);
  assert.doesNotMatch(inNetns(netnsOf(2), "ip", "route"), /default/);
  listeners.open({ netns: netnsOf(1), identity: "web", ports: [{ protocol: "tcp", port: 80 }] });
  for (const to of ["10.9.0.1", "fd09::1"]) {
    const probe = { netns: netnsOf(2), to, protocol: "tcp", port: 80, timeoutMs: 2_000 } as const;
    assert.equal((await prober.probe(probe)).verdict, "allowed");
  }
  listeners.closeAll();
});

test("CHECK finds nothing wrong after ADD, and what is broken afterwards", async () => {
  const prevResult = await succeeds("ADD", 1);
  assert.equal(await succeeds("CHECK", 1, {}, { prevResult }), undefined);
  assert.equal(await succeeds("CHECK", 1, {}, { prevResult, cniVersion: "0.4.0" }), undefined);
  // A later plugin of the chain may send everything elsewhere.
  inNetns(netnsOf(1), "ip", "route", "replace", "default", "dev", "eth0", "scope", "link");
  await succeeds("CHECK", 1, {}, { prevResult });
  inNetns(netnsOf(1), "ip", "address", "delete", "10.9.0.1/32", "dev", "eth0");
  inNetns(netnsOf(1), "ip", "-6", "route", "delete", "default");
  const faults = /10\.9\.0\.1.*no route to ::\/0/;
  await fails(101, faults, "CHECK", 1, {}, { prevResult });
  await fails(
    7,
    /prevResult has no interface eth9/,
    "CHECK",
    1,
    { CNI_IFNAME: "eth9" },
    { prevResult },
  );
  await fails(3, /not attached/, "CHECK", 1, { CNI_CONTAINERID: "other" }, { prevResult });
  await fails(1, /0\.3\.1/, "CHECK", 1, {}, { prevResult, cniVersion: "0.3.1" });
  await succeeds("DEL", 1, {}, { prevResult });
  await succeeds("ADD", 1);
});

test("DEL succeeds as often as it is asked for, and for what never was", async () => {
  for (const variables of [{}, {}, { CNI_NETNS: "" }, { CNI_CONTAINERID: "never" }]) {
    assert.equal(await succeeds("DEL", 1, variables), undefined);
  }
  await succeeds("DEL", 2, { CNI_IFNAME: "net7" }, { cniVersion: "9.9.9" });
  assert.deepEqual(remains(1), []);
  assert.deepEqual(remains(2), []);
});

test("an ADD that is wrong says what, and leaves nothing", async () => {
  const gone = `${netnsOf(3)}-gone`;
  const short = { attachTimeoutSeconds: 1 };
  const cases: readonly [number, RegExp, Record<string, string>, Record<string, unknown>?][] = [
    [4, /CNI_NETNS: .*no network namespace/, { CNI_NETNS: gone }],
    [4, /CNI_NETNS: .*node's own/, { CNI_NETNS: node.netns }],
    [4, /CNI_IFNAME: .*interface lo/, { CNI_IFNAME: "lo" }],
    [4, /CNI_ARGS/, { CNI_ARGS: "" }],
    [7, /mtu 1451 .*at most 1450/, {}, { mtu: 1451 }],
    [7, /10\.9\.0\.77 was asked for/, {}, { runtimeConfig: { ips: ["10.9.0.77/24"] } }],
    [7, /0a:00:00:00:00:77 was asked for/, {}, { runtimeConfig: { mac: "0a:00:00:00:00:77" } }],
    [2, /portMappings/, {}, { runtimeConfig: { portMappings: [{ hostPort: 1 }] } }],
    [1, /0\.2\.0/, {}, { cniVersion: "0.2.0" }],
    [11, /shop\/nobody is not known/, { CNI_ARGS: "ISOBAR_ENDPOINT=shop/nobody" }, short],
    [
      11,
      /for another object of that name: expected uid old, got uid-3/,
      { CNI_ARGS: "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=pod-3;K8S_POD_UID=old" },
      short,
    ],
  ];
  for (const [code, named, variables, fields] of cases) {
    await fails(code, named, "ADD", 3, variables, fields);
    assert.deepEqual(remains(3), [], String(named));
  }
});

test("a pod that was made again under its name waits for its own addresses", async () => {
  const request = cni(
    "ADD",
    3,
    { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=pod-3;K8S_POD_UID=uid-new" },
    { attachTimeoutSeconds: 20 },
  );
  await sleep(300);
  const again = { addresses: ["10.9.0.33"], mac: "0a:00:00:00:09:33", uids: ["mirror", "uid-new"] };
  controller.change([endpoint(3, again)]);
  const { code, output } = await request;
  assert.equal(code, 0, JSON.stringify(output));
  assert.deepEqual(
    output.ips.map(({ address }: { address: string }) => address),
    ["10.9.0.33/32"],
  );
  await succeeds("DEL", 3);
  controller.change([endpoint(3)]);
  await controller.confirmed();
});

test("a container whose pod was made again under its name is no endpoint any more", async () => {
  await succeeds("ADD", 1);
  await succeeds("ADD", 3);
  listeners.open({ netns: netnsOf(1), identity: "web", ports: [{ protocol: "tcp", port: 80 }] });
  const target = { netns: netnsOf(3), to: "10.9.0.1", protocol: "tcp", port: 80 } as const;
  assert.equal((await prober.probe({ ...target, timeoutMs: 2_000 })).verdict, "allowed");
  controller.change([endpoint(3, { uids: ["uid-next"] })]);
  await controller.confirmed();
  assert.notEqual((await prober.probe({ ...target, timeoutMs: 500 })).verdict, "allowed");
  controller.change([endpoint(3)]);
  await controller.confirmed();
  assert.equal((await prober.probe({ ...target, timeoutMs: 2_000 })).verdict, "allowed");
  listeners.closeAll();
  for (const number of [1, 3]) await succeeds("DEL", number);
});

test("a namespace that vanishes during ADD leaves nothing half made", async () => {
  await network.createPod("shop/pod-4");
  const adding = cni("ADD", 4);
  await sleep(200);
  await network.deletePod("shop/pod-4");
  controller.change([endpoint(4)]);
  const { code, output } = await adding;
  assert.equal(code, 1);
  assert.equal(output.code, 3, JSON.stringify(output));
  assert.match(output.msg, /gone meanwhile/);
  // Its interface is there already, and its policies are awaited.
  await network.createPod("shop/pod-4");
  controller.change([endpoint(4, { identity: "unheard-of" })]);
  const waiting = cni("ADD", 4);
  await until("the interface", () => remains().length === 1);
  await network.deletePod("shop/pod-4");
  controller.change([{ kind: "posture", id: "unheard-of", ingress: [], egress: [] }]);
  const late = await waiting;
  assert.equal(late.output?.code, 3, JSON.stringify(late.output));
  // Likewise when the Kubernetes namespace goes, and its endpoints with it.
  await network.createPod("shop/pod-4");
  controller.change([endpoint(4, { identity: "unheard-of-too" })]);
  const losing = cni("ADD", 4, {}, { attachTimeoutSeconds: 2 });
  await until("the interface", () => remains().length === 1);
  controller.change([], [{ kind: "endpoint", id: "shop/pod-4" }]);
  const lost = await losing;
  assert.equal(lost.output?.code, 11, JSON.stringify(lost.output));
  assert.match(lost.output.msg, /shop\/pod-4 is not known/);
  assert.deepEqual(remains(4), []);
});

test("an ADD whose runtime is killed leaves nothing half made", async () => {
  controller.change([endpoint(3, { identity: "awaited-in-vain" })]);
  const killed = new AbortController();
  const adding = cni("ADD", 3, {}, { attachTimeoutSeconds: 60, signal: killed.signal });
  await until("the interface", () => remains().length === 1);
  killed.abort();
  await assert.rejects(adding);
  await until("the interface to go", () => remains(3).length === 0);
  controller.change([endpoint(3)]);
  await controller.confirmed();
});

test("GC takes what is not valid any more, and only of its own network", async () => {
  for (const number of [1, 2, 3]) {
    await succeeds("ADD", number, {}, { name: number === 3 ? "other" : "isobar" });
  }
  assert.equal(remains().length, 3);
  const valid = [{ containerID: "sandbox-2", ifname: "eth0" }];
  const none = { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_ARGS: "" };
  await fails(7, /valid-attachments/, "GC", 1, none);
  assert.equal(remains().length, 3);
  const list = { "cni.dev/valid-attachments": valid };
  assert.equal(await succeeds("GC", 1, none, list), undefined);
  assert.equal(remains().length, 2);
  assert.deepEqual(
    [1, 2, 3].map((number) => interfacesIn(netnsOf(number)).length),
    [0, 1, 1],
  );
  await succeeds("GC", 1, none, { "cni.dev/valid-attachments": null });
  await succeeds("GC", 1, none, { "cni.dev/valid-attachments": [], name: "other" });
  assert.deepEqual(remains(), []);
});

test("what is deleted while the agent is away is gone when it is back", async () => {
  await succeeds("ADD", 1);
  await succeeds("ADD", 2);
  await agent.stop();
  await fails(11, /agent of this node does not answer/, "ADD", 1);
  await fails(50, /agent of this node does not answer/, "STATUS", 1);
  await succeeds("DEL", 1);
  assert.equal(remains().length, 2);
  await agent.start();
  await until("one to go", () => remains().length === 1);
  assert.deepEqual(interfacesIn(netnsOf(1)), []);
  await until("the port to go", async () => (await agent.status()).endpoints.length === 1);
  assert.deepEqual(readdirSync(`${agent.socket}.pending`), []);
  // Noted in the moment before the agent listened.
  const environment = { CNI_COMMAND: "DEL", CNI_CONTAINERID: "sandbox-2", CNI_IFNAME: "eth0" };
  const folder = `${agent.socket}.pending`;
  writeFileSync(
    join(folder, "1.0-1.json"),
    JSON.stringify({ type: "cni", environment, config: "" }),
  );
  writeFileSync(join(folder, "2.0-1.json"), "half a li");
  await until("the other to go", () => remains().length === 0);
  await until("the notes to go", () => readdirSync(folder).length === 0);
});

test("known endpoints are attached while every controller is away", async () => {
  await agent.stop();
  agent = stack.use(new AgentProcess({ ...agent.options, controllers: [] }));
  await agent.start();
  await agent.until(({ switchConnected }) => switchConnected);
  await succeeds("ADD", 1);
  await fails(
    11,
    /shop\/unknown is not known and no controller is connected/,
    "ADD",
    2,
    { CNI_ARGS: "ISOBAR_ENDPOINT=shop/unknown" },
    { attachTimeoutSeconds: 1 },
  );
  await succeeds("DEL", 1);
  await agent.stop();
  agent = stack.use(new AgentProcess({ ...agent.options, controllers: [controllerSocket] }));
  await agent.start();
  await agent.until((status) => status.controller !== undefined);
});

/** Sends to every target without a pause, from the moment it starts: `address/port`. */
const sender = `
const { createSocket } = require("node:dgram");
const targets = process.argv.slice(1).map((one) => one.split("/"));
const socket = createSocket("udp4");
socket.on("error", () => {});
const send = () => {
  for (const [address, port] of targets) socket.send("x", Number(port), address, () => {});
  setTimeout(send, 1);
};
socket.bind(0, send);
process.stdin.on("end", () => process.exit()).resume();
`;

/** Counts what arrives on each port, and prints the counts when its input ends. */
const receiver = `
const { createSocket } = require("node:dgram");
const counts = {};
let ready = 0;
const ports = process.argv.slice(1);
for (const port of ports) {
  counts[port] = 0;
  const socket = createSocket("udp4");
  socket.on("message", () => { if (counts[port]++ === 20) console.error(port + " hears"); });
  socket.bind(Number(port), () => { if (++ready === ports.length) console.error("ready"); });
}
process.stdin.on("end", () => { console.log(JSON.stringify(counts)); process.exit(); }).resume();
`;

function startIn(netns: string, program: string, ...args: string[]): ChildProcess {
  const argv = [`--net=${netns}`, process.execPath, "-e", program, "--", ...args];
  const child = spawn("nsenter", argv, { stdio: ["pipe", "pipe", "pipe"] });
  stack.defer(() => void child.kill());
  return child;
}

async function says(child: ChildProcess, word: string): Promise<void> {
  assert.ok(child.stderr);
  let heard = "";
  for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
    heard += String(chunk);
    if (heard.includes(word)) return;
  }
  assert.fail(`${word} was not said: ${heard}`);
}

test("a pod that sends from its first instant gets not one packet past its policies", async () => {
  const [allowed, denied] = ["9001", "9002"];
  controller.change([
    endpoint(2, { identity: "peer" }),
    { kind: "posture", id: "peer", ingress: [], egress: [] },
  ]);
  await succeeds("ADD", 2);
  for (let round = 0; round < 8; round++) {
    const identity = `fresh-${round}`;
    const peer = startIn(netnsOf(2), receiver, allowed, denied);
    await says(peer, "ready");
    // In both directions, before there is an interface.
    const inside = startIn(netnsOf(1), receiver, allowed, denied);
    const out = startIn(netnsOf(1), sender, `10.9.0.2/${allowed}`, `10.9.0.2/${denied}`);
    const back = startIn(netnsOf(2), sender, `10.9.0.1/${allowed}`, `10.9.0.1/${denied}`);
    await says(inside, "ready");
    controller.change([endpoint(1, { identity })]);
    const adding = succeeds("ADD", 1, {}, { attachTimeoutSeconds: 60 });
    await until("the interface", () => remains().length === 2);
    await sleep(round * 30);
    const policy = `NetworkPolicy/shop/${identity}`;
    const rule = {
      kind: "rule",
      tier: "networkpolicy",
      priority: 0,
      action: "allow",
      subjects: [identity],
      peers: ["peers"],
      ports: [{ protocol: "UDP", from: 9001, to: 9001 }],
      policy,
      ruleIndex: 0,
    } as const;
    controller.change([
      { kind: "group", id: "peers", identities: ["peer"], networks: [] },
      { kind: "group", id: identity, identities: [identity], networks: [] },
      { ...rule, id: `${identity}-out`, direction: "egress" },
      { ...rule, id: `${identity}-in`, direction: "ingress" },
      { kind: "posture", id: identity, ingress: [policy], egress: [policy] },
    ]);
    await adding;
    await Promise.all([says(peer, `${allowed} hears`), says(inside, `${allowed} hears`)]);
    out.stdin?.end();
    back.stdin?.end();
    for (const end of [peer, inside]) {
      end.stdin?.end();
      const counts: unknown = JSON.parse(await text(end.stdout!));
      assert.ok(typeof counts === "object" && counts !== null);
      assert.equal(Reflect.get(counts, denied), 0, `round ${round}`);
      assert.ok(Number(Reflect.get(counts, allowed)) >= 20);
    }
    await succeeds("DEL", 1);
  }
  await succeeds("DEL", 2);
});

test("an uninstalled agent leaves neither executable nor configuration", async () => {
  await agent.stop("SIGTERM");
  agent = stack.use(
    new AgentProcess({
      ...agent.options,
      arguments: [...(agent.options.arguments ?? []), "--uninstall"],
    }),
  );
  agent.spawn();
  assert.equal(await agent.ended(), 0, JSON.stringify(agent.log));
  assert.deepEqual(readdirSync(confDir), ["99-other.conflist"]);
  assert.deepEqual(readdirSync(binDir), []);
});
