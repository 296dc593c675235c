import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../apimachinery/kind.ts";
import { applyDefaults, decodeObject, validateObject } from "../apimachinery/object.ts";
import { invalidObject } from "../apimachinery/status.ts";
import { networkPolicyKind } from "./network-policy.ts";

function policy(spec: unknown): KubeObject {
  const body = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "x", namespace: "shop" },
    spec,
  };
  return applyDefaults(networkPolicyKind, decodeObject(networkPolicyKind, body, "Strict").object);
}

function findings(spec: unknown): string[] {
  return validateObject(networkPolicyKind, policy(spec)).map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

const qualifiedName =
  "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const nameRule = `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character ${qualifiedName}`;
const valueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const cidrRule = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const portNameRule = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";

const from = (...peers: unknown[]) => ({ ingress: [{ from: peers }] });
const to = (...peers: unknown[]) => ({ egress: [{ to: peers }] });
const ports = (...list: unknown[]) => ({ ingress: [{ ports: list }] });
const selector = (podSelector: unknown) => ({ podSelector });
const expression = (value: unknown) => selector({ matchExpressions: [value] });

const rejected: readonly (readonly [string, unknown, readonly string[]])[] = [
  [
    "an ipBlock without cidr",
    from({ ipBlock: { cidr: "" } }),
    ["spec.ingress[0].from[0].ipBlock.cidr: Required value"],
  ],
  [
    "an ipBlock with a missing cidr",
    from({ ipBlock: {} }),
    ["spec.ingress[0].from[0].ipBlock.cidr: Required value"],
  ],
  [
    "a prefix that is too long",
    from({ ipBlock: { cidr: "10.0.0.0/33" } }),
    [`spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": ${cidrRule}`],
  ],
  [
    "a bare address",
    to({ ipBlock: { cidr: "10.0.0.1" } }),
    [`spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.1": ${cidrRule}`],
  ],
  [
    "leading zeros",
    to({ ipBlock: { cidr: "010.0.0.0/8" } }),
    [`spec.egress[0].to[0].ipBlock.cidr: Invalid value: "010.0.0.0/8": ${cidrRule}`],
  ],
  [
    "text",
    to({ ipBlock: { cidr: "any" } }),
    [`spec.egress[0].to[0].ipBlock.cidr: Invalid value: "any": ${cidrRule}`],
  ],
  [
    "an IPv4-mapped IPv6 range",
    from({ ipBlock: { cidr: "::ffff:10.0.0.0/104" } }),
    [
      'spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "::ffff:10.0.0.0/104": must not have an IPv4-mapped IPv6 address',
    ],
  ],
  [
    "an except that is no CIDR",
    from({ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16", "x"] } }),
    [`spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: "x": ${cidrRule}`],
  ],
  [
    "an except outside",
    from({ ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } }),
    [
      'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    ],
  ],
  [
    "an except that is all of it",
    from({ ipBlock: { cidr: "10.0.0.0/8", except: ["10.0.0.0/8"] } }),
    [
      'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
    ],
  ],
  [
    "an except of the other family",
    from({ ipBlock: { cidr: "10.0.0.0/8", except: ["2001:db8::/64"] } }),
    [
      'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "2001:db8::/64": must be a strict subset of `cidr`',
    ],
  ],
  ["an empty peer", from({}), ["spec.ingress[0].from[0]: Required value: must specify a peer"]],
  [
    "an ipBlock with a podSelector",
    to({ ipBlock: { cidr: "10.0.0.0/8" }, podSelector: {} }),
    ["spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer"],
  ],
  [
    "an ipBlock with a namespaceSelector",
    to({ ipBlock: { cidr: "10.0.0.0/8" }, namespaceSelector: {} }),
    ["spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer"],
  ],
  [
    "port 0",
    ports({ port: 0 }),
    ["spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
  ],
  [
    "port 65536",
    ports({ port: 80 }, { port: 65536 }),
    ["spec.ingress[0].ports[1].port: Invalid value: 65536: must be between 1 and 65535, inclusive"],
  ],
  [
    "a negative port",
    ports({ port: -1 }),
    ["spec.ingress[0].ports[0].port: Invalid value: -1: must be between 1 and 65535, inclusive"],
  ],
  [
    "a port name of 16 signs",
    ports({ port: "a234567890123456" }),
    [
      'spec.ingress[0].ports[0].port: Invalid value: "a234567890123456": must be no more than 15 characters',
    ],
  ],
  [
    "a port name with an underscore",
    ports({ port: "http_alt" }),
    [`spec.ingress[0].ports[0].port: Invalid value: "http_alt": ${portNameRule}`],
  ],
  [
    "a port name of digits",
    ports({ port: "80" }),
    ['spec.ingress[0].ports[0].port: Invalid value: "80": must contain at least one letter (a-z)'],
  ],
  [
    "a port name with two hyphens",
    ports({ port: "a--b" }),
    ['spec.ingress[0].ports[0].port: Invalid value: "a--b": must not contain consecutive hyphens'],
  ],
  [
    "a port name that ends with a hyphen",
    ports({ port: "web-" }),
    ['spec.ingress[0].ports[0].port: Invalid value: "web-": must not begin or end with a hyphen'],
  ],
  [
    "an empty port name",
    ports({ port: "" }),
    [
      `spec.ingress[0].ports[0].port: Invalid value: "": ${portNameRule}`,
      'spec.ingress[0].ports[0].port: Invalid value: "": must contain at least one letter (a-z)',
    ],
  ],
  [
    "endPort below port",
    ports({ port: 80, endPort: 79 }),
    [
      "spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`",
    ],
  ],
  [
    "endPort 65536",
    ports({ port: 80, endPort: 65536 }),
    [
      "spec.ingress[0].ports[0].endPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
    ],
  ],
  [
    "endPort without port",
    ports({ endPort: 80 }),
    [
      "spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified",
    ],
  ],
  [
    "endPort with a named port",
    ports({ port: "web", endPort: 80 }),
    [
      "spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric",
    ],
  ],
  [
    "protocol ICMP",
    ports({ protocol: "ICMP" }),
    [
      'spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"',
    ],
  ],
  [
    "protocol tcp",
    ports({ protocol: "tcp" }),
    [
      'spec.ingress[0].ports[0].protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", "SCTP"',
    ],
  ],
  [
    "an unknown policy type",
    { policyTypes: ["Ingress", "Both"] },
    ['spec.policyTypes[1]: Unsupported value: "Both": supported values: "Ingress", "Egress"'],
  ],
  [
    "three policy types",
    { policyTypes: ["Ingress", "Egress", "Ingress"] },
    [
      'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes',
    ],
  ],
  [
    "a label key with a space",
    selector({ matchLabels: { "a b": "c" } }),
    [`spec.podSelector.matchLabels: Invalid value: "a b": ${nameRule}`],
  ],
  [
    "a label value with a space",
    selector({ matchLabels: { a: "b c" } }),
    [`spec.podSelector.matchLabels: Invalid value: "b c": ${valueRule}`],
  ],
  [
    "In without values",
    expression({ key: "a", operator: "In" }),
    [
      "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ],
  ],
  [
    "NotIn without values",
    expression({ key: "a", operator: "NotIn", values: [] }),
    [
      "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ],
  ],
  [
    "Exists with values",
    expression({ key: "a", operator: "Exists", values: ["b"] }),
    [
      "spec.podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ],
  ],
  [
    "DoesNotExist with values",
    expression({ key: "a", operator: "DoesNotExist", values: ["b"] }),
    [
      "spec.podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ],
  ],
  [
    "an unknown operator",
    expression({ key: "a", operator: "Gt", values: ["1"] }),
    [
      'spec.podSelector.matchExpressions[0].operator: Invalid value: "Gt": not a valid selector operator',
    ],
  ],
  [
    "an expression without key",
    expression({ operator: "Exists" }),
    ["spec.podSelector.matchExpressions[0].key: Required value"],
  ],
  [
    "an expression with a bad key",
    expression({ key: "-a", operator: "Exists" }),
    [`spec.podSelector.matchExpressions[0].key: Invalid value: "-a": ${nameRule}`],
  ],
  [
    "an expression with a bad value",
    expression({ key: "a", operator: "In", values: ["b", "c d"] }),
    [`spec.podSelector.matchExpressions[0].values[1]: Invalid value: "c d": ${valueRule}`],
  ],
  [
    "a bad selector of a peer",
    from({
      podSelector: { matchLabels: { a: "-" } },
      namespaceSelector: { matchExpressions: [{ key: "a", operator: "is" }] },
    }),
    [
      `spec.ingress[0].from[0].podSelector.matchLabels: Invalid value: "-": ${valueRule}`,
      'spec.ingress[0].from[0].namespaceSelector.matchExpressions[0].operator: Invalid value: "is": not a valid selector operator',
    ],
  ],
];

for (const [name, spec, expected] of rejected) {
  test(`a NetworkPolicy with ${name} is refused`, () => {
    assert.deepEqual(findings(spec), expected);
  });
}

const accepted: readonly (readonly [string, unknown])[] = [
  ["no spec", undefined],
  ["an empty spec", {}],
  ["all pods and no rules", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }],
  ["empty rules", { ingress: [{}], egress: [{}] }],
  ["empty lists", { ingress: [{ from: [], ports: [] }] }],
  [
    "every peer",
    from(
      { podSelector: {} },
      { namespaceSelector: {} },
      { podSelector: { matchLabels: { a: "" } }, namespaceSelector: {} },
      { ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "10.0.0.1/32"] } },
      { ipBlock: { cidr: "::/0", except: ["2001:db8::/32"] } },
    ),
  ],
  ["host bits in a CIDR", from({ ipBlock: { cidr: "10.1.2.3/8" } })],
  [
    "every port form",
    ports(
      {},
      { port: 1 },
      { port: 65535 },
      { port: "dns-tcp" },
      { port: 1, endPort: 65535, protocol: "SCTP" },
      { port: 80, endPort: 80 },
      { protocol: "UDP" },
    ),
  ],
  [
    "every operator",
    {
      podSelector: {
        matchLabels: { "example.com/a": "b" },
        matchExpressions: [
          { key: "a", operator: "In", values: ["x", ""] },
          { key: "b", operator: "NotIn", values: ["y"] },
          { key: "c", operator: "Exists" },
          { key: "d", operator: "DoesNotExist", values: [] },
        ],
      },
    },
  ],
];

for (const [name, spec] of accepted) {
  test(`a NetworkPolicy with ${name} is accepted`, () => {
    assert.deepEqual(findings(spec), []);
  });
}

const defaulted: readonly (readonly [string, unknown, unknown])[] = [
  [
    "ingress alone",
    { ingress: [{}] },
    { podSelector: {}, policyTypes: ["Ingress"], ingress: [{}] },
  ],
  ["nothing", undefined, { podSelector: {}, policyTypes: ["Ingress"] }],
  [
    "egress rules",
    { egress: [{}] },
    { podSelector: {}, policyTypes: ["Ingress", "Egress"], egress: [{}] },
  ],
  [
    "an empty egress list",
    { egress: [] },
    { podSelector: {}, policyTypes: ["Ingress"], egress: [] },
  ],
  [
    "Egress given",
    { policyTypes: ["Egress"], ingress: [{}] },
    { podSelector: {}, policyTypes: ["Egress"], ingress: [{}] },
  ],
  [
    "a port",
    ports({ port: 53 }, { protocol: "UDP" }),
    {
      podSelector: {},
      policyTypes: ["Ingress"],
      ingress: [{ ports: [{ port: 53, protocol: "TCP" }, { protocol: "UDP" }] }],
    },
  ],
];

for (const [name, spec, expected] of defaulted) {
  test(`a NetworkPolicy with ${name} gets its defaults`, () => {
    assert.deepEqual(policy(spec).spec, expected);
  });
}

test("a refusal is the Status that the Kubernetes API gives", () => {
  const errors = validateObject(networkPolicyKind, policy(from({ ipBlock: { cidr: "x" } }, {})));
  assert.deepEqual(invalidObject(networkPolicyKind, "x", errors), {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `NetworkPolicy.networking.k8s.io "x" is invalid: [spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "x": ${cidrRule}, spec.ingress[0].from[1]: Required value: must specify a peer]`,
    reason: "Invalid",
    details: {
      name: "x",
      group: "networking.k8s.io",
      kind: "NetworkPolicy",
      causes: [
        {
          reason: "FieldValueInvalid",
          message: `Invalid value: "x": ${cidrRule}`,
          field: "spec.ingress[0].from[0].ipBlock.cidr",
        },
        {
          reason: "FieldValueRequired",
          message: "Required value: must specify a peer",
          field: "spec.ingress[0].from[1]",
        },
      ],
    },
    code: 422,
  });
});
