import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cleanup, netnsOf } from "../../src/lab/network/cleanup.ts";
import { execInNetns } from "../../src/lab/network/exec.ts";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import { Listeners } from "../../src/lab/network/listeners.ts";
import { inNetns } from "../../src/kernel/system-calls.ts";
import { bindPort } from "../../src/lab/network/native.ts";
import { type ProbeOutcome, type ProbeRequest, Prober } from "../../src/lab/network/prober.ts";
import { readProcess } from "../../src/lab/network/processes.ts";
import { OvsBridge, vxlanPort } from "../../src/switch/ovs-bridge.ts";
import { OvsdbClient } from "../../src/switch/ovsdb-client.ts";

const root = mkdtempSync(join(tmpdir(), "isobar-lab-"));
const listeners = new Listeners();
const prober = new Prober();
/** Names of two labs of this test run's own. */
const lab = `nettest1-${process.pid}`;
const otherLab = `nettest2-${process.pid}`;

/** What earlier runs left that were killed. */
before(async () => {
  for (const name of existsSync("/run/netns") ? readdirSync("/run/netns") : []) {
    const [, left, pid] = /^isobar-(nettest\d-(\d+))\./.exec(name) ?? [];
    if (left !== undefined && readProcess(Number(pid)) === undefined) await cleanup(left, root);
  }
});

after(async () => {
  listeners.closeAll();
  await cleanup(lab, root);
  await cleanup(otherLab, root);
  rmSync(root, { recursive: true, force: true });
});

interface Lab extends AsyncDisposable {
  readonly network: LabNetwork;
}

async function createLab(name: string, nodes: readonly string[] = []): Promise<Lab> {
  const network = await LabNetwork.create({ name, nodes, root });
  return {
    network,
    [Symbol.asyncDispose]: async () => {
      listeners.closeAll();
      await network.destroy();
    },
  };
}

/** What the probe says, without its time; the last part is who answered. */
async function verdict(request: Omit<ProbeRequest, "timeoutMs">, timeoutMs = 600): Promise<string> {
  const {
    verdict: word,
    answeredBy,
    message,
  }: ProbeOutcome = await prober.probe({ ...request, timeoutMs });
  return [word, answeredBy, message].filter((part) => part !== undefined).join(" ");
}

const protocols = ["tcp", "udp", "sctp"] as const;

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function netnsName(path: string): string {
  return path.slice("/run/netns/".length);
}

test("hosts of the external network reach each other, and answers name who listens", async () => {
  await using made = await createLab(lab);
  const [internet, bank, office] = made.network.externalHosts;
  assert.ok(internet && bank && office);
  const ports = protocols.map((protocol) => ({ protocol, port: 443 }));
  listeners.open({ netns: bank.netns, identity: "external/bank", ports });
  listeners.open({ netns: office.netns, identity: "external/office", ports });
  // Replies of this host go nowhere.
  for (const subnet of ["198.51.100.0/24", "2001:db8:1::/48"]) {
    ip("-n", netnsName(office.netns), "route", "add", "blackhole", subnet);
  }
  const cases = protocols.flatMap((protocol) => [
    [protocol, "192.0.2.10", 443, "allowed external/bank"] as const,
    [protocol, "2001:db8:2::10", 443, "allowed external/bank"] as const,
    [protocol, "192.0.2.10", 444, "refused"] as const,
    [protocol, "2001:db8:2::10", 444, "refused"] as const,
    // The router, on which nothing listens, and which knows no SCTP.
    [protocol, "198.51.100.1", 443, "refused"] as const,
    [protocol, "2001:db8:1::1", 443, "refused"] as const,
    [protocol, "203.0.113.10", 443, "denied"] as const,
    [protocol, "2001:db8:3::10", 443, "denied"] as const,
  ]);
  await Promise.all(
    cases.map(async ([protocol, to, port, expected]) => {
      const got = await verdict({ netns: internet.netns, to, protocol, port });
      assert.equal(got, expected, `${protocol}/${port} to ${to}`);
    }),
  );
});

test("a probe that cannot be sent, or comes from nowhere, is an error and not a denial", async () => {
  await using made = await createLab(lab);
  const netns = await made.network.createPod("shop/lonely");
  for (const protocol of protocols) {
    for (const to of ["192.0.2.10", "2001:db8:2::10"]) {
      assert.equal(await verdict({ netns, to, protocol, port: 80 }), "error ENETUNREACH", protocol);
    }
    const nowhere = { netns: "/run/netns/none", to: "192.0.2.10", protocol, port: 80 };
    assert.match(await verdict(nowhere), /^error .*no network namespace/);
  }
});

