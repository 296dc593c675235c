// The flows of each node on a real switch, against the pure evaluator.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { type Cluster, translateCluster } from "../../src/kubernetes/cluster.ts";
import {
  type Action,
  type Direction,
  type Policy,
  type Rule,
  type Tier,
  tiers,
} from "../../src/model/policy.ts";
import { type Admission, decodeLabel } from "../../src/pipeline/cookie.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Packet } from "../../src/policy/packet.ts";
import { type Lookup, PolicyModel } from "../../src/policy/policy-model.ts";
import type { Decision, Verdict } from "../../src/policy/verdict.ts";
import { scenarioArbitrary } from "../arbitrary/cluster.ts";
import { formatPacket, somePackets } from "../arbitrary/packets.ts";
import { loadPolicyCases } from "../policy-cases/load.ts";
import { OpenVswitch } from "./open-vswitch.ts";
import { type Journey, PipelineNodes } from "./pipeline-nodes.ts";

const directions = ["egress", "ingress"] as const satisfies readonly Direction[];

/** The policy with no rule but the one. */
function only(policy: Policy, direction: Direction, rule: number): Policy {
  return { ...policy, [direction]: policy[direction].filter(({ index }) => index === rule) };
}

/** A cluster, and what its pods have looked up. */
type Known = Cluster & { readonly lookups?: readonly Lookup[] };

interface Judged {
  readonly cluster: Known;
  readonly packet: Packet;
  readonly verdict: Verdict;
  readonly journey: Journey;
  /** Everything that helps to understand a difference. */
  readonly text: string;
}

/** Rules of NetworkPolicy are equal: where several allow, the switch may name any of them. */
function allows(
  { cluster, packet }: Pick<Judged, "cluster" | "packet">,
  direction: Direction,
  named: { readonly policy: string; readonly ruleIndex: number },
): boolean {
  const policies = cluster.policies
    .filter(({ id }) => id === named.policy)
    .map((policy) => only(policy, direction, named.ruleIndex));
  const decision = evaluate(new PolicyModel({ ...cluster, policies }), packet)[direction];
  return decision.kind === "rule" && decision.verdict === "allow";
}

/** What the evaluator calls each admission that is no rule. */
const kindOf = {
  notHere: "outside",
  open: "default",
  ownNode: "own-node",
  itself: "itself",
} as const;

class Judge {
  readonly #nodes: PipelineNodes;

  constructor(nodes: PipelineNodes) {
    this.#nodes = nodes;
  }

  /** @throws {AssertionError} when the switch and the evaluator differ, in the verdict or in what decided. */
  async check(cluster: Known, packet: Packet): Promise<void> {
    const verdict = evaluate(new PolicyModel(cluster), packet);
    const journey = await this.#nodes.send(packet);
    if (journey === undefined) return;
    const text = [
      formatPacket(packet),
      JSON.stringify(verdict),
      ...journey.traces.map(({ node, trace }) => `--- ${node}\n${trace.text}`),
    ].join("\n");
    assert.equal(journey.arrived ? "allow" : "deny", verdict.verdict, text);
    const judged = { cluster, packet, verdict, journey, text };
    if (journey.arrived) this.#checkAdmission(judged);
    else this.#checkDenial(judged);
  }

  #checkAdmission(judged: Judged): void {
    const { journey, text } = judged;
    const labels = journey.traces.map(({ node, trace }) => ({
      node,
      ...decodeLabel(trace.label ?? 0n),
    }));
    const [first] = labels;
    const last = labels.at(-1);
    assert.ok(first !== undefined && last !== undefined, text);
    // With two nodes each decides for its own end.
    if (first !== last) {
      assert.equal(first.ingress.kind, "notHere", text);
      assert.equal(last.egress.kind, "notHere", text);
    }
    this.#checkDecision(judged, "egress", first.node, first.egress);
    this.#checkDecision(judged, "ingress", last.node, last.ingress);
  }

  #checkDecision(judged: Judged, direction: Direction, node: string, admission: Admission): void {
    const { text } = judged;
    const decision: Decision = judged.verdict[direction];
    if (admission.kind !== "rule") {
      assert.equal(kindOf[admission.kind], decision.kind, `${direction}\n${text}`);
      return;
    }
    const rule = this.#nodes.node(node).resource("rule", admission.number);
    assert.ok(rule !== undefined && rule.direction === direction, `${direction}\n${text}`);
    assert.equal(decision.kind, "rule", `${direction} by ${rule.id}\n${text}`);
    if (decision.tier !== "networkpolicy") {
      const named = [rule.tier, rule.policy, rule.ruleIndex];
      assert.deepEqual(named, [decision.tier, decision.policy, decision.rule], text);
      return;
    }
    assert.equal(rule.tier, "networkpolicy", text);
    assert.ok(allows(judged, direction, rule), `${direction} by ${rule.id}\n${text}`);
  }

  /** The last flow that a dropped packet met names what denied it. */
  #checkDenial({ verdict, journey: { traces }, text }: Judged): void {
    const denied = directions.map((each) => verdict[each]).find((each) => each.verdict === "deny");
    if (denied?.kind !== "isolated" && denied?.kind !== "rule") return;
    const last = traces.at(-1);
    const node = this.#nodes.node(last?.node ?? "");
    const cookie = last?.trace.steps.at(-1)?.cookie;
    const direction = denied === verdict.egress ? "egress" : "ingress";
    assert.ok(cookie !== undefined, text);
    assert.deepEqual([cookie.direction, cookie.verdict], [direction, "deny"], text);
    if (denied.kind === "isolated") {
      assert.equal(cookie.feature, "posture", text);
      const posture = node.resource("posture", cookie.number);
      assert.deepEqual(posture?.[direction].toSorted(), denied.policies, text);
      return;
    }
    assert.equal(cookie.feature, "rule", text);
    const rule = node.resource("rule", cookie.number);
    const named = [rule?.tier, rule?.policy, rule?.ruleIndex];
    assert.deepEqual(named, [denied.tier, denied.policy, denied.rule], text);
  }
}

