// What policies mean, on real packets between three nodes: the hand-written truth tables, and random clusters and policies
// against the evaluator.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { equalJson } from "../../src/apimachinery/json.ts";
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import type { PacketEnd } from "../../src/policy/packet.ts";
import { sampleScenario } from "../arbitrary/cluster.ts";
import { formatPacket, somePackets } from "../arbitrary/packets.ts";
import { type PolicyCase, loadPolicyCases, policyCaseTopics } from "../policy-cases/load.ts";
import { renderObjects } from "../policy-cases/objects.ts";
import { TestLab } from "./harness.ts";
import { LabCluster, labNode, ofKind } from "./lab-cluster.ts";
import { type Expected, RealPackets } from "./real-packets.ts";

const stack = new AsyncDisposableStack();
let lab: TestLab;
let cluster: LabCluster;
let packets: RealPackets;

before(async () => {
  lab = stack.use(await TestLab.start());
  cluster = await LabCluster.open(lab);
  packets = await RealPackets.open(lab);
});

after(async () => await stack.disposeAsync());

/** Settles when the policies are in force and nothing else is. */
async function enforce(policies: readonly KubeObject[]): Promise<readonly KubeObject[]> {
  await cluster.setPolicies(policies);
  await lab.settle();
  return await packets.read();
}

const invalidTopics = new Set<string>(["invalid", "cluster-invalid"]);

function policiesIn(objects: readonly KubeObject[]): readonly KubeObject[] {
  return [...ofKind(objects, "NetworkPolicy"), ...ofKind(objects, "ClusterNetworkPolicy")];
}

describe("the truth tables hold for real packets:", () => {
  const base = renderObjects({}, {});

  /** All but the labels of what is in a cluster. */
  const shape = (objects: readonly KubeObject[]): unknown =>
    ["Node", "Namespace", "Pod"].map((kind) =>
      ofKind(objects, kind).map(({ metadata: { name, namespace }, spec, status }) => {
        return { name, namespace, spec, status };
      }),
    );

  /**
   * The cases that differ from the base cluster in labels alone. The API refuses invalid policies, and pods of the lab look
   * nothing up.
   */
  const cases = loadPolicyCases().filter(
    ({ topic, objects, packets: all, lookups }) =>
      !invalidTopics.has(topic) &&
      lookups.length === 0 &&
      equalJson(shape(objects), shape(base)) &&
      all.some(({ packet }) => packet.protocol !== "ICMP"),
  );

  /** Addresses of the cases' nodes, and of those of the lab that stand for them. */
  const addresses = {
    "172.18.0.11": "172.30.0.10",
    "172.18.0.12": "172.30.0.11",
    "fd01::11": "fd00:30::a",
    "fd01::12": "fd00:30::b",
  };

  function translate<T>(value: T): T {
    const text = Object.entries(addresses).reduce(
      (done, [theirs, own]) => done.replaceAll(theirs, own),
      JSON.stringify(value),
    );
    return JSON.parse(text);
  }

  function inLab(end: PacketEnd): PacketEnd {
    return end.kind === "node" ? { ...end, name: labNode(end.name) } : end;
  }

  /** @returns the packets and what was not as expected */
  async function run({ objects, packets: all }: PolicyCase): Promise<[number, string[]]> {
    await cluster.relabel(objects);
    await enforce(translate(policiesIn(objects)));
    const expected = translate(all)
      .map(({ packet, verdict }): Expected => {
        const [source, destination] = [inLab(packet.source), inLab(packet.destination)];
        return { packet: { ...packet, source, destination }, verdict };
      })
      .filter(({ packet }) => packets.sends(packet));
    // Were the case another one in the lab than in its file, its packets would prove nothing.
    for (const { packet, verdict } of expected) {
      assert.equal(packets.evaluate(packet), verdict, formatPacket(packet));
    }
    return [expected.length, await packets.send(expected)];
  }

  before(async () => await cluster.create(base));
  after(async () => await cluster.clear());

  for (const topic of policyCaseTopics.filter((each) => !invalidTopics.has(each))) {
    test(topic, async (context) => {
      const ofTopic = cases.filter((each) => each.topic === topic);
      const mismatches: string[] = [];
      let sent = 0;
      for (const each of ofTopic) {
        const [count, lines] = await run(each);
        sent += count;
        mismatches.push(...lines.map((line) => `${each.name}: ${line}`));
      }
      context.diagnostic(`${ofTopic.length} cases, ${sent} packets`);
      assert.deepEqual(mismatches, []);
    });
  }

  test("at least 200 cases", () => assert.ok(cases.length >= 200, `${cases.length} cases`));
});

describe("real packets in random clusters meet what the evaluator says", () => {
  const packetsPerRound = 400;
  const rounds = Number(process.env["ISOBAR_TEST_RUNS"] ?? 5);
  const firstSeed = Number(process.env["ISOBAR_TEST_SEED"] ?? Date.now() % 1_000_000);

  async function sendSome(seed: number, policies: readonly KubeObject[]): Promise<string[]> {
    const objects = await enforce(policies);
    const expected = somePackets(objects, { count: packetsPerRound, seed })
      .filter((packet) => packets.sends(packet))
      .map((packet) => ({ packet, verdict: packets.evaluate(packet) }));
    return await packets.send(expected);
  }

  /** Namespaces and pods, one after the other, take the labels of the other scenario's. */
  function relabelled(
    objects: readonly KubeObject[],
    others: readonly KubeObject[],
  ): readonly KubeObject[] {
    return ["Namespace", "Pod"].flatMap((kind) => {
      const given = ofKind(others, kind);
      return ofKind(objects, kind).map((object, index) => {
        const { labels = {} } = given[index % given.length]?.metadata ?? {};
        return { ...object, metadata: { ...object.metadata, labels } };
      });
    });
  }

  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    test(`ISOBAR_TEST_SEED=${seed}`, async () => {
      const objects = sampleScenario(seed, { policies: 6, odd: false });
      const policies = ofKind(objects, "NetworkPolicy");
      await cluster.create(objects);
      try {
        assert.deepEqual(await sendSome(seed, policies), [], "at first");
        const others = sampleScenario(seed + 1_000_000, { odd: false });
        await cluster.relabel(relabelled(objects, others));
        assert.deepEqual(await sendSome(seed + 1, policies), [], "with other labels");
        await cluster.relabel(objects);
        const namespaces = new Set(
          ofKind(objects, "Namespace").map(({ metadata }) => metadata.name),
        );
        const replaced = ofKind(others, "NetworkPolicy").filter(({ metadata }) =>
          namespaces.has(metadata.namespace ?? ""),
        );
        assert.deepEqual(await sendSome(seed + 2, replaced), [], "with other policies");
      } finally {
        await cluster.clear();
      }
    });
  }
});