/** Connects the pods of a namespace-wide network on each node, all flows put in by hand. */
async function connectPods(
  node: LabNode,
  flows: readonly string[],
  pods: readonly string[],
): Promise<void> {
  const client = new OvsdbClient({ address: { path: node.databaseSocket } });
  await client.connected(5_000);
  const bridge = await OvsBridge.open(client, { name: "br-int", datapathType: node.datapathType });
  await bridge.ensure();
  const ports = await bridge.addPorts([
    { ...vxlanPort("vxlan0"), ofportRequest: 1 },
    ...pods.map((name, index) => ({ name, ofportRequest: 10 + index })),
  ]);
  assert.deepEqual(
    ports.filter(({ error }) => error !== undefined),
    [],
  );
  const target = `unix:${join(node.rundir, "br-int.mgmt")}`;
  execFileSync("ovs-ofctl", ["-OOpenFlow15", "add-flows", target, "-"], {
    input: flows.join("\n"),
  });
  await client.close();
}

interface TestPod {
  readonly pod: string;
  readonly node: LabNode;
  /** Name of its interface's other end, in the node's namespace. */
  readonly port: string;
  readonly addresses: readonly string[];
}

async function createPod(
  network: LabNetwork,
  { pod, node, port, addresses }: TestPod,
): Promise<string> {
  const path = await network.createPod(pod);
  const [inPod, inNode] = [netnsName(path), netnsName(node.netns)];
  ip(
    "link",
    "add",
    port,
    "netns",
    inNode,
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "mtu",
    "1450",
    "netns",
    inPod,
  );
  ip("-n", inNode, "link", "set", port, "up");
  execFileSync("nsenter", [`--net=${path}`, "ethtool", "-K", "eth0", "tx", "off"], {
    stdio: "ignore",
  });
  for (const address of addresses)
    ip("-n", inPod, "address", "add", address, "dev", "eth0", "nodad");
  ip("-n", inPod, "link", "set", "eth0", "up");
  return path;
}

/** Everything goes to the other node, but port 81. */
function vxlanFlows(remote: string): string[] {
  const protocolMatches = ["tcp", "tcp6", "udp", "udp6", "sctp", "sctp6"];
  return [
    "priority=10,in_port=1,actions=output:10",
    `priority=10,in_port=10,actions=set_field:${remote}->tun_dst,set_field:77->tun_id,output:1`,
    ...protocolMatches.map((match) => `priority=20,in_port=10,${match},tp_dst=81,actions=drop`),
  ];
}

test("pods on two nodes meet over VXLAN, and what flows drop is told from what is refused", async () => {
  await using made = await createLab(lab, ["node1", "node2"]);
  const { network } = made;
  const [one, two] = network.nodes;
  assert.ok(one && two);
  const a = await createPod(network, {
    pod: "shop/a",
    node: one,
    port: "pod-a",
    addresses: ["10.9.0.1/24", "fd00:9::1/64"],
  });
  const b = await createPod(network, {
    pod: "shop/b",
    node: two,
    port: "pod-b",
    addresses: ["10.9.0.2/24", "fd00:9::2/64"],
  });
  await Promise.all([
    connectPods(one, vxlanFlows(two.addresses[0]!), ["pod-a"]),
    connectPods(two, vxlanFlows(one.addresses[0]!), ["pod-b"]),
  ]);
  const ports = protocols.flatMap((protocol) => [
    { protocol, port: 80 },
    { protocol, port: 81 },
  ]);
  listeners.open({ netns: b, identity: "shop/b", ports });
  const cases = protocols.flatMap((protocol) =>
    ["10.9.0.2", "fd00:9::2"].flatMap((to) => [
      [protocol, to, 80, "allowed shop/b"] as const,
      [protocol, to, 81, "denied"] as const,
      [protocol, to, 82, "refused"] as const,
    ]),
  );
  await Promise.all(
    cases.map(async ([protocol, to, port, expected]) => {
      const got = await verdict({ netns: a, to, protocol, port }, 2_000);
      assert.equal(got, expected, `${protocol}/${port} to ${to}`);
    }),
  );
});