/** Where a policy is put, and what its rules do there in turn. */
interface Place {
  readonly tier: Tier;
  readonly actions: readonly Action[];
}

const placeArbitrary: fc.Arbitrary<Place> = fc.record({
  tier: fc.constantFrom(...tiers),
  actions: fc.array(fc.constantFrom("allow", "deny", "pass"), { minLength: 1, maxLength: 3 }),
});

/** The policy in another tier; some have the same priority. */
function moved(policy: Policy, { tier, actions }: Place, priority: number): Policy {
  if (tier === "networkpolicy") return policy;
  const act = (rule: Rule): Rule => ({
    ...rule,
    action: actions[rule.index % actions.length] ?? "deny",
  });
  const { egress, ingress } = policy;
  const rules = { egress: egress.map(act), ingress: ingress.map(act) };
  return { ...policy, ...rules, tier, priority: priority >> 1, isolates: [] };
}

describe("flows on a switch", () => {
  const cases = loadPolicyCases();
  let ovs: OpenVswitch;
  let nodes: PipelineNodes;
  let judge: Judge;

  before(async () => {
    ovs = await OpenVswitch.start();
    const clusters = cases.map(({ objects }) => translateCluster(objects));
    const names = new Set(["n1", "n2", "n3"]);
    for (const { nodes: each } of clusters) for (const { name } of each) names.add(name);
    nodes = await PipelineNodes.create(ovs, [...names], 16);
    judge = new Judge(nodes);
  });

  after(async () => {
    await nodes[Symbol.asyncDispose]();
    await ovs[Symbol.asyncDispose]();
  });

  test("do with the packets of every hand-written case what the evaluator says", async () => {
    for (const { topic, name, objects, packets, lookups } of cases) {
      const cluster = { ...translateCluster(objects), lookups };
      await nodes.load(cluster, lookups);
      for (const { packet, text } of packets) {
        try {
          await judge.check(cluster, packet);
        } catch (error) {
          throw new Error(`${topic}: ${name}: ${text}`, { cause: error });
        }
      }
    }
  });

  test("do with random packets in random clusters what the evaluator says", async () => {
    const seeds = fc.integer({ min: 1, max: 1_000_000 });
    await fc.assert(
      fc.asyncProperty(scenarioArbitrary(), seeds, async (objects, seed) => {
        const cluster = translateCluster(objects);
        await nodes.load(cluster);
        for (const packet of somePackets(objects, { count: 40, seed })) {
          await judge.check(cluster, packet);
        }
      }),
      { numRuns: Number(process.env["ISOBAR_TEST_RUNS"] ?? 60), endOnFailure: false },
    );
  });

  test("do with random policies of all tiers what the evaluator says", async () => {
    const seeds = fc.integer({ min: 1, max: 1_000_000 });
    const places = fc.array(placeArbitrary, { minLength: 6, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(scenarioArbitrary(), places, seeds, async (objects, chosen, seed) => {
        const described = translateCluster(objects);
        const policies = described.policies.map((policy, index) => {
          const place = chosen[index];
          return place === undefined ? policy : moved(policy, place, index);
        });
        const cluster = { ...described, policies };
        await nodes.load(cluster);
        for (const packet of somePackets(objects, { count: 40, seed })) {
          await judge.check(cluster, packet);
        }
      }),
      { numRuns: Number(process.env["ISOBAR_TEST_RUNS"] ?? 40), endOnFailure: false },
    );
  });
});
