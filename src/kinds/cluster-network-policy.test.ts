import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../apimachinery/kind.ts";
import { applyDefaults, decodeObject, validateObject } from "../apimachinery/object.ts";
import { clusterNetworkPolicyKind as kind } from "./cluster-network-policy.ts";

const base = { tier: "Admin", priority: 10, subject: { namespaces: {} } };
const everyone = { namespaces: {} };

function policy(spec: object): KubeObject {
  const body = { metadata: { name: "x" }, spec: { ...base, ...spec } };
  return applyDefaults(kind, decodeObject(kind, body, "Strict").object);
}

function findings(spec: object): string[] {
  return validateObject(kind, policy(spec)).map(({ field, message }) => `${field}: ${message}`);
}

function ingress(...rules: object[]): object {
  return { ingress: rules };
}

function egressTo(peer: object, more: object = {}): object {
  return { egress: [{ action: "Accept", to: [peer], ...more }] };
}

function protocols(...list: object[]): object {
  return ingress({ action: "Accept", from: [everyone], protocols: list });
}

const valid: readonly (readonly [string, object])[] = [
  ["no rules", {}],
  ["the lowest priority", { priority: 0 }],
  ["the highest priority", { priority: 1000 }],
  ["the other tier", { tier: "Baseline" }],
  ["pods as a subject", { subject: { pods: { podSelector: {} } } }],
  [
    "25 rules of each direction",
    {
      ingress: Array.from({ length: 25 }, () => ({ action: "Deny", from: [everyone] })),
      egress: Array.from({ length: 25 }, () => ({ action: "Pass", to: [everyone] })),
    },
  ],
  [
    "all kinds of protocols",
    protocols(
      { tcp: { destinationPort: { number: 1 } } },
      { udp: { destinationPort: { range: { start: 1, end: 65_535 } } } },
      { sctp: { destinationPort: { number: 65_535 } } },
      { destinationNamedPort: "http" },
    ),
  ],
  ["nodes", egressTo({ nodes: { matchLabels: { role: "edge" } } })],
  ["networks of both families", egressTo({ networks: ["10.0.0.0/8", "2001:db8::/32"] })],
  ["domain names", egressTo({ domainNames: ["example.com", "*.example.com", "Example.org."] })],
];
for (const [name, spec] of valid) {
  test(`${name} is valid`, () => assert.deepEqual(findings(spec), []));
}

const namedPorts =
  'spec.egress[0]: Invalid value: "object": networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames';
const http = { protocols: [{ destinationNamedPort: "http" }] };
const long = "a".repeat(101);