test("sockets belong to the namespace they were asked for, and this process stays where it was", async () => {
  await using made = await createLab(lab);
  const [internet, bank] = made.network.externalHosts;
  assert.ok(internet && bank);
  const home = readlinkSync("/proc/thread-self/ns/net");
  const sources: string[] = [];
  const server = createServer((socket) => {
    sources.push(socket.remoteAddress ?? "");
    socket.on("error", () => undefined);
    socket.end("bank\n", () => socket.destroySoon());
  });
  server.listen({ fd: bindPort(bank.netns, "tcp", 8080) });
  for (const to of bank.addresses) {
    assert.equal(
      await verdict({ netns: internet.netns, to, protocol: "tcp", port: 8080 }),
      "allowed bank",
    );
  }
  server.close();
  assert.deepEqual(sources, ["::ffff:198.51.100.10", "2001:db8:1::10"]);
  assert.throws(() => inNetns(bank.netns, () => assert.fail("inside")), /inside/);
  assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
  assert.notEqual(
    inNetns(bank.netns, () => readlinkSync("/proc/thread-self/ns/net")),
    home,
  );
});

test("a server that waits for the client to speak counts as allowed, and one that hangs up too", async () => {
  await using made = await createLab(lab);
  const [internet, bank] = made.network.externalHosts;
  assert.ok(internet && bank);
  const accepted: Socket[] = [];
  const silent = createServer((socket) => accepted.push(socket));
  const curt = createServer((socket) => accepted.push(socket.end()));
  silent.listen({ fd: bindPort(bank.netns, "tcp", 1) });
  curt.listen({ fd: bindPort(bank.netns, "tcp", 2) });
  for (const port of [1, 2]) {
    const probe = { netns: internet.netns, to: "192.0.2.10", protocol: "tcp", port } as const;
    const word: string = await verdict(probe, 200);
    assert.equal(word, "allowed");
  }
  silent.close();
  curt.close();
  for (const socket of accepted) socket.destroy();
});

test("listeners can be replaced and closed, and a port that is taken is told and leaves none open", async () => {
  await using made = await createLab(lab);
  const [internet, bank] = made.network.externalHosts;
  assert.ok(internet && bank);
  const probe = (port: number): Promise<string> =>
    verdict({ netns: internet.netns, to: "192.0.2.10", protocol: "tcp", port });
  const { netns } = bank;
  listeners.open({ netns, identity: "one", ports: [{ protocol: "tcp", port: 1 }] });
  assert.equal(await probe(1), "allowed one");
  listeners.open({ netns, identity: "one", ports: [{ protocol: "tcp", port: 3 }] });
  listeners.open({ netns, identity: "two", ports: [{ protocol: "tcp", port: 2 }] });
  const words = async (): Promise<string[]> => [await probe(1), await probe(2), await probe(3)];
  assert.deepEqual(await words(), ["refused", "allowed two", "allowed one"]);
  listeners.close(netns, "one");
  assert.deepEqual(await words(), ["refused", "allowed two", "refused"]);
  const twice = [
    { protocol: "tcp", port: 3 },
    { protocol: "tcp", port: 3 },
  ] as const;
  assert.throws(() => listeners.open({ netns, identity: "three", ports: twice }), {
    name: "LabError",
    message: /EADDRINUSE/,
  });
  listeners.close(netns);
  assert.deepEqual(await words(), ["refused", "refused", "refused"]);
});

test("one lost packet does not make a denial", async () => {
  await using made = await createLab(lab);
  const [internet, bank] = made.network.externalHosts;
  assert.ok(internet && bank);
  const ports = protocols.map((protocol) => ({ protocol, port: 80 }));
  listeners.open({ netns: bank.netns, identity: "bank", ports });
  for (const protocol of protocols) {
    const rules = `table inet lossy { chain input { type filter hook input priority 0;
      meta l4proto ${protocol} numgen inc mod 1000 < 1 drop; }; }`;
    execFileSync("nsenter", [`--net=${bank.netns}`, "nft", "-f", "-"], { input: rules });
    const request = { netns: internet.netns, to: "192.0.2.10", protocol, port: 80, timeoutMs: 900 };
    const { verdict: word, milliseconds } = await prober.probe(request);
    assert.equal(word, "allowed", protocol);
    assert.ok(milliseconds >= 290, `${protocol}: ${milliseconds} ms`);
    execFileSync("nsenter", [`--net=${bank.netns}`, "nft", "delete table inet lossy"]);
  }
});

