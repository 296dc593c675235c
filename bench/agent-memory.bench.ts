// Memory of an agent by the number of pods in the cluster: it knows all of them, each with two addresses, and has the flows
// for them on its switch. 40 are on its own node.
//
//   node bench/agent-memory.bench.ts [--quick]
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Resource } from "../src/southbound/resources.ts";
import { AgentProcess } from "../test/agent/agent-process.ts";
import { TestController } from "../test/agent/test-controller.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";

const counts = process.argv.includes("--quick") ? [0, 10_000] : [0, 10_000, 50_000, 100_000];
const nodes = 100;
const podsPerIdentity = 20;

function pod(n: number): Resource {
  const [high, low] = [n >> 8, n & 255];
  const deployment = Math.floor(n / podsPerIdentity);
  const namespace = `namespace-${deployment % 500}`;
  const hex = (octet: number): string => octet.toString(16).padStart(2, "0");
  return {
    kind: "endpoint",
    id: `${namespace}/deployment-${deployment}-${n}`,
    domain: "default",
    // 40 at most on the node that is measured.
    node: n < 40 ? "node-0" : `node-${1 + (n % (nodes - 1))}`,
    addresses: [
      `10.${128 + (high >> 8)}.${high & 255}.${low}`,
      `fd00:10::${high.toString(16)}:${low.toString(16)}`,
    ],
    mac: `0a:00:00:${hex(high >> 8)}:${hex(high & 255)}:${hex(low)}`,
    identity: `${namespace} app=deployment-${deployment}`,
  };
}

const underlying: readonly Resource[] = [
  { kind: "domain", id: "default", vni: 1, pools: ["10.128.0.0/14", "fd00:10::/48"] },
  ...Array.from({ length: nodes }, (_, n): Resource => ({
    kind: "node",
    id: `node-${n}`,
    addresses: [`192.0.2.${n}`],
  })),
];

/** Resident, in MB. */
function memoryOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024);
}

async function measure(count: number): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const ovs = stack.use(await OpenVswitch.start());
  const folder = join(ovs.rundir, "agent");
  mkdirSync(folder);
  const socket = join(folder, "controller.sock");
  const controller = stack.use(await TestController.listen(socket));
  controller.change([...underlying, ...Array.from({ length: count }, (_, n) => pod(n))]);
  const agent = stack.use(
    new AgentProcess({
      node: "node-0",
      folder,
      controllers: [socket],
      ovsdb: ovs.databaseSocket,
      rundir: ovs.rundir,
      datapathType: "dummy",
    }),
  );
  await agent.start();
  const reached = async (): Promise<number> => {
    for (;;) {
      const { revision, flows } = await agent.status();
      if (revision === controller.revision) return flows;
      await sleep(100);
    }
  };
  const flows = await reached();
  await sleep(5_000);
  const first = memoryOf(agent.pid);
  await agent.stop("SIGTERM");
  const startedAt = performance.now();
  await agent.start();
  await reached();
  const restartMs = Math.round(performance.now() - startedAt);
  await sleep(5_000);
  const size = Math.round(statSync(agent.stateFile).size / 1024 / 1024);
  console.log(
    `${count} pods, ${flows} flows: ${first} MB after being told, ${memoryOf(agent.pid)} MB after a restart ` +
      `(in force again after ${restartMs} ms); its file has ${size} MB`,
  );
}

for (const count of counts) await measure(count);
