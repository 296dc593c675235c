import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { translateCluster } from "../src/kubernetes/cluster.ts";
import { evaluate } from "../src/policy/evaluate.ts";
import { PolicyModel } from "../src/policy/policy-model.ts";
import type { Decision } from "../src/policy/verdict.ts";
import { type ExpectedDecision, loadPolicyCases, policyCaseTopics } from "./policy-cases/load.ts";

const cases = loadPolicyCases();

/** The part of a decision that a case can ask for. */
function comparable(decision: Decision): ExpectedDecision {
  if (decision.kind === "rule") {
    return { kind: "rule", policy: decision.policy, rule: decision.rule };
  }
  return decision.kind === "isolated"
    ? { kind: "isolated", policies: decision.policies }
    : { kind: decision.kind };
}

for (const topic of policyCaseTopics) {
  describe(topic, () => {
    for (const { name, objects, packets, lookups } of cases.filter(
      (each) => each.topic === topic,
    )) {
      test(name, () => {
        const model = new PolicyModel({ ...translateCluster(objects), lookups });
        for (const { text, packet, verdict, decisions } of packets) {
          const actual = evaluate(model, packet);
          assert.equal(actual.verdict, verdict, `${text}: ${JSON.stringify(actual)}`);
          for (const direction of ["egress", "ingress"] as const) {
            const expected = decisions[direction];
            if (expected !== undefined) {
              assert.deepEqual(comparable(actual[direction]), expected, `${direction} of ${text}`);
            }
          }
        }
      });
    }
  });
}

describe("the truth tables", () => {
  test("hold at least 80 cases of ClusterNetworkPolicy", () => {
    const ofCluster = cases.filter(({ topic }) => topic.startsWith("cluster-"));
    assert.ok(ofCluster.length >= 80, `there are ${ofCluster.length}`);
  });

  test("hold at least 200 cases, each named once and with packets", () => {
    assert.ok(cases.length >= 200, `there are ${cases.length} cases`);
    assert.equal(new Set(cases.map((each) => each.name)).size, cases.length);
    for (const { name, packets } of cases) assert.ok(packets.length > 0, name);
  });
});
