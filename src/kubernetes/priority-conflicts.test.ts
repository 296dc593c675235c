import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { clusterPolicySpecArbitrary } from "../../test/arbitrary/cluster-network-policy.ts";
import type { Policy } from "../model/policy.ts";
import { matchesEndpoint } from "../model/selector.ts";
import { translateClusterNetworkPolicy } from "./cluster-network-policy.ts";
import { PriorityConflicts, selectorsMeet } from "./priority-conflicts.ts";

function policy(name: string, spec: object): Policy {
  const ingress = [{ action: "Deny", from: [{ namespaces: {} }] }];
  const base = { tier: "Admin", priority: 1, subject: { namespaces: {} }, ingress };
  return translateClusterNetworkPolicy({ metadata: { name }, spec: { ...base, ...spec } }).value;
}

const team = (name: string) => ({ subject: { namespaces: { matchLabels: { team: name } } } });
const shop = policy("a", team("shop"));
const egress = {
  ingress: [],
  egress: [{ action: "Deny", to: [{ namespaces: {} }] }],
};

describe("policies of one priority", () => {
  const table: readonly (readonly [string, Policy, boolean])[] = [
    ["with overlapping subjects", policy("b", {}), true],
    ["with the same subject", policy("b", team("shop")), true],
    ["with subjects that exclude one another", policy("b", team("pay")), false],
    ["of another tier", policy("b", { tier: "Baseline" }), false],
    ["of another priority", policy("b", { priority: 2 }), false],
    ["for the other direction", policy("b", egress), false],
    [
      "for pods among the namespaces",
      policy("b", { subject: { pods: { podSelector: { matchLabels: { app: "x" } } } } }),
      true,
    ],
    [
      "for namespaces without the label",
      policy("b", {
        subject: { namespaces: { matchExpressions: [{ key: "team", operator: "DoesNotExist" }] } },
      }),
      false,
    ],
  ];
  for (const [what, other, expected] of table) {
    test(`${what} ${expected ? "conflict" : "do not"}`, () => {
      const conflicts = new PriorityConflicts();
      conflicts.set("a", shop);
      assert.deepEqual(conflicts.set("b", other), expected ? ["a", "b"] : []);
      assert.deepEqual(conflicts.of("a"), expected ? ["b"] : []);
      assert.deepEqual(conflicts.set("b", undefined), expected ? ["a"] : []);
      assert.deepEqual(conflicts.of("a"), []);
      assert.deepEqual(conflicts.of("b"), []);
    });
  }

  test("conflict as they would if all came at once, after any changes", () => {
    const spec = clusterPolicySpecArbitrary(false);
    const step = fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.option(spec, { nil: undefined }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const conflicts = new PriorityConflicts();
        const there = new Map<string, Policy>();
        const told = new Map<string, readonly string[]>();
        for (const [id, each] of steps) {
          const value =
            each === undefined
              ? undefined
              : translateClusterNetworkPolicy({ metadata: { name: id }, spec: each }).value;
          if (value === undefined) there.delete(id);
          else there.set(id, value);
          for (const changed of conflicts.set(id, value)) told.set(changed, conflicts.of(changed));
          if (value === undefined) told.delete(id);
        }
        const fresh = new PriorityConflicts();
        for (const [id, value] of there) fresh.set(id, value);
        for (const id of there.keys()) {
          assert.deepEqual(conflicts.of(id), fresh.of(id));
          assert.deepEqual(told.get(id) ?? [], fresh.of(id));
        }
      }),
    );
  });

  test("selectors that some pod meets are never said to exclude one another", () => {
    const spec = clusterPolicySpecArbitrary(false);
    const labels = fc.dictionary(
      fc.constantFrom("app", "tier", "team", "env", "extra"),
      fc.constantFrom("web", "api", "front", "red", "prod", ""),
    );
    fc.assert(
      fc.property(spec, spec, labels, labels, (a, b, zoneLabels, podLabels) => {
        const [one, other] = [a, b].map(
          (each) => translateClusterNetworkPolicy({ metadata: {}, spec: each }).value.subject,
        );
        assert.ok(one !== undefined && other !== undefined);
        const zone = { name: "z", labels: zoneLabels };
        const both = [one, other].every((each) => matchesEndpoint(each, zone, podLabels));
        if (both) assert.ok(selectorsMeet(one, other));
      }),
    );
  });
});
