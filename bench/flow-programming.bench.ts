// B5, flow programming: how long until a switch has N flows, has them again after some have drifted, and has none.
//
//   node bench/flow-programming.bench.ts [--quick]
//
// Isobar's client and ovs-ofctl --bundle take turns on the same ovs-vswitchd with the dummy datapath. The probe sends the
// install's bytes encoded beforehand: what the switch takes at most. ovs-ofctl's times include its start and the reading
// of its file, which is how it is used; Isobar's include the encoding of every flow and, for a resync, of every
// flow's body, as after a restart of the agent.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Flow } from "../src/openflow/flow.ts";
import { flowBody, flowKey } from "../src/openflow/flow-key.ts";
import { addFlow, deleteFlow } from "../src/openflow/flow-mod.ts";
import { formatFlow } from "../src/openflow/format.ts";
import { type Message, encodeMessage } from "../src/openflow/message.ts";
import { type Change, OpenFlowClient } from "../src/switch/openflow-client.ts";
import { Writer } from "../src/wire/writer.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { type Drift, driftOf, flowsOf } from "./flow-workload.ts";

const steps = ["install", "resync, 0% drift", "resync, 1% drift", "delete"] as const;
type Step = (typeof steps)[number];

/** The switch's state for one size. Each call of a contender is timed. */
interface Contender {
  readonly name: string;
  install(): Promise<void>;
  resync(): Promise<void>;
  deleteAll(): Promise<void>;
}

function isobar(client: OpenFlowClient, flows: readonly Flow[]): Contender {
  const wanted = new Map(flows.map((flow) => [flowKey(flow), flow]));
  return {
    name: "isobar",
    install: () => client.bundle(flows.map(addFlow)),
    async resync() {
      const missing = new Map(wanted);
      const changes: Change[] = [];
      await client.visitFlows({}, ({ flow }) => {
        const key = flowKey(flow);
        const want = missing.get(key);
        if (want === undefined) changes.push(deleteFlow(flow));
        else if (flowBody(flow) !== flowBody(want)) changes.push(addFlow(want));
        missing.delete(key);
      });
      for (const flow of missing.values()) changes.push(addFlow(flow));
      await client.bundle(changes);
    },
    deleteAll: () => client.bundle(flows.map(deleteFlow)),
  };
}

function lineOf(flow: Flow): string {
  return `${formatFlow(flow)}\n`;
}

function deleteLineOf(flow: Flow): string {
  return `delete_strict ${lineOf({ ...flow, cookie: 0n }).replace(/ actions=.*/, "")}`;
}

function ovsOfctl(ovs: OpenVswitch, flows: readonly Flow[]): Contender {
  const target = `unix:${join(ovs.rundir, "br0.mgmt")}`;
  const adds = join(ovs.rundir, "add.txt");
  const deletes = join(ovs.rundir, "delete.txt");
  writeFileSync(adds, flows.map(lineOf).join(""));
  writeFileSync(deletes, flows.map(deleteLineOf).join(""));
  const run = async (command: string, file: string): Promise<void> => {
    // It warns of its own long turns.
    const options = ["-O", "OpenFlow15", "-voff", "--bundle"];
    execFileSync("ovs-ofctl", [...options, command, target, file]);
  };
  return {
    name: "ovs-ofctl",
    install: () => run("add-flows", adds),
    resync: () => run("replace-flows", adds),
    deleteAll: () => run("add-flows", deletes),
  };
}

/** The bytes of one bundle from open to commit. */
function encodeBundle(flows: readonly Flow[]): Uint8Array {
  const writer = new Writer(flows.length * 160);
  const flags = ["atomic", "ordered"] as const;
  let xid = 1;
  const put = (message: Message): void => encodeMessage(writer, message, xid++);
  put({ kind: "hello", versions: [6] });
  put({ kind: "bundle-control", bundle: 1, type: "open-request", flags });
  for (const flow of flows) put({ kind: "bundle-add", bundle: 1, flags, message: addFlow(flow) });
  put({ kind: "bundle-control", bundle: 1, type: "commit-request", flags });
  return writer.view();
}

