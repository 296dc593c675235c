// The cases of upstream's conformance tests (test/conformance) on real packets between three nodes. Of those whose
// expectations upstream computes, some connections are tried, chosen by the case alone; ./isobar test --conformance tries
// all. docs/conformance.md lists the cases.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isBlock } from "../../src/agent/connection-review.ts";
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import type { Manifest } from "../../src/client/manifest.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { deleteFlow } from "../../src/openflow/flow-mod.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { formatPacket } from "../arbitrary/packets.ts";
import {
  type Cell,
  type ConformanceCase,
  type ConformanceStep,
  allPods,
  conformanceCluster,
  families,
  namespaces,
  ports,
  services,
} from "../conformance/case.ts";
import { cyclonusCases } from "../conformance/cyclonus.ts";
import { netpolCases } from "../conformance/netpol.ts";
import { Oracle } from "../policy-oracle.ts";
import { renderCluster } from "../policy-cases/objects.ts";
import { TestLab, until } from "./harness.ts";
import { LabCluster, ofKind } from "./lab-cluster.ts";
import { type Expected, RealPackets } from "./real-packets.ts";

const everything = process.env["ISOBAR_TEST_CONFORMANCE"] === "all";
/** Connections of a step that are tried when not all are, by the verdict that is expected. */
const sampleLength = 16;

const stack = new AsyncDisposableStack();
const base = conformanceCluster();
/** Pods beside the nine, as they are now. */
let added: ConformanceStep["pods"] = {};
let lab: TestLab;
let cluster: LabCluster;
let packets: RealPackets;

before(async () => {
  lab = stack.use(await TestLab.start());
  cluster = await LabCluster.open(lab);
  packets = await RealPackets.open(lab);
  await cluster.create(base);
});

after(async () => await stack.disposeAsync());

/** The nine pods and their namespaces, with the step's labels in place of their own. */
function relabelled({ labels }: ConformanceStep): readonly KubeObject[] {
  return base.map((object) => {
    const { namespace, name } = object.metadata;
    const own = labels[namespace === undefined ? name : `${namespace}/${name}`];
    return own === undefined
      ? object
      : { ...object, metadata: { ...object.metadata, labels: own } };
  });
}

function namespacesOf(pods: ConformanceStep["pods"]): ReadonlySet<string> {
  const all = Object.keys(pods).map((path) => path.split("/")[0] ?? "");
  return new Set(all.filter((name) => !namespaces.some((one) => one === name)));
}

function placeOf(path: string): { namespace: string; name: string } {
  const [namespace = "", name = ""] = path.split("/");
  return { namespace, name };
}

function podManifest(path: string, labels: Readonly<Record<string, string>>): Manifest {
  const containers = Object.entries(ports).map(([name, text]) => {
    const [protocol = "", port] = text.split("/");
    const declared = { name, protocol: protocol.toUpperCase(), containerPort: Number(port) };
    return { name, image: "isobar.io/listener", ports: [declared] };
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...placeOf(path), labels },
    spec: { nodeName: "node-2", containers },
  };
}

async function setAddedPods({ pods, labels }: ConformanceStep): Promise<void> {
  for (const path of Object.keys(added).filter((one) => !(one in pods))) {
    await lab.delete(podKind, placeOf(path));
  }
  const wanted = namespacesOf(pods);
  for (const name of namespacesOf(added)) {
    if (wanted.has(name)) continue;
    await lab.delete(namespaceKind, { name });
    await until(`the end of namespace ${name}`, async () => {
      return (await lab.client.find(namespaceKind, { name })) === undefined;
    });
  }
  await lab.apply(
    [...wanted].map((name) => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: labels[name] ?? {} },
    })),
  );
  await lab.apply(Object.entries(pods).map(([path, own]) => podManifest(path, own)));
  added = pods;
}

/** Puts in force what the step says, and nothing else. */
async function enforce(step: ConformanceStep): Promise<readonly KubeObject[]> {
  await setAddedPods(step);
  await cluster.relabel(relabelled(step));
  const objects = renderCluster(
    { nodes: {}, nodeLabels: {}, nodeExternalIps: {}, namespaces: {}, pods: {} },
    step.policies,
  );
  await cluster.setPolicies(ofKind(objects, "NetworkPolicy"));
  await lab.settle();
  return await packets.read();
}

/** Upstream takes no interest in what a pod says to itself. */
function allCells(pods: readonly string[]): readonly Cell[] {
  return pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) => services.map((service) => ({ from, to, ...service }))),
  );
}

