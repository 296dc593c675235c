// OVN in restart.bench.ts: a logical switch with two ports on one node of a lab's network, an ACL with as many addresses as
// there are to be flows, and ovn-controller killed and started again.
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { runCommand } from "../src/runtime/command.ts";
import { Conversation, EchoServer, Ping, Traffic } from "../test/lab/traffic.ts";
import { OvnNodes } from "./ovn-nodes.ts";
import { until } from "./realisation-switch.ts";

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

/** Those of a server that the client and the address set `outside` may reach. */
function aclsOf(server: string, client: string) {
  const to = `outport == "${server}"`;
  const allow = { priority: 1000, action: "allow-related" };
  return [
    { ...allow, match: `${to} && ip4.src == $outside` },
    { ...allow, match: `${to} && ip4.src == ${client}` },
    { priority: 900, action: "drop", match: `${to} && ip4` },
  ];
}

export async function measureOvn(options: OvnOptions): Promise<Outcome> {
  await using stack = new AsyncDisposableStack();
  const ovn = await OvnNodes.start(1, stack);
  const [node] = ovn.nodes;
  if (node === undefined) throw new Error("no node");
  await ovn.addAddressSet("outside", addressesOf(options.addresses));
  const ports = ["client", "server"].map((name) => ({ name, node }));
  const [client, server] = await ovn.createSwitch(ports, aclsOf("server", "10.4.0.1"));
  await until("OVN's flows", () => countFlows(node.rundir) > options.addresses || undefined);
  console.log(`OVN: ${countFlows(node.rundir)} flows`);

  const route = { netns: client!.netns, to: server!.address, port: options.port };
  stack.use(new EchoServer(server!.netns, options.port));
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
    await ovn.restartController(node);
    const end = performance.now() + 20_000;
    let silentSince = performance.now();
    let answered = traffic.pings[0]?.answered ?? 0;
    while (performance.now() < end) {
      await sleep(20);
      const now = traffic.pings[0]?.answered ?? 0;
      if (now > answered) silentSince = performance.now();
      answered = now;
      awayMs = Math.max(awayMs, performance.now() - silentSince);
      least = Math.min(least, countFlows(node.rundir));
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

function addressesOf(count: number): readonly string[] {
  return Array.from(
    { length: count },
    (_, n) => `11.${n >> 15}.${(n >> 7) & 255}.${(n & 127) * 2}`,
  );
}