/** Time until the commit is answered: the last of three messages, after the hello and the answer to the open. */
async function probe(ovs: OpenVswitch, bytes: Uint8Array): Promise<number> {
  const socket = connect(join(ovs.rundir, "br0.mgmt"));
  const start = performance.now();
  socket.write(bytes);
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("hex");
    if (received.endsWith("00050000")) resolve();
  });
  await promise;
  socket.destroy();
  return performance.now() - start;
}

async function time(run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

async function applyDrift(client: OpenFlowClient, drift: Drift): Promise<void> {
  await client.bundle([
    ...drift.missing.map(deleteFlow),
    ...[...drift.changed, ...drift.foreign].map(addFlow),
  ]);
}

/** Asserts that the switch has these flows and no others. */
async function check(client: OpenFlowClient, flows: readonly Flow[]): Promise<void> {
  const wanted = new Map(flows.map((flow) => [flowKey(flow), flowBody(flow)]));
  let equal = 0;
  let others = 0;
  await client.visitFlows({}, ({ flow }) => {
    if (wanted.get(flowKey(flow)) === flowBody(flow)) equal++;
    else others++;
  });
  if (equal === flows.length && others === 0) return;
  throw new Error(`expected ${flows.length} flows, got ${equal} of them and ${others} others`);
}

type Times = Record<Step, number>;

async function runRound(
  contender: Contender,
  client: OpenFlowClient,
  flows: readonly Flow[],
): Promise<Times> {
  const install = await time(() => contender.install());
  const same = await time(() => contender.resync());
  await applyDrift(client, driftOf(flows));
  const drifted = await time(() => contender.resync());
  await check(client, flows);
  const deleted = await time(() => contender.deleteAll());
  await check(client, []);
  return {
    install,
    "resync, 0% drift": same,
    "resync, 1% drift": drifted,
    delete: deleted,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  const [low, middle, high] = [Math.min(...values), median(values), Math.max(...values)];
  return `${middle.toFixed(0)} ms (${low.toFixed(0)}–${high.toFixed(0)})`.padEnd(24);
}

function report(size: number, results: ReadonlyMap<string, Times[]>, probes: number[]): void {
  const ours = results.get("isobar") ?? [];
  const theirs = results.get("ovs-ofctl") ?? [];
  console.log(
    `\n${size} flows${" ".repeat(14)}isobar${" ".repeat(18)}ovs-ofctl${" ".repeat(15)}ratio`,
  );
  for (const step of steps) {
    const [a, b] = [ours, theirs].map((all) => all.map((times) => times[step]));
    const ratio = (median(b!) / median(a!)).toFixed(2);
    console.log(`  ${step.padEnd(18)} ${spread(a!)}${spread(b!)}${ratio} x faster`);
  }
  const installs = ours.map((times) => times.install);
  const rate = Math.round((size / median(installs)) * 1000);
  const limit = Math.round((size / median(probes)) * 1000);
  console.log(
    `  ${rate} flows/s installed; encoded beforehand ${limit} flows/s (${spread(probes).trim()})`,
  );
}

async function measure(
  ovs: OpenVswitch,
  client: OpenFlowClient,
  size: number,
  rounds: number,
): Promise<void> {
  const flows = flowsOf(size);
  const contenders = [isobar(client, flows), ovsOfctl(ovs, flows)];
  const bytes = encodeBundle(flows);
  const results = new Map<string, Times[]>(contenders.map(({ name }) => [name, []]));
  const probes: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const times = await runRound(contender, client, flows);
      if (round > 0) results.get(contender.name)?.push(times);
    }
    const took = await probe(ovs, bytes);
    if (round > 0) probes.push(took);
    await client.bundle(flows.map(deleteFlow));
  }
  report(size, results, probes);
}

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
await using ovs = await OpenVswitch.start();
const bridge = "add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure";
execFileSync("ovs-vsctl", [`--db=unix:${ovs.databaseSocket}`, ...bridge.split(" ")]);
await using client = await OpenFlowClient.open({ address: { path: join(ovs.rundir, "br0.mgmt") } });
const [description] = await client.collect({
  kind: "multipart-request",
  part: "description",
  request: undefined,
});
console.log(`${description?.hardware} ${description?.software}, Node ${process.versions.node}`);
for (const size of values.quick ? [10_000, 50_000] : [10_000, 100_000, 500_000]) {
  await measure(ovs, client, size, values.quick ? 3 : 5);
}
