// Runs conformance cases (test/conformance) on real packets in a lab.
import assert from "node:assert/strict";
import { join } from "node:path";
import { isBlock } from "../../src/agent/connections/connection-review.ts";
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import type { Manifest } from "../../src/client/manifest.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { deleteFlow } from "../../src/openflow/flow-mod.ts";
import type { PacketEnd } from "../../src/policy/packet.ts";
import { unixctl } from "../../src/switch/unixctl.ts";
import { formatPacket } from "../arbitrary/packets.ts";
import {
  type Cell,
  type ConformanceCase,
  type ConformanceStep,
  families,
  ports,
  services,
} from "../conformance/case.ts";
import { renderCluster } from "../policy-cases/objects.ts";
import { Oracle } from "../policy-oracle.ts";
import { type TestLab, until } from "./harness.ts";
import { LabCluster, labNode, ofKind } from "./lab-cluster.ts";
import { type Expected, RealPackets } from "./real-packets.ts";

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

/** `node:n1` or `namespace/pod`. */
function endOf(text: string): PacketEnd {
  return text.startsWith("node:")
    ? { kind: "node", name: labNode(text.slice("node:".length)) }
    : { kind: "endpoint", id: text };
}

function packetsOf(cells: readonly Cell[]): Expected["packet"][] {
  return cells.flatMap(({ from, to, protocol, port }) =>
    families.map((family) => ({
      source: endOf(from),
      destination: endOf(to),
      protocol,
      destinationPort: port,
      family,
    })),
  );
}

/** Upstream takes no interest in what a pod says to itself. */
function allCells(pods: readonly string[]): readonly Cell[] {
  return pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) => services.map((service) => ({ from, to, ...service }))),
  );
}

/** As many denied and admitted ones, spread over all. */
function sample(all: readonly Expected[], length: number): readonly Expected[] {
  const spread = (list: readonly Expected[]): readonly Expected[] => {
    const count = Math.min(list.length, length);
    return Array.from(
      { length: count },
      (_, index) => list[Math.floor((index * list.length) / count)]!,
    );
  };
  const verdicts = ["deny", "allow"] as const;
  return verdicts.flatMap((verdict) => spread(all.filter((one) => one.verdict === verdict)));
}

function nameOf(end: PacketEnd): string {
  return end.kind === "endpoint" ? end.id : end.kind === "node" ? end.name : end.address;
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
    const ends = [source, destination].map(nameOf);
    const key = protocol === "SCTP" ? `${ends.toSorted().join()} ${family}` : undefined;
    const free = key === undefined ? 0 : taken.findIndex((keys) => !keys.has(key));
    const at = free < 0 ? taken.push(new Set()) - 1 : free;
    if (key !== undefined) taken[at]?.add(key);
    (found[at] ??= []).push(one);
  }
  return found;
}

/** A cluster in a lab, and the cases that are run in it. */
export class ConformanceRun {
  readonly #lab: TestLab;
  readonly #cluster: LabCluster;
  readonly #packets: RealPackets;
  /** Connections of a step that are tried of each verdict, where upstream computes what is expected. */
  readonly #sampleLength: number;
  #base: readonly KubeObject[] = [];
  /** Pods beside the cluster's, as they are now. */
  #added: ConformanceStep["pods"] = {};

  private constructor(
    lab: TestLab,
    cluster: LabCluster,
    packets: RealPackets,
    sampleLength: number,
  ) {
    this.#lab = lab;
    this.#cluster = cluster;
    this.#packets = packets;
    this.#sampleLength = sampleLength;
  }

  static async open(lab: TestLab, sampleLength: number): Promise<ConformanceRun> {
    const cluster = await LabCluster.open(lab);
    return new ConformanceRun(lab, cluster, await RealPackets.open(lab), sampleLength);
  }

  /** Makes the cluster of the cases that follow, in the place of the one before. */
  async begin(objects: readonly KubeObject[]): Promise<void> {
    if (this.#base.length > 0) await this.#end();
    await this.#cluster.create(objects);
    this.#base = objects;
  }

  /** @returns how many connections were tried, and what was not as expected */
  async run(cases: readonly ConformanceCase[]): Promise<[number, string[]]> {
    let sent = 0;
    const mismatches: string[] = [];
    for (const { upstream, steps } of cases) {
      for (const [index, step] of steps.entries()) {
        const [count, lines] = await this.#runStep(step);
        sent += count;
        mismatches.push(...lines.map((line) => `${upstream}, step ${index + 1}: ${line}`));
      }
    }
    return [sent, mismatches];
  }

  async #end(): Promise<void> {
    await this.#setAddedPods({ pods: {}, labels: {} });
    await this.#cluster.clear();
  }

