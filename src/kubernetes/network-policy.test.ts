import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { policySpecArbitrary } from "../../test/arbitrary/network-policy.ts";
import type { Policy, Rule } from "../model/policy.ts";
import type { Translation } from "./json.ts";
import { translateNetworkPolicy } from "./network-policy.ts";

function translate(spec: unknown): Translation<Policy> {
  return translateNetworkPolicy({ metadata: { namespace: "shop", name: "p" }, spec });
}

/** The problems of a policy with this one ingress rule, as `field: message`. */
function problemsOf(rule: unknown): readonly string[] {
  return translate({ ingress: [rule] }).problems.map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

/** What becomes of one port of one ingress rule. */
function servicesOf(port: unknown): Rule["services"] | undefined {
  return translate({ ingress: [{ ports: [port] }] }).value.ingress[0]?.services;
}

describe("translateNetworkPolicy", () => {
  test("gives the rule form of a policy with everything in it", () => {
    const { value, problems } = translate({
      podSelector: { matchLabels: { app: "web" } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        {
          from: [
            { podSelector: { matchLabels: { app: "api" } } },
            { namespaceSelector: {}, podSelector: {} },
            { ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } },
          ],
          ports: [{ port: 80 }, { port: 90, endPort: 99, protocol: "UDP" }, { port: "http" }, {}],
        },
      ],
      egress: [{}],
    });
    const everything = { matchLabels: {}, matchExpressions: [] };
    const expected: Policy = {
      id: "NetworkPolicy/shop/p",
      tier: "networkpolicy",
      priority: 0,
      subject: {
        zones: { kind: "name", name: "shop" },
        endpoints: { matchLabels: { app: "web" }, matchExpressions: [] },
      },
      isolates: ["ingress", "egress"],
      ingress: [
        {
          index: 0,
          action: "allow",
          peers: [
            {
              kind: "endpoints",
              zones: { kind: "name", name: "shop" },
              endpoints: { matchLabels: { app: "api" }, matchExpressions: [] },
            },
            {
              kind: "endpoints",
              zones: { kind: "labels", selector: everything },
              endpoints: everything,
            },
            { kind: "network", cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] },
          ],
          services: [
            { kind: "ports", protocol: "TCP", from: 80, to: 80 },
            { kind: "ports", protocol: "UDP", from: 90, to: 99 },
            { kind: "named", protocol: "TCP", name: "http" },
            { kind: "protocol", protocol: "TCP" },
          ],
        },
      ],
      egress: [{ index: 0, action: "allow", peers: "any", services: "any" }],
    };
    assert.deepEqual(value, expected);
    assert.deepEqual(problems, []);
  });

  const table: [unknown, string][] = [
    [
      { from: [{ ipBlock: { cidr: "10.0.0/8" } }] },
      'spec.ingress[0].from[0].ipBlock.cidr: expected a CIDR, got "10.0.0/8"',
    ],
    [
      { from: [{ ipBlock: {} }] },
      "spec.ingress[0].from[0].ipBlock.cidr: expected a CIDR, got nothing",
    ],
    [
      { from: [{ ipBlock: { cidr: "::/0", except: ["::/0", 7] } }] },
      "spec.ingress[0].from[0].ipBlock.except[1]: expected a CIDR, got 7",
    ],
    [
      { from: [{ ipBlock: { cidr: "::/0", except: "x" } }] },
      "spec.ingress[0].from[0].ipBlock.except: expected a list of CIDRs",
    ],
    [
      { from: [{ ipBlock: 7 }] },
      "spec.ingress[0].from[0].ipBlock: expected an address block, got 7",
    ],
    [
      { from: [{ ipBlock: { cidr: "::/0", ports: 1 } }] },
      "spec.ingress[0].from[0].ipBlock.ports: unknown field",
    ],
    [{ from: [{}] }, "spec.ingress[0].from[0]: expected a peer"],
    [{ from: ["x"] }, 'spec.ingress[0].from[0]: expected a peer, got "x"'],
    [{ from: [{ podSelector: {}, more: 1 }] }, "spec.ingress[0].from[0].more: unknown field"],
    [
      { from: [{ podSelector: {}, ipBlock: { cidr: "::/0" } }] },
      "spec.ingress[0].from[0]: ipBlock excludes podSelector and namespaceSelector",
    ],
    [{ from: 7 }, "spec.ingress[0].from: expected a list, got 7"],
    [
      { from: [{ podSelector: { matchExpressions: [{ key: "a", operator: "Like" }] } }] },
      'spec.ingress[0].from[0].podSelector.matchExpressions[0].operator: expected one of In, NotIn, Exists, DoesNotExist, got "Like"',
    ],
    [
      { from: [{ podSelector: { matchExpressions: [{ operator: "Exists" }] } }] },
      "spec.ingress[0].from[0].podSelector.matchExpressions[0].key: expected a label key, got nothing",
    ],
    [
      { from: [{ podSelector: { matchExpressions: [{ key: "a", operator: "In" }] } }] },
      "spec.ingress[0].from[0].podSelector.matchExpressions[0].values: In needs values",
    ],
    [
      {
        from: [
          { podSelector: { matchExpressions: [{ key: "a", operator: "Exists", values: ["x"] }] } },
        ],
      },
      "spec.ingress[0].from[0].podSelector.matchExpressions[0].values: Exists takes no values",
    ],
    [
      {
        from: [{ podSelector: { matchExpressions: [{ key: "a", operator: "In", values: [1] }] } }],
      },
      "spec.ingress[0].from[0].podSelector.matchExpressions[0].values: expected a list of texts",
    ],
    [
      { from: [{ namespaceSelector: { matchLabels: { a: 1 } } }] },
      "spec.ingress[0].from[0].namespaceSelector.matchLabels: expected texts by label key",
    ],
    [
      { from: [{ podSelector: { matchExpressions: {} } }] },
      "spec.ingress[0].from[0].podSelector.matchExpressions: expected a list",
    ],
    [
      { from: [{ podSelector: "x" }] },
      'spec.ingress[0].from[0].podSelector: expected a label selector, got "x"',
    ],
    [
      { from: [{ podSelector: { match: 1 } }] },
      "spec.ingress[0].from[0].podSelector.match: unknown field",
    ],
    [
      { ports: [{ port: 0 }] },
      "spec.ingress[0].ports[0].port: expected a number from 1 to 65535 or a port's name, got 0",
    ],
    [
      { ports: [{ port: "Http" }] },
      'spec.ingress[0].ports[0].port: expected a number from 1 to 65535 or a port\'s name, got "Http"',
    ],
    [
      { ports: [{ protocol: "IP" }] },
      'spec.ingress[0].ports[0].protocol: expected TCP, UDP or SCTP, got "IP"',
    ],
    [
      { ports: [{ port: 9, endPort: 8 }] },
      "spec.ingress[0].ports[0].endPort: expected a port number not below port, also a number",
    ],
    [{ ports: [{ ports: [1, 2] }] }, "spec.ingress[0].ports[0].ports: unknown field"],
    [{ ports: [7] }, "spec.ingress[0].ports[0]: expected a port, got 7"],
    [{ to: [], action: "deny" }, "spec.ingress[0].to: unknown field"],
    [7, "spec.ingress[0]: expected a rule, got 7"],
  ];
  for (const [rule, problem] of table) {
    test(`reports ${problem}`, () => {
      assert.deepEqual(problemsOf(rule), [problem]);
      const [translated] = translate({ ingress: [rule] }).value.ingress;
      const parts = [translated?.peers, translated?.services].flat();
      assert.ok(parts.some((part) => typeof part === "object" && part.kind === "invalid"));
    });
  }

  test("takes the names that IANA allows for ports and no others", () => {
    for (const port of ["a", "http-2", "x1", "1x", "abcdefghijklmno"]) {
      assert.deepEqual(servicesOf({ port }), [{ kind: "named", protocol: "TCP", name: port }]);
    }
    for (const port of ["", "80", "-a", "a-", "a--b", "a_b", "A", "abcdefghijklmnop", "1-2"]) {
      assert.equal(problemsOf({ ports: [{ port }] }).length, 1, port);
    }
  });

  test("shortens what it quotes", () => {
    const [problem = ""] = problemsOf({ from: ["x".repeat(500)] });
    assert.ok(problem.length < 140, problem);
  });

  test("a subject that is not understood loses its rules and keeps what limits it", () => {
    const { value, problems } = translate({
      podSelector: { matchLabels: { app: "web" }, matchExpressions: [7] },
      ingress: [{}],
      egress: [{}],
    });
    assert.deepEqual(problems, [
      { field: "spec.podSelector.matchExpressions[0]", message: "expected a requirement, got 7" },
    ]);
    assert.deepEqual(value.subject.endpoints, {
      matchLabels: { app: "web" },
      matchExpressions: [],
    });
    assert.deepEqual(
      [value.isolates, value.ingress, value.egress],
      [["ingress", "egress"], [], []],
    );
  });

  test("anything that JSON can hold gives a policy of its tier with rules that allow", () => {
    const json = fc.jsonValue();
    const object = fc.record(
      {
        metadata: json,
        spec: fc.oneof(
          json,
          fc.record(
            { podSelector: json, policyTypes: json, ingress: json, egress: json },
            { requiredKeys: [] },
          ),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(json, object), (anything) => {
        const { value } = translateNetworkPolicy(anything);
        assert.equal(value.tier, "networkpolicy");
        for (const rule of [...value.ingress, ...value.egress]) assert.equal(rule.action, "allow");
      }),
    );
  });

  test("a spec that the API server would accept has no problems, whatever it says", () => {
    fc.assert(
      fc.property(policySpecArbitrary(false), (spec) => {
        assert.deepEqual(translate(spec).problems, []);
      }),
    );
  });
});