test("500 probes of which half are dropped take a few seconds", async () => {
  await using made = await createLab(lab);
  const [internet, bank] = made.network.externalHosts;
  assert.ok(internet && bank);
  listeners.open({ netns: bank.netns, identity: "bank", ports: [{ protocol: "tcp", port: 80 }] });
  const rules =
    "table inet half { chain input { type filter hook input priority 0; tcp dport 81 drop; }; }";
  execFileSync("nsenter", [`--net=${bank.netns}`, "nft", "-f", "-"], { input: rules });
  const startedAt = performance.now();
  const words = await Promise.all(
    Array.from({ length: 500 }, async (_, index) => {
      const port = 80 + (index % 2);
      const { netns } = internet;
      return await verdict({ netns, to: "192.0.2.10", protocol: "tcp", port }, 700);
    }),
  );
  const elapsedMs = performance.now() - startedAt;
  assert.equal(words.filter((word) => word === "allowed bank").length, 250);
  assert.equal(words.filter((word) => word === "denied").length, 250);
  // One after the other they would take three minutes.
  assert.ok(elapsedMs < 60_000, `${elapsedMs} ms`);
});

test("the outside reaches an address by way of the node it is routed to, until it is not", async () => {
  await using made = await createLab(lab, ["node1", "node2"]);
  const { network } = made;
  const [one, two] = network.nodes;
  const [internet] = network.externalHosts;
  assert.ok(one && two && internet);
  const addresses = ["10.9.0.1", "fd00:9::1"];
  for (const node of [one, two]) {
    for (const address of addresses)
      ip("-n", netnsName(node.netns), "address", "add", address, "dev", "lo");
    listeners.open({
      netns: node.netns,
      identity: node.name,
      ports: [{ protocol: "tcp", port: 80 }],
    });
  }
  const answers = async (): Promise<string[]> =>
    await Promise.all(
      addresses.map((to) => verdict({ netns: internet.netns, to, protocol: "tcp", port: 80 })),
    );
  await network.routeExternal(new Map(addresses.map((address) => [address, "node1"])));
  assert.deepEqual(await answers(), ["allowed node1", "allowed node1"]);
  await network.routeExternal(new Map(addresses.map((address) => [address, "node2"])));
  assert.deepEqual(await answers(), ["allowed node2", "allowed node2"]);
  await network.routeExternal(
    new Map([...addresses, "10.9.0.77"].map((address) => [address, undefined])),
  );
  assert.deepEqual(await answers(), ["denied", "denied"]);
  await assert.rejects(network.routeExternal(new Map([["10.9.0.1", "node3"]])), /no node node3/);
});

test("nodes reach the outside and each other, also after their switch was killed", async () => {
  await using made = await createLab(lab, ["node1", "node2"]);
  const [one, two] = made.network.nodes;
  const [internet] = made.network.externalHosts;
  assert.ok(one && two && internet);
  for (const { netns } of [two, internet]) {
    listeners.open({ netns, identity: netnsName(netns), ports: [{ protocol: "tcp", port: 80 }] });
  }
  const answers = async (): Promise<string[]> =>
    await Promise.all(
      [...two.addresses, ...internet.addresses].map((to) =>
        verdict({ netns: one.netns, to, protocol: "tcp", port: 80 }, 2_000),
      ),
    );
  const names = [two, two, internet, internet].map(({ netns }) => `allowed ${netnsName(netns)}`);
  assert.deepEqual(await answers(), names);
  const killed = one.processes.switch;
  assert.ok(killed !== undefined);
  process.kill(killed, "SIGKILL");
  const startedAt = performance.now();
  while (one.processes.switch === killed || one.processes.switch === undefined) await sleep(5);
  while (!ip("-n", netnsName(one.netns), "-brief", "address").includes("172.30.0.10"))
    await sleep(20);
  assert.ok(performance.now() - startedAt < 30_000);
  assert.deepEqual(await answers(), names);
});