  /** The cluster's pods and namespaces, with the step's labels in place of their own. */
  #relabelled({ labels }: ConformanceStep): readonly KubeObject[] {
    return this.#base.map((object) => {
      const { namespace, name } = object.metadata;
      const own = labels[namespace === undefined ? name : `${namespace}/${name}`];
      return own === undefined
        ? object
        : { ...object, metadata: { ...object.metadata, labels: own } };
    });
  }

  #addedNamespaces(pods: ConformanceStep["pods"]): ReadonlySet<string> {
    const all = Object.keys(pods).map((path) => placeOf(path).namespace);
    const own = new Set(ofKind(this.#base, "Namespace").map(({ metadata }) => metadata.name));
    return new Set(all.filter((name) => !own.has(name)));
  }

  async #setAddedPods({ pods, labels }: Pick<ConformanceStep, "pods" | "labels">): Promise<void> {
    const lab = this.#lab;
    for (const path of Object.keys(this.#added).filter((one) => !(one in pods))) {
      await lab.delete(podKind, placeOf(path));
    }
    const wanted = this.#addedNamespaces(pods);
    for (const name of this.#addedNamespaces(this.#added)) {
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
    this.#added = pods;
  }

  /** Puts in force what the step says, and nothing else. */
  async #enforce(step: ConformanceStep): Promise<readonly KubeObject[]> {
    await this.#setAddedPods(step);
    await this.#cluster.relabel(this.#relabelled(step));
    const objects = renderCluster(
      { nodes: {}, nodeLabels: {}, nodeExternalIps: {}, namespaces: {}, pods: {} },
      step.policies,
    );
    const kinds = ["NetworkPolicy", "ClusterNetworkPolicy"];
    await this.#cluster.setPolicies(kinds.flatMap((kind) => ofKind(objects, kind)));
    await this.#lab.settle();
    return await this.#packets.read();
  }

  #expected(step: ConformanceStep, objects: readonly KubeObject[]): readonly Expected[] {
    if (step.expected !== undefined) {
      return step.expected.flatMap((cell) =>
        packetsOf([cell]).map((packet) => ({ packet, verdict: cell.verdict })),
      );
    }
    const oracle = new Oracle(objects);
    const own = ofKind(this.#base, "Pod").map(
      ({ metadata: { namespace, name } }) => `${namespace}/${name}`,
    );
    const all = packetsOf(allCells([...own, ...Object.keys(step.pods)])).map((packet) => ({
      packet,
      verdict: oracle.allows(packet) ? ("allow" as const) : ("deny" as const),
    }));
    return sample(all, this.#sampleLength);
  }

  async #runStep(step: ConformanceStep): Promise<[number, string[]]> {
    const objects = await this.#enforce(step);
    const expected = this.#expected(step, objects);
    for (const { packet, verdict } of expected) {
      const evaluated = this.#packets.evaluate(packet);
      assert.equal(evaluated, verdict, `the evaluator: ${formatPacket(packet)}`);
    }
    return [expected.length, await this.#send(expected)];
  }

  async #send(all: readonly Expected[]): Promise<string[]> {
    const lines: string[] = [];
    for (const batch of batches(all)) {
      await this.#forgetConnections();
      lines.push(...(await this.#packets.send(batch)));
    }
    return lines;
  }

  async #forgetConnections(): Promise<void> {
    const lab = this.#lab;
    const forget = lab.nodes.map(async (node) => {
      await unixctl(join(lab.nodeDirectory(node), "ovs-vswitchd.ctl"), "dpctl/flush-conntrack");
      await using client = await lab.openSwitch(node);
      const flows = (await client.dumpFlows()).map(({ flow }) => flow);
      await client.bundle(flows.filter(isBlock).map(deleteFlow));
    });
    await Promise.all(forget);
  }
}