const invalid: readonly (readonly [string, object, readonly string[]])[] = [
  [
    "an unknown tier",
    { tier: "Gold" },
    ['spec.tier: Unsupported value: "Gold": supported values: "Admin", "Baseline"'],
  ],
  [
    "a negative priority",
    { priority: -1 },
    [
      "spec.priority: Invalid value: -1: spec.priority in body should be greater than or equal to 0",
    ],
  ],
  [
    "a priority above 1000",
    { priority: 1001 },
    [
      "spec.priority: Invalid value: 1001: spec.priority in body should be less than or equal to 1000",
    ],
  ],
  [
    "an empty subject",
    { subject: {} },
    ["spec.subject: Invalid value: 0: spec.subject in body should have at least 1 properties"],
  ],
  [
    "a subject of two kinds",
    { subject: { namespaces: {}, pods: { podSelector: {} } } },
    ["spec.subject: Too many: 2: must have at most 1 item"],
  ],
  [
    "pods without a selector",
    { subject: { pods: { namespaceSelector: {} } } },
    ["spec.subject.pods.podSelector: Required value"],
  ],
  [
    "a selector with a bad operator",
    { subject: { namespaces: { matchExpressions: [{ key: "a", operator: "Like" }] } } },
    [
      'spec.subject.namespaces.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator',
    ],
  ],
  [
    "26 rules",
    ingress(...Array.from({ length: 26 }, () => ({ action: "Deny", from: [everyone] }))),
    ["spec.ingress: Too many: 26: must have at most 25 items"],
  ],
  [
    "26 peers",
    ingress({ action: "Deny", from: Array.from({ length: 26 }, () => everyone) }),
    ["spec.ingress[0].from: Too many: 26: must have at most 25 items"],
  ],
  ["a rule without peers", ingress({ action: "Deny" }), ["spec.ingress[0].from: Required value"]],
  [
    "a rule with an empty list of peers",
    ingress({ action: "Deny", from: [] }),
    [
      "spec.ingress[0].from: Invalid value: 0: spec.ingress[0].from in body should have at least 1 items",
    ],
  ],
  [
    "a rule without action",
    ingress({ from: [everyone] }),
    ["spec.ingress[0].action: Required value"],
  ],
  [
    "an unknown action",
    ingress({ action: "Allow", from: [everyone] }),
    [
      'spec.ingress[0].action: Unsupported value: "Allow": supported values: "Accept", "Deny", "Pass"',
    ],
  ],
  [
    "a long name of a rule",
    ingress({ name: long, action: "Deny", from: [everyone] }),
    [
      `spec.ingress[0].name: Invalid value: "${long}": spec.ingress[0].name in body should be at most 100 chars long`,
    ],
  ],
  [
    "an empty peer",
    ingress({ action: "Deny", from: [{}] }),
    [
      "spec.ingress[0].from[0]: Invalid value: 0: spec.ingress[0].from[0] in body should have at least 1 properties",
    ],
  ],
  [
    "a peer of two kinds",
    egressTo({ namespaces: {}, networks: ["10.0.0.0/8"] }),
    ["spec.egress[0].to[0]: Too many: 2: must have at most 1 item"],
  ],
  [
    "a network that is none",
    egressTo({ networks: ["10.0.0/8"] }),
    ['spec.egress[0].to[0].networks[0]: Invalid value: "10.0.0/8": Invalid CIDR format provided'],
  ],
  [
    "an IPv4-mapped network",
    egressTo({ networks: ["::ffff:10.0.0.0/104"] }),
    [
      'spec.egress[0].to[0].networks[0]: Invalid value: "::ffff:10.0.0.0/104": Invalid CIDR format provided',
    ],
  ],
  [
    "a network twice",
    egressTo({ networks: ["10.0.0.0/8", "10.0.0.0/8"] }),
    ['spec.egress[0].to[0].networks[1]: Duplicate value: "10.0.0.0/8"'],
  ],
  [
    "a name twice",
    egressTo({ domainNames: ["a.b", "a.b"] }),
    ['spec.egress[0].to[0].domainNames[1]: Duplicate value: "a.b"'],
  ],
  [
    "names in a rule that denies",
    { egress: [{ action: "Deny", to: [{ domainNames: ["a.b"] }] }] },
    [
      "spec.egress[0].to[0].domainNames: Forbidden: domainNames are only supported in rules that Accept",
    ],
  ],
  [
    "a port 0",
    protocols({ tcp: { destinationPort: { number: 0 } } }),
    [
      "spec.ingress[0].protocols[0].tcp.destinationPort.number: Invalid value: 0: spec.ingress[0].protocols[0].tcp.destinationPort.number in body should be greater than or equal to 1",
    ],
  ],
  [
    "a range that runs backwards",
    protocols({ udp: { destinationPort: { range: { start: 9, end: 9 } } } }),
    [
      'spec.ingress[0].protocols[0].udp.destinationPort.range: Invalid value: "object": Start port must be less than End port',
    ],
  ],
  [
    "a port that is two",
    protocols({ tcp: { destinationPort: { number: 1, range: { start: 1, end: 2 } } } }),
    ["spec.ingress[0].protocols[0].tcp.destinationPort: Too many: 2: must have at most 1 item"],
  ],
  [
    "an empty protocol",
    protocols({}),
    [
      "spec.ingress[0].protocols[0]: Invalid value: 0: spec.ingress[0].protocols[0] in body should have at least 1 properties",
    ],
  ],
  [
    "an empty TCP match",
    protocols({ tcp: {} }),
    [
      "spec.ingress[0].protocols[0].tcp: Invalid value: 0: spec.ingress[0].protocols[0].tcp in body should have at least 1 properties",
    ],
  ],
  ["a named port of a network", egressTo({ networks: ["10.0.0.0/8"] }, http), [namedPorts]],
  ["a named port of nodes", egressTo({ nodes: {} }, http), [namedPorts]],
  ["a named port of a domain name", egressTo({ domainNames: ["a.b"] }, http), [namedPorts]],
];
for (const [name, spec, expected] of invalid) {
  test(`${name} is refused`, () => assert.deepEqual(findings(spec), expected));
}

for (const name of ["*", "*.", "a", "*.com", "-a.b", "a..b", "www.*.com", "a.b/c"]) {
  test(`the domain name ${JSON.stringify(name)} is ${name === "*.com" ? "refused as upstream does" : "refused"}`, () => {
    const [finding = "", ...more] = findings(egressTo({ domainNames: [name] }));
    assert.match(
      finding,
      /^spec\.egress\[0\]\.to\[0\]\.domainNames\[0\]: Invalid value: .* should match/,
    );
    assert.deepEqual(more, []);
  });
}

test("peers of egress are no peers of ingress", () => {
  for (const field of ["nodes", "networks", "domainNames"]) {
    assert.throws(
      () => policy(ingress({ action: "Deny", from: [{ [field]: field === "nodes" ? {} : [] }] })),
      /strict decoding error: unknown field/,
    );
  }
});