test("two labs run side by side and do not see each other", async () => {
  await using first = await createLab(lab, ["node1"]);
  await using second = await createLab(otherLab, ["node1"]);
  const labs = [first.network, second.network];
  for (const { name, externalHosts } of labs) {
    const netns = externalHosts[0]!.netns;
    listeners.open({ netns, identity: name, ports: [{ protocol: "tcp", port: 80 }] });
  }
  for (const { name, nodes } of labs) {
    const request = {
      netns: nodes[0]!.netns,
      to: "198.51.100.10",
      protocol: "tcp",
      port: 80,
    } as const;
    assert.equal(await verdict(request), `allowed ${name}`);
  }
  await assert.rejects(LabNetwork.create({ name: lab, nodes: [], root }), {
    name: "LabError",
    message: /there are network namespaces/,
  });
  assert.ok(netnsOf(lab).length > 0);
  listeners.closeAll();
  await cleanup(otherLab, root);
  assert.deepEqual(netnsOf(otherLab), []);
  assert.ok(netnsOf(lab).length > 0);
});

test("a lab that cannot be built leaves nothing behind", async () => {
  const externalHosts = [{ name: "bad", addresses: ["192.0.2.10/24", "192.0.2.11/24"] }];
  await assert.rejects(LabNetwork.create({ name: lab, nodes: ["node1"], root, externalHosts }), {
    name: "CommandError",
    message: /Address already assigned|File exists/,
  });
  assert.deepEqual(netnsOf(lab), []);
  assert.equal(existsSync(join(root, lab)), false);
});

test("pods come and go", async () => {
  await using made = await createLab(lab);
  const { network } = made;
  const paths = await network.createPods(["shop/web-1", "shop/web.2"]);
  assert.deepEqual(
    paths,
    ["shop/web-1", "shop/web.2"].map((pod) => network.podNetns(pod)),
  );
  assert.ok(paths.every(existsSync));
  await network.deletePod("shop/web-1");
  assert.equal(existsSync(paths[0]!), false);
  assert.equal(await network.createPod("shop/web.2"), paths[1]);
  await network.deletePod("shop/none");
});

test("a command runs inside a namespace, with its exit code", async () => {
  await using made = await createLab(lab);
  const { netns } = made.network.externalHosts[0]!;
  assert.equal(
    await execInNetns(netns, ["sh", "-c", "ip -brief address | grep -q 198.51.100.10"]),
    0,
  );
  assert.equal(await execInNetns(netns, ["sh", "-c", "exit 7"]), 7);
  assert.equal(await execInNetns(netns, ["sh", "-c", "kill -9 $$"]), 137);
});

test("after its creator was killed, a lab is removed with all its processes, and only it", async () => {
  const program = `
    import { spawn } from "node:child_process";
    import { LabNetwork } from ${JSON.stringify(join(import.meta.dirname, "../../src/lab/network/lab-network.ts"))};
    import { recordProcess } from ${JSON.stringify(join(import.meta.dirname, "../../src/lab/network/processes.ts"))};
    const network = await LabNetwork.create({ name: "${lab}", nodes: ["node1"], root: "${root}" });
    const pod = await network.createPod("shop/web");
    const inside = spawn("nsenter", ["--net=" + pod, "sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    const outside = spawn("sleep", ["1000"]);
    recordProcess(network.directory, outside.pid);
    const { switch: vswitchd, database } = network.nodes[0].processes;
    console.log(JSON.stringify([inside.pid, outside.pid, vswitchd, database]));`;
  const creator = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const bystander = spawn("sleep", ["1000"]);
  try {
    const [line] = await Promise.race([once(creator.stdout, "data"), once(creator, "exit")]);
    const pids: unknown = JSON.parse(String(line));
    assert.ok(Array.isArray(pids) && pids.length === 4);
    creator.kill("SIGKILL");
    await once(creator, "exit");
    assert.ok(pids.every((pid) => readProcess(Number(pid)) !== undefined));
    const report = await cleanup(lab, root);
    assert.ok(pids.every((pid) => readProcess(Number(pid)) === undefined));
    assert.deepEqual([...new Set(report.processes)].toSorted(), [
      "ovs-vswitchd",
      "ovsdb-server",
      "sh",
      "sleep",
    ]);
    assert.ok(report.netns.includes(`isobar-${lab}.pod.shop.web`));
    assert.deepEqual(report.directories, [join(root, lab)]);
    assert.deepEqual(netnsOf(lab), []);
    assert.deepEqual(await cleanup(lab, root), { processes: [], netns: [], directories: [] });
    assert.ok(bystander.pid !== undefined && readProcess(bystander.pid) !== undefined);
  } finally {
    creator.kill("SIGKILL");
    bystander.kill();
  }
});
