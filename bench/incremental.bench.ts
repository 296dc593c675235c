// B2, incremental: how long from one changed object to the messages for the nodes that it concerns, on a standing state.
//
//   node bench/incremental.bench.ts [--quick]
//
// Each event changes one object, then flushes and encodes the message of every node that has something of its own, and
// of one that gets only what is shared. The same at a tenth of the size shows what cost depends on size. Some events are
// checked: the nodes told are exactly those whose state is another than before. Beside it OVN's ovn-northd on the same pods, one
// more port and one more ACL until the southbound database has them; those two in turns with a pod and a policy here.
import { parseArgs } from "node:util";
import { Compute, type ComputeDelta } from "../src/compute/graph.ts";
import type { Endpoint } from "../src/model/endpoint.ts";
import type { Policy } from "../src/model/policy.ts";
import { encodeDeltaMessage } from "../src/southbound/encoded.ts";
import { type Workload, nodeCount, randomNumbers, workloads } from "./antrea-workloads.ts";
import { load } from "./contenders.ts";
import { Northd, northdVersion } from "./northd.ts";
import { installOvn } from "./ovn.ts";

type Random = (below: number) => number;

interface Bench {
  readonly compute: Compute;
  readonly workload: Workload;
  readonly random: Random;
}

function pick<Item>(list: readonly Item[], random: Random): Item {
  const item = list[random(list.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

/** Each changes something; what it gives undoes it, which is an event as well. */
const events: Readonly<Record<string, (bench: Bench) => () => void>> = {
  "pod label": ({ compute, workload, random }) => {
    const pod = pick(workload.endpoints, random);
    compute.setEndpoint(pod.id, { ...pod, labels: { ...pod.labels, tier: "moved" } });
    return () => compute.setEndpoint(pod.id, pod);
  },
  "pod address": ({ compute, workload, random }) => {
    const pod = pick(workload.endpoints, random);
    compute.setEndpoint(pod.id, { ...pod, addresses: [`10.250.0.${random(255)}`] });
    return () => compute.setEndpoint(pod.id, pod);
  },
  "pod deleted, added": ({ compute, workload, random }) => {
    const pod = pick(workload.endpoints, random);
    compute.setEndpoint(pod.id, undefined);
    return () => compute.setEndpoint(pod.id, pod);
  },
  "pod moved": ({ compute, workload, random }) => {
    const pod = pick(workload.endpoints, random);
    const moved: Endpoint = { ...pod, node: `node-${random(nodeCount)}` };
    compute.setEndpoint(pod.id, moved);
    return () => compute.setEndpoint(pod.id, pod);
  },
  "policy deleted, added": ({ compute, workload, random }) => {
    const policy = pick(workload.policies, random);
    compute.setPolicy(policy.id, undefined);
    return () => compute.setPolicy(policy.id, policy);
  },
  "policy's peers": ({ compute, workload, random }) => {
    const policy = pick(workload.policies, random);
    const everybody: Policy = {
      ...policy,
      ingress: [{ index: 0, action: "allow", peers: "any", services: "any" }],
    };
    compute.setPolicy(policy.id, everybody);
    return () => compute.setPolicy(policy.id, policy);
  },
};

function encodeAll(delta: ComputeDelta): number {
  for (const node of [...delta.byNode.keys(), "no node"]) {
    encodeDeltaMessage({ sequence: 1, revision: 1 }, delta.of(node));
  }
  return delta.byNode.size;
}

function quantile(sorted: readonly number[], part: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return value.toFixed(0).padStart(7);
}

function measure(bench: Bench, event: (bench: Bench) => () => void, rounds: number): string {
  const micros: number[] = [];
  const touched: number[] = [];
  const time = (change: () => void) => {
    const start = performance.now();
    change();
    touched.push(encodeAll(bench.compute.flush()));
    micros.push((performance.now() - start) * 1000);
  };
  for (let round = 0; round < rounds; round++) {
    let undo = () => {};
    time(() => {
      undo = event(bench);
    });
    time(undo);
  }
  const sorted = micros.toSorted((a, b) => a - b);
  const nodes = touched.toSorted((a, b) => a - b);
  return `${quantile(sorted, 0.5)} ${quantile(sorted, 0.99)} ${quantile(sorted, 1)} ${quantile(nodes, 0.5)} ${quantile(nodes, 1)}`;
}

/** Everything that is a node's own, as text. */
function ownState({ compute }: Bench, node: string): string {
  const own = [...compute.stateOf(node).upserts()].filter(({ kind }) =>
    ["group", "rule", "posture"].includes(kind),
  );
  return own
    .map(({ text }) => text)
    .toSorted()
    .join();
}

/** Throws unless an event tells exactly the nodes for which it changes something. */
function checkMinimum(bench: Bench, event: (bench: Bench) => () => void): void {
  const nodes = Array.from({ length: nodeCount }, (_, index) => `node-${index}`);
  const before = nodes.map((node) => ownState(bench, node));
  const undo = event(bench);
  const told = bench.compute.flush().byNode;
  const changed = nodes.filter((node, index) => ownState(bench, node) !== before[index]);
  if (changed.length !== told.size || !changed.every((node) => told.has(node))) {
    throw new Error(`told ${[...told.keys()].join()}, changed ${changed.join()}`);
  }
  undo();
  bench.compute.flush();
}

/** The middle one, the least and the most, in microseconds. */
function summary(millis: readonly number[]): string {
  const sorted = millis.map((each) => each * 1000).toSorted((a, b) => a - b);
  return `${quantile(sorted, 0.5)} (${quantile(sorted, 0).trim()} to ${quantile(sorted, 1).trim()})`;
}

function timeOurs(compute: Compute, change: () => void): number {
  const start = performance.now();
  change();
  encodeAll(compute.flush());
  return performance.now() - start;
}

/** The same sizes, the same number of changes, in turns. */
async function measureNorthd(scale: number, changes: number): Promise<void> {
  installOvn();
  const workload = workloads["small-namespaces"].build(scale);
  const compute = new Compute();
  load(compute, workload);
  compute.flush();
  await using northd = await Northd.start(workload);
  const times = {
    pod: [] as number[],
    port: [] as number[],
    policy: [] as number[],
    acl: [] as number[],
  };
  const [pod, policy] = [workload.endpoints[0], workload.policies[0]];
  if (pod === undefined || policy === undefined) throw new Error("expected a pod and a policy");
  for (let number = 0; number < changes; number++) {
    const more = `extra-${number}`;
    const extra: Endpoint = {
      ...pod,
      id: `${pod.zone}/${more}`,
      addresses: [`10.251.0.${number}`],
    };
    times.pod.push(timeOurs(compute, () => compute.setEndpoint(extra.id, extra)));
    times.port.push(await northd.addPort(number));
    const rule: Policy = { ...policy, id: `${policy.id}-${more}` };
    times.policy.push(timeOurs(compute, () => compute.setPolicy(rule.id, rule)));
    times.acl.push(await northd.addAcl(number));
  }
  const rows = [
    ["one pod or port more", times.pod, times.port],
    ["one policy or ACL more", times.policy, times.acl],
  ] as const;
  const size = `${workload.endpoints.length} pods or ports`;
  console.log(`\n${northdVersion()} beside Isobar, ${size}: microseconds, p50 (least to most)`);
  for (const [label, ours, theirs] of rows) {
    // The first of each warms up.
    const [mine, other] = [ours.slice(1), theirs.slice(1)];
    const ratio = (median(other) / median(mine)).toFixed(0);
    console.log(`  ${label.padEnd(24)}${summary(mine)}, OVN ${summary(other)}: ${ratio} x`);
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const rounds = values.quick ? 300 : 2000;
for (const name of [
  "small-namespaces",
  "large-namespaces",
  "policy-per-pod",
  "one-namespace",
] as const) {
  for (const scale of values.quick ? [0.1] : [0.1, 1]) {
    const workload = workloads[name].build(scale);
    const compute = new Compute();
    load(compute, workload);
    compute.flush();
    const bench = { compute, workload, random: randomNumbers(2) };
    console.log(
      `\n${name}, scale ${scale}: microseconds, nodes told`.padEnd(44) +
        "    p50     p99     max   nodes    most",
    );
    for (const [label, event] of Object.entries(events)) {
      measure(bench, event, Math.min(100, rounds));
      if (scale < 1) checkMinimum(bench, event);
      console.log(`  ${label.padEnd(40)} ${measure(bench, event, rounds)}`);
    }
  }
}
for (const scale of values.quick ? [0.01] : [0.01, 0.1]) await measureNorthd(scale, 6);
