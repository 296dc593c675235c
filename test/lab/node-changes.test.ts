// A node changes under its agent: interfaces, addresses, other programs' rules.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import type { AgentStatus, NodeReport } from "../../src/southbound/attachment.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { NodeLab, type Pod, eventually, sh } from "./node-lab.ts";

/** MTU of an interface of the namespace. */
function mtuOf(netns: string, name: string): number {
  return Number(/ mtu (\d+)/.exec(sh(netns, `ip -o link show dev ${name}`))?.[1]);
}

function codesOf(status: AgentStatus): readonly string[] {
  return (status.nodeReport?.problems ?? []).map(({ code }) => code);
}

describe("a node with IPv4 and IPv6", () => {
  let lab: NodeLab;
  let here: Pod;
  let there: Pod;
  let internet: string;

  before(async () => {
    lab = await NodeLab.create({ name: `c${process.pid}`, nodes: 2 });
    [here, there] = await Promise.all([lab.pod(0), lab.pod(1)]);
    const [host] = lab.network.externalHosts;
    assert.ok(host !== undefined);
    internet = host.addresses[0]!;
    lab.listen(host.netns, "internet");
  });

  after(async () => await lab[Symbol.asyncDispose]());

  async function report(index = 0): Promise<NodeReport> {
    const { nodeReport } = await lab.agents[index]!.until((one) => one.nodeReport !== undefined);
    assert.ok(nodeReport !== undefined);
    return nodeReport;
  }

  test("is described in its agent's status", async () => {
    await eventually(async () => {
      const found = await report();
      assert.deepEqual(
        { ...found, switchVersion: found.switchVersion?.replace(/^[\d.]+$/, "version") },
        {
          bridge: "br-int",
          datapath: "netdev",
          switchVersion: found.switchVersion === undefined ? undefined : "version",
          segmentation: false,
          checksumInKernel: true,
          addresses: lab.node(0).addresses,
          underlay: { interfaces: ["br-ext"], mtu: 1500 },
          tunnelUdpPort: 4789,
          endpointMtu: 1450,
          problems: found.problems.filter(({ severity }) => severity === "advice"),
        },
      );
    });
  });

  test("an MTU that shrinks is followed by all interfaces, one that grows by new ones", async () => {
    const { netns } = lab.node(0);
    assert.equal(mtuOf(here.netns, "eth0"), 1450);
    sh(netns, "ip link set uplink mtu 1400");
    await eventually(() => {
      assert.equal(mtuOf(here.netns, "eth0"), 1350);
      assert.equal(mtuOf(netns, here.port), 1350);
      assert.equal(mtuOf(netns, "isobar-gw"), 1350);
    });
    assert.equal(await lab.verdict(here.netns, there.addresses[0]!), "allowed");
    sh(netns, "ip link set uplink mtu 1500");
    await eventually(async () => assert.equal((await report()).endpointMtu, 1450));
    const later = await lab.pod(0);
    assert.equal(later.mtu, 1450);
    assert.equal(mtuOf(later.netns, "eth0"), 1450);
    assert.equal(mtuOf(here.netns, "eth0"), 1350);
  });

  test("other programs' filters that forward nothing let the overlay through", async () => {
    const { netns } = lab.node(0);
    // As Docker does, and as firewalld does.
    sh(
      netns,
      `nft -f - <<'EOF'
table ip filter {
  chain FORWARD {
    type filter hook forward priority 0; policy drop;
  }
}
table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    ct state established accept
    reject with icmpx type admin-prohibited
  }
}
EOF`,
    );
    // Nothing tells of chains that are new: the next look finds them.
    sh(netns, "ip link set lo down; ip link set lo up");
    await eventually(async () => assert.equal(await lab.verdict(here.netns, internet), "allowed"));
    const rules = sh(netns, "nft list ruleset");
    assert.equal(rules.match(/accept comment "isobar: judged by its policies"/g)?.length, 4, rules);
    sh(netns, "ip link set lo down; ip link set lo up");
    await lab.pod(0);
    const again = sh(netns, "nft list ruleset");
    assert.equal(again.match(/isobar: judged/g)?.length, 4, again);
    sh(netns, "nft delete table ip filter; nft delete table inet firewalld");
  });

  test("rules that somebody flushes come back", async () => {
    const { netns } = lab.node(0);
    const tables = ["isobar-endpoints", "isobar-isobar-gw"];
    const rules = (): readonly string[] =>
      tables.map((table) => sh(netns, `nft list table inet ${table} || true`));
    const untouched = rules();
    sh(netns, "nft flush ruleset");
    await eventually(() => assert.deepEqual(rules(), untouched));
    assert.equal(await lab.verdict(here.netns, internet), "allowed");
  });

  test("forwarding that somebody switches off comes back", async () => {
    const { netns } = lab.node(0);
    sh(netns, "echo 0 >/proc/sys/net/ipv4/ip_forward; ip link set lo down; ip link set lo up");
    await eventually(() =>
      assert.equal(sh(netns, "cat /proc/sys/net/ipv4/ip_forward").trim(), "1"),
    );
  });

  test("a device that takes the tunnels' UDP port is reported while it is there", async () => {
    const { netns } = lab.node(0);
    sh(netns, "ip link add other type vxlan id 5 dstport 4789 dev br-ext");
    await lab.agents[0]!.until((status) => codesOf(status).includes("tunnel-port-taken"));
    assert.ok(lab.agents[0]!.log.some(({ code }) => code === "tunnel-port-taken"));
    sh(netns, "ip link delete other");
    await lab.agents[0]!.until((status) => !codesOf(status).includes("tunnel-port-taken"));
  });

  test("a bridge that is somebody else's is left as it is", async () => {
    const node = lab.node(0);
    const control = (...args: string[]): string =>
      sh(node.netns, `ovs-vsctl --db=unix:${node.databaseSocket} ${args.join(" ")}`);
    control("add-br", "br-ovn", "-- set bridge br-ovn datapath_type=netdev");
    control("set bridge br-ovn external_ids:ct-zone-lp1=7");
    const untouched = control("list", "bridge", "br-ovn");
    const folder = `${lab.root}/second`;
    sh(node.netns, `mkdir ${folder}`);
    const { options } = lab.agents[0]!;
    await using second = new AgentProcess({ ...options, folder, arguments: ["--bridge=br-ovn"] });
    await second.start();
    const status = await second.until((one) => codesOf(one).includes("bridge-taken"));
    const { message } = status.nodeReport?.problems[0] ?? {};
    assert.match(message ?? "", /br-ovn is somebody else's \(it has external_ids:ct-zone-lp1\)/);
    const netns = await lab.network.createPod("shop/unlucky");
    const reply = await second.request({
      type: "attach",
      endpoint: here.name,
      container: "unlucky",
      netns,
      interface: "eth0",
      timeoutMs: 500,
    });
    assert.ok(reply.type === "error", JSON.stringify(reply));
    assert.match(reply.message, /br-ovn is somebody else's/);
    assert.equal(control("list", "bridge", "br-ovn"), untouched);
    control("del-br", "br-ovn");
  });

  test("a node that gets another address is reached there", async () => {
    const { netns, name } = lab.node(1);
    sh(
      netns,
      `ip address delete 172.30.0.11/24 dev br-ext
       ip address add 172.30.0.99/24 dev br-ext
       ip route replace default via 172.30.0.1`,
    );
    lab.controller.change([{ kind: "node", id: name, addresses: ["172.30.0.99", "fd00:30::b"] }]);
    for (const [from, to] of [
      [here, there],
      [there, here],
    ] as const) {
      await eventually(async () =>
        assert.equal(await lab.verdict(from.netns, to.addresses[0]!), "allowed"),
      );
    }
    assert.equal(await lab.verdict(there.netns, internet), "allowed");
    assert.match(sh(netns, "ip route show 10.9.0.0/16"), /src 172\.30\.0\.99/);
  });
});

describe("nodes with IPv6 alone between them", () => {
  let lab: NodeLab;

  before(async () => {
    lab = await NodeLab.create({
      name: `s${process.pid}`,
      nodes: 2,
      addressesOf: ({ addresses }) => addresses.filter((address) => address.includes(":")),
    });
    for (const { netns } of lab.network.nodes) {
      sh(netns, "ip -4 address flush dev br-ext scope global");
    }
  });

  after(async () => await lab[Symbol.asyncDispose]());

  test("carry pods of both families", async () => {
    const [here, there] = await Promise.all([lab.pod(0), lab.pod(1)]);
    assert.equal(here.mtu, 1430);
    for (const to of there.addresses) {
      await eventually(async () => assert.equal(await lab.verdict(here.netns, to), "allowed"));
    }
    for (const pod of [here, there]) {
      await eventually(async () =>
        assert.equal(await lab.verdict(lab.node(0).netns, pod.addresses[1]!), "allowed"),
      );
    }
  });
});

describe("nodes whose switch in user space is told to cut segments", () => {
  let lab: NodeLab;

  before(async () => {
    lab = await NodeLab.create({ name: `g${process.pid}`, nodes: 2 });
    for (const node of lab.network.nodes) {
      const { netns, databaseSocket, processes } = node;
      const set = "set Open_vSwitch . other_config:userspace-tso-enable=true";
      sh(netns, `ovs-vsctl --db=unix:${databaseSocket} --no-wait ${set}`);
      process.kill(processes.switch!, "SIGKILL");
      await eventually(() => {
        assert.ok(
          node.processes.switch !== undefined && node.processes.switch !== processes.switch,
        );
      });
    }
  });

  after(async () => await lab[Symbol.asyncDispose]());

  test("leave it to pods' hardware from Open vSwitch 3.5 on, and are warned of it before", async () => {
    const [agent] = lab.agents;
    assert.ok(agent !== undefined);
    const { nodeReport: told } = await agent.until(
      ({ nodeReport }) => nodeReport?.switchVersion !== undefined,
    );
    const [major = 0, minor = 0] = (told?.switchVersion ?? "").split(".").map(Number);
    const able = major > 3 || (major === 3 && minor >= 5);
    // The switch says what it does with a port when it has one whose hardware can do more.
    await Promise.all([lab.pod(0), lab.pod(1)]);
    const wanted = able ? [] : ["segmentation-breaks-tunnels"];
    await Promise.all(
      lab.agents.map(async (one) => {
        await one.until(
          (status) =>
            status.nodeReport?.segmentation === able &&
            wanted.every((code) => codesOf(status).includes(code)),
        );
      }),
    );
    const { nodeReport: found } = await agent.status();
    const [here, beside, there] = [await lab.pod(0), await lab.pod(0), await lab.pod(1)];
    const offload = /tx-checksumming: (\w+)/.exec(sh(here.netns, "ethtool -k eth0"))?.[1];
    assert.deepEqual(
      [found?.segmentation, found?.checksumInKernel, offload],
      [able, !able, able ? "on" : "off"],
    );
    assert.deepEqual(
      found?.problems.filter(({ severity }) => severity !== "advice").map(({ code }) => code),
      wanted,
    );
    for (const to of able ? [beside, there] : [beside]) {
      for (const address of to.addresses) {
        await eventually(async () => assert.equal(await transfer(here, to, address), 4 << 20));
      }
    }
  });
});

/** Sends 4 MB and gives how much arrived. */
async function transfer(from: Pod, to: Pod, address: string): Promise<number> {
  const receive = `
    const server = require("net").createServer((socket) => {
      let size = 0;
      socket.on("data", (chunk) => (size += chunk.length));
      socket.on("close", () => { console.log(size); process.exit(); });
      socket.on("error", () => undefined);
    });
    server.listen(8080, "::", () => console.log("ready"));
    setTimeout(() => process.exit(1), 10_000);`;
  const send = `
    require("net").connect(8080, "${address}").on("error", () => process.exit(1)).end(Buffer.alloc(4 << 20));
    setTimeout(() => process.exit(1), 10_000).unref();`;
  const run = (netns: string, program: string): ChildProcess =>
    spawn("nsenter", [`--net=${netns}`, process.execPath, "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  const receiver = run(to.netns, receive);
  assert.ok(receiver.stdout !== null);
  const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const sender = run(from.netns, send);
  try {
    return Number((await lines.next()).value);
  } finally {
    receiver.kill("SIGKILL");
    sender.kill("SIGKILL");
  }
}