function packetsOf(cells: readonly Cell[]): Expected["packet"][] {
  return cells.flatMap(({ from, to, protocol, port }) =>
    families.map((family) => ({
      source: { kind: "endpoint", id: from } as const,
      destination: { kind: "endpoint", id: to } as const,
      protocol,
      destinationPort: port,
      family,
    })),
  );
}

/** Denied and admitted ones in turn, spread over all. */
function sample(all: readonly Expected[]): readonly Expected[] {
  if (everything) return all;
  const spread = (list: readonly Expected[]): readonly Expected[] => {
    const count = Math.min(list.length, sampleLength);
    return Array.from(
      { length: count },
      (_, index) => list[Math.floor((index * list.length) / count)]!,
    );
  };
  const verdicts = ["deny", "allow"] as const;
  return verdicts.flatMap((verdict) => spread(all.filter((one) => one.verdict === verdict)));
}

/**
 * Open vSwitch in user space tracks SCTP without ports: after one association any packet between the two pods passes for
 * a part of it, and after one that was cut none from its server passes for some time. So of each two pods one connection by
 * SCTP is in a batch, and what there was is forgotten between batches.
 */
function batches(all: readonly Expected[]): readonly (readonly Expected[])[] {
  const found: Expected[][] = [[]];
  const taken: Set<string>[] = [new Set()];
  for (const one of all) {
    const { source, destination, protocol, family } = one.packet;
    const pods = [source, destination].map((end) => (end.kind === "endpoint" ? end.id : ""));
    const key = protocol === "SCTP" ? `${pods.toSorted().join()} ${family}` : undefined;
    const free = key === undefined ? 0 : taken.findIndex((keys) => !keys.has(key));
    const at = free < 0 ? taken.push(new Set()) - 1 : free;
    if (key !== undefined) taken[at]?.add(key);
    (found[at] ??= []).push(one);
  }
  return found;
}

async function forgetConnections(): Promise<void> {
  for (const node of lab.nodes) {
    await unixctl(join(lab.nodeDirectory(node), "ovs-vswitchd.ctl"), "dpctl/flush-conntrack");
    await using client = await lab.openSwitch(node);
    const flows = (await client.dumpFlows()).map(({ flow }) => flow);
    await client.bundle(flows.filter(isBlock).map(deleteFlow));
  }
}

async function send(all: readonly Expected[]): Promise<string[]> {
  const lines: string[] = [];
  for (const batch of batches(all)) {
    await forgetConnections();
    lines.push(...(await packets.send(batch)));
  }
  return lines;
}

/** @returns the connections that were tried, and what was not as expected */
async function runStep(step: ConformanceStep): Promise<[number, string[]]> {
  const objects = await enforce(step);
  const oracle = new Oracle(objects);
  const expected =
    step.expected === undefined
      ? sample(
          packetsOf(allCells([...allPods, ...Object.keys(step.pods)])).map((packet) => ({
            packet,
            verdict: oracle.allows(packet) ? ("allow" as const) : ("deny" as const),
          })),
        )
      : step.expected.flatMap((cell) =>
          packetsOf([cell]).map((packet) => ({ packet, verdict: cell.verdict })),
        );
  for (const { packet, verdict } of expected) {
    assert.equal(packets.evaluate(packet), verdict, `the evaluator: ${formatPacket(packet)}`);
  }
  return [expected.length, await send(expected)];
}

async function run(cases: readonly ConformanceCase[]): Promise<[number, string[]]> {
  let sent = 0;
  const mismatches: string[] = [];
  for (const { upstream, steps } of cases) {
    for (const [index, step] of steps.entries()) {
      const [count, lines] = await runStep(step);
      sent += count;
      mismatches.push(...lines.map((line) => `${upstream}, step ${index + 1}: ${line}`));
    }
  }
  return [sent, mismatches];
}

describe("Kubernetes' own NetworkPolicy tests:", () => {
  for (const each of netpolCases()) {
    test(each.upstream, async (context) => {
      const [sent, mismatches] = await run([each]);
      context.diagnostic(`${sent} connections`);
      assert.deepEqual(mismatches, []);
    });
  }
});

describe("cyclonus' generated cases:", () => {
  for (const [group, cases] of Object.entries(cyclonusCases())) {
    test(group, async (context) => {
      const [sent, mismatches] = await run(cases);
      context.diagnostic(`${cases.length} cases, ${sent} connections`);
      assert.deepEqual(mismatches, []);
    });
  }
});
