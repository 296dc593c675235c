// OVN in restart.bench.ts: a logical switch with two ports on one node of a lab's network, an ACL with as many addresses as
// there are to be flows, and ovn-controller killed and started again.
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { cleanup } from "../src/lab/network/cleanup.ts";
import { LabNetwork } from "../src/lab/network/lab-network.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { runCommand } from "../src/runtime/command.ts";
import type { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import { Conversation, EchoServer, Ping, Traffic } from "../test/lab/traffic.ts";
import { installOvn, startDatabase } from "./realisation-ovn.ts";
import { Daemon, until } from "./realisation-switch.ts";

const pods = [
  { name: "client", mac: "0a:00:00:00:00:01", address: "10.0.0.1" },
  { name: "server", mac: "0a:00:00:00:00:02", address: "10.0.0.2" },
] as const;

/** What became of the traffic. */
export interface Outcome {
  readonly killed: string;
  readonly pings: number;
  readonly lost: number;
  readonly ended: number;
  /** Until a ping was answered again; 0 when none was lost. */
  readonly awayMs: number;
  readonly flows: string;
}

interface OvnOptions {
  readonly addresses: number;
  readonly connections: number;
  readonly port: number;
}

function countFlows(rundir: string): number {
  const text = execFileSync("ovs-ofctl", ["dump-aggregate", `unix:${rundir}/br-int.mgmt`], {
    encoding: "utf8",
  });
  return Number(/flow_count=(\d+)/.exec(text)?.[1] ?? 0);
}

function attach(
  netns: string,
  podNetns: string,
  { name, mac, address }: (typeof pods)[number],
): void {
  const script = `
    ip link add ${name} mtu 1400 type veth peer name eth0 mtu 1400 address ${mac} netns ${podNetns}
    ip link set ${name} up
    nsenter --net=${podNetns} sh -ec 'ethtool -K eth0 tx off >/dev/null; ip link set eth0 up; ip addr add ${address}/24 dev eth0'`;
  execFileSync("nsenter", [`--net=${netns}`, "sh", "-ec", script]);
}

export async function measureOvn(options: OvnOptions): Promise<Outcome> {
  installOvn();
  await using stack = new AsyncDisposableStack();
  const root = mkdtempSync(join(tmpdir(), "isobar-ovn-"));
  const name = `o${process.pid}`;
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const network = await LabNetwork.create({ name, nodes: ["node"], externalHosts: [], root });
  stack.defer(async () => {
    await network.destroy();
    await cleanup(name, root);
  });
  const [node] = network.nodes;
  if (node === undefined) throw new Error("no node");
  const { netns, rundir, databaseSocket } = node;
  const control = (...args: string[]): void => {
    execFileSync("ovs-vsctl", [`--db=unix:${databaseSocket}`, ...args]);
  };
  control(
    "add-br",
    "br-int",
    "--",
    "set",
    "bridge",
    "br-int",
    "datapath_type=netdev",
    "fail_mode=secure",
  );
  const netnses = await network.createPods(pods.map((pod) => `ovn/${pod.name}`));
  for (const [index, pod] of pods.entries()) {
    attach(netns, netnses[index]!, pod);
    control(
      "add-port",
      "br-int",
      pod.name,
      "--",
      "set",
      "interface",
      pod.name,
      `external_ids:iface-id=${pod.name}`,
    );
  }
  const northbound = await startDatabase(rundir, "nb", stack);
  const southbound = await startDatabase(rundir, "sb", stack);
  const ids = {
    "system-id": "chassis",
    "ovn-remote": `unix:${rundir}/sb.sock`,
    "ovn-encap-type": "geneve",
    "ovn-encap-ip": "127.0.0.1",
    "ovn-bridge": "br-int",
  };
  control(
    "set",
    "open",
    ".",
    ...Object.entries(ids).map(([key, value]) => `external_ids:${key}="${value}"`),
  );
  const env = { OVN_RUNDIR: rundir, OVS_RUNDIR: rundir, OVN_LOGDIR: rundir, OVN_DBDIR: rundir };
  const daemon = { folder: rundir, env };
  const databases = [`--ovnnb-db=unix:${rundir}/nb.sock`, `--ovnsb-db=unix:${rundir}/sb.sock`];
  stack.use(new Daemon("ovn-northd", ["ovn-northd", ...databases], daemon));
  const command = ["nsenter", `--net=${netns}`, "ovn-controller", `unix:${databaseSocket}`];
  let controller = new Daemon("ovn-controller", command, daemon);
  stack.defer(async () => await controller[Symbol.asyncDispose]());
  const chassis = await southbound.monitor({ Chassis: { columns: ["name"] } });
  await until("a chassis", () => chassis.rows("Chassis").size === 1 || undefined);
  await populate(northbound, options.addresses);
  await until("OVN's flows", () => countFlows(rundir) > options.addresses || undefined);
  console.log(`OVN: ${countFlows(rundir)} flows`);

  const [client = "", server = ""] = netnses;
  const route = { netns: client, to: pods[1].address, port: options.port };
  stack.use(new EchoServer(server, options.port));
  const pid = node.processes.switch;
  for (const one of [pid, process.pid]) {
    await runCommand(["chrt", "--all-tasks", "--rr", "--pid", "1", String(one)]);
  }
  const traffic = stack.use(
    new Traffic(
      Array.from({ length: options.connections }, (_, n) => new Conversation(`${n}`, route)),
      [new Ping("a", route), new Ping("b", route)],
    ),
  );
  await traffic.established();
  let least = Number.POSITIVE_INFINITY;
  let awayMs = 0;
  const report = await traffic.during(async () => {
    await sleep(1_000);
    await controller[Symbol.asyncDispose]();
    controller = new Daemon("ovn-controller", command, daemon);
    const end = performance.now() + 20_000;
    let silentSince = performance.now();
    let answered = traffic.pings[0]?.answered ?? 0;
    while (performance.now() < end) {
      await sleep(20);
      const now = traffic.pings[0]?.answered ?? 0;
      if (now > answered) silentSince = performance.now();
      answered = now;
      awayMs = Math.max(awayMs, performance.now() - silentSince);
      least = Math.min(least, countFlows(rundir));
    }
  }, 5_000);
  return {
    killed: "ovn-controller",
    pings: report.pings,
    lost: report.lostPings,
    ended: report.ended.length,
    awayMs: Math.round(awayMs),
    flows: `${least} at the least meanwhile`,
  };
}

async function populate(northbound: OvsdbClient, addresses: number): Promise<void> {
  const texts = Array.from(
    { length: addresses },
    (_, n) => `11.${n >> 15}.${(n >> 7) & 255}.${(n & 127) * 2}`,
  );
  const port = (n: number) => ({ namedUuid: `port${n}` });
  await northbound.transact([
    ...pods.map(
      ({ name, mac, address }, n) =>
        ({
          op: "insert",
          table: "Logical_Switch_Port",
          row: { name, addresses: `${mac} ${address}` },
          uuidName: `port${n}`,
        }) as const,
    ),
    { op: "insert", table: "Address_Set", row: { name: "outside", addresses: texts } },
    {
      op: "insert",
      table: "ACL",
      row: {
        direction: "to-lport",
        priority: 1000,
        match: 'outport == "server" && ip4.src == $outside',
        action: "allow-related",
      },
      uuidName: "outside",
    },
    {
      op: "insert",
      table: "ACL",
      row: {
        direction: "to-lport",
        priority: 1000,
        match: 'outport == "server" && ip4.src == 10.0.0.1',
        action: "allow-related",
      },
      uuidName: "inside",
    },
    {
      op: "insert",
      table: "ACL",
      row: {
        direction: "to-lport",
        priority: 900,
        match: 'outport == "server" && ip4',
        action: "drop",
      },
      uuidName: "drop",
    },
    {
      op: "insert",
      table: "Logical_Switch",
      row: {
        name: "bench",
        ports: [port(0), port(1)],
        acls: ["outside", "inside", "drop"].map((namedUuid) => ({ namedUuid })),
      },
    },
  ]);
}
