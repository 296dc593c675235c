import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { clusterPolicySpecArbitrary } from "../../test/arbitrary/cluster-network-policy.ts";
import type { Policy } from "../model/policy.ts";
import { translateClusterNetworkPolicy } from "./cluster-network-policy.ts";
import type { Translation } from "./json.ts";

const base = { tier: "Admin", priority: 10, subject: { namespaces: {} } };

function translate(spec: unknown): Translation<Policy> {
  return translateClusterNetworkPolicy({ metadata: { name: "p" }, spec });
}

/** The problems of a policy with this one egress rule, as `field: message`. */
function problemsOf(rule: unknown): readonly string[] {
  return translate({ ...base, egress: [rule] }).problems.map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

const everything = { matchLabels: {}, matchExpressions: [] };
const labelled = (labels: Record<string, string>) => ({
  matchLabels: labels,
  matchExpressions: [],
});

describe("translateClusterNetworkPolicy", () => {
  test("gives the rule form of a policy with everything in it", () => {
    const { value, problems } = translate({
      tier: "Baseline",
      priority: 1000,
      subject: {
        pods: {
          namespaceSelector: { matchLabels: { a: "b" } },
          podSelector: { matchLabels: { app: "web" } },
        },
      },
      ingress: [
        { name: "first", action: "Pass", from: [{ namespaces: { matchLabels: { team: "x" } } }] },
      ],
      egress: [
        {
          action: "Accept",
          to: [
            { pods: { podSelector: {} } },
            { nodes: { matchLabels: { role: "edge" } } },
            { networks: ["10.0.0.0/8", "2001:db8::/32"] },
            { domainNames: ["Example.com.", "*.example.com", "example.com"] },
          ],
          protocols: [
            { tcp: { destinationPort: { number: 443 } } },
            { udp: { destinationPort: { range: { start: 1, end: 9 } } } },
          ],
        },
        { action: "Deny", to: [{ namespaces: {} }], protocols: [{ destinationNamedPort: "http" }] },
      ],
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(value, {
      id: "ClusterNetworkPolicy/p",
      tier: "baseline",
      priority: 1000,
      subject: {
        zones: { kind: "labels", selector: labelled({ a: "b" }) },
        endpoints: labelled({ app: "web" }),
      },
      isolates: [],
      ingress: [
        {
          index: 0,
          name: "first",
          action: "pass",
          peers: [
            {
              kind: "endpoints",
              zones: { kind: "labels", selector: labelled({ team: "x" }) },
              endpoints: everything,
            },
          ],
          services: "any",
        },
      ],
      egress: [
        {
          index: 0,
          action: "allow",
          peers: [
            {
              kind: "endpoints",
              zones: { kind: "labels", selector: everything },
              endpoints: everything,
            },
            { kind: "nodes", selector: labelled({ role: "edge" }) },
            { kind: "network", cidr: "10.0.0.0/8", except: [] },
            { kind: "network", cidr: "2001:db8::/32", except: [] },
            { kind: "domains", names: ["example.com", "*.example.com"] },
          ],
          services: [
            { kind: "ports", protocol: "TCP", from: 443, to: 443 },
            { kind: "ports", protocol: "UDP", from: 1, to: 9 },
          ],
        },
        {
          index: 1,
          action: "deny",
          peers: [
            {
              kind: "endpoints",
              zones: { kind: "labels", selector: everything },
              endpoints: everything,
            },
          ],
          services: [
            { kind: "named", protocol: "TCP", name: "http" },
            { kind: "named", protocol: "UDP", name: "http" },
            { kind: "named", protocol: "SCTP", name: "http" },
          ],
        },
      ],
    } satisfies Policy);
  });

  const to = [{ namespaces: {} }];
  const table: readonly (readonly [unknown, string])[] = [
    [7, "spec.egress[0]: expected a rule, got 7"],
    [{ action: "Allow", to }, "spec.egress[0].action: expected one of Accept, Deny, Pass"],
    [{ action: "Accept", to: [] }, "spec.egress[0].to: expected a list with at least one peer"],
    [{ action: "Accept", to, more: 1 }, "spec.egress[0].more: unknown field"],
    [
      { action: "Accept", to: [{}] },
      "spec.egress[0].to[0]: expected exactly one of namespaces, pods, nodes, networks, domainNames",
    ],
    [{ action: "Accept", to: ["x"] }, 'spec.egress[0].to[0]: expected an object, got "x"'],
    [{ action: "Accept", to: [{ groups: {} }] }, "spec.egress[0].to[0].groups: unknown field"],
    [{ action: "Accept", to: [{ pods: 7 }] }, "spec.egress[0].to[0].pods: expected pods, got 7"],
    [
      { action: "Accept", to: [{ pods: {} }] },
      "spec.egress[0].to[0].pods.podSelector: expected a label selector",
    ],
    [
      { action: "Accept", to: [{ pods: { podSelector: {}, x: 1 } }] },
      "spec.egress[0].to[0].pods.x: unknown field",
    ],
    [
      { action: "Accept", to: [{ nodes: { matchLabels: 7 } }] },
      "spec.egress[0].to[0].nodes.matchLabels: expected texts by label key",
    ],
    [
      { action: "Accept", to: [{ networks: [] }] },
      "spec.egress[0].to[0].networks: expected a list with at least one item",
    ],
    [
      { action: "Accept", to: [{ networks: [7] }] },
      "spec.egress[0].to[0].networks[0]: expected a text, got 7",
    ],
    [
      { action: "Accept", to: [{ networks: ["10.0.0/8"] }] },
      'spec.egress[0].to[0].networks[0]: expected a CIDR, got "10.0.0/8"',
    ],
    [
      { action: "Accept", to: [{ domainNames: ["a..b"] }] },
      'spec.egress[0].to[0].domainNames[0]: expected a domain name, got "a..b"',
    ],
    [
      { action: "Pass", to: [{ domainNames: ["a.b"] }] },
      "spec.egress[0]: domainNames are for rules that accept: not all of a name's addresses are known",
    ],
    [
      { action: "Accept", to, protocols: 7 },
      "spec.egress[0].protocols: expected a list of protocols",
    ],
    [
      { action: "Accept", to, protocols: [{ icmp: {} }] },
      "spec.egress[0].protocols[0].icmp: unknown field",
    ],
    [
      { action: "Accept", to, protocols: [{ tcp: 7 }] },
      "spec.egress[0].protocols[0].tcp: expected a protocol, got 7",
    ],
    [
      { action: "Accept", to, protocols: [{ tcp: { flags: 1 } }] },
      "spec.egress[0].protocols[0].tcp.flags: unknown field",
    ],
    [
      { action: "Accept", to, protocols: [{ tcp: { destinationPort: {} } }] },
      "spec.egress[0].protocols[0].tcp.destinationPort: expected exactly one of number, range",
    ],
    [
      { action: "Accept", to, protocols: [{ tcp: { destinationPort: { number: 0 } } }] },
      "spec.egress[0].protocols[0].tcp.destinationPort.number: expected a number from 1 to 65535, got 0",
    ],
    [
      {
        action: "Accept",
        to,
        protocols: [{ tcp: { destinationPort: { range: { start: 2, end: 1 } } } }],
      },
      'spec.egress[0].protocols[0].tcp.destinationPort.range: expected a start and an end not below it, got {"start":2,"end":1}',
    ],
    [
      { action: "Accept", to, protocols: [{ destinationNamedPort: "" }] },
      'spec.egress[0].protocols[0].destinationNamedPort: expected a port\'s name, got ""',
    ],
    [
      { action: "Accept", to: [{ nodes: {} }], protocols: [{ destinationNamedPort: "http" }] },
      "spec.egress[0]: destinationNamedPort excludes nodes, networks and domainNames",
    ],
  ];
  for (const [rule, expected] of table) {
    test(`reports ${expected}`, () => assert.deepEqual(problemsOf(rule), [expected]));
  }

  test("a rule with a problem matches nothing when it accepts, and denies everything otherwise", () => {
    const [accept, deny, pass] = translate({
      ...base,
      egress: ["Accept", "Deny", "Pass"].map((action) => ({ action, to: [{ groups: {} }] })),
    }).value.egress;
    const reason = "spec.egress[0].to[0].groups: unknown field";
    assert.deepEqual(accept, {
      index: 0,
      action: "allow",
      peers: [{ kind: "invalid", reason }],
      services: "any",
    });
    assert.deepEqual(deny, { index: 1, action: "deny", peers: "any", services: "any" });
    assert.deepEqual(pass, { index: 2, action: "deny", peers: "any", services: "any" });
  });

  test("whatever an object holds, something comes out, and nothing odd in a rule that denies", () => {
    const anything = fc.oneof(clusterPolicySpecArbitrary(true), fc.jsonValue());
    fc.assert(
      fc.property(anything, (spec) => {
        const { value } = translate(spec);
        for (const rule of [...value.ingress, ...value.egress]) {
          const peers = rule.peers === "any" ? [] : rule.peers;
          const odd = peers.some(({ kind }) => kind === "invalid" || kind === "domains");
          assert.ok(rule.action === "allow" || !odd);
        }
      }),
    );
  });
});
