// Random NetworkPolicy specs: mostly what the API server accepts, on request some that it refuses.
import fc from "fast-check";
import { namespaceLabelValues, podLabelValues } from "./labels.ts";

type Json = fc.Arbitrary<unknown>;

export function weighted(...choices: readonly (readonly [number, Json])[]): Json {
  return fc.oneof(...choices.map(([weight, arbitrary]) => ({ arbitrary, weight })));
}

/** Values of the label, and one that nothing has. */
function valuesArbitrary(values: readonly string[]): fc.Arbitrary<string[]> {
  return fc.subarray([...values, "none"], { minLength: 1, maxLength: 2 });
}

function requirementArbitrary(key: string, values: readonly string[]): Json {
  return fc.oneof(
    fc.record({
      key: fc.constant(key),
      operator: fc.constantFrom("In", "NotIn"),
      values: valuesArbitrary(values),
    }),
    fc.record({ key: fc.constant(key), operator: fc.constantFrom("Exists", "DoesNotExist") }),
  );
}

const oddRequirement: Json = fc.constantFrom(
  { key: "app", operator: "Like", values: ["web"] },
  { key: "app", operator: "In", values: [] },
  { key: "app", operator: "NotIn" },
  { key: "app", operator: "Exists", values: ["web"] },
  { operator: "Exists" },
  null,
);

export function selectorArbitrary(labels: Readonly<Record<string, string[]>>, odd: boolean): Json {
  const entries = Object.entries(labels);
  const byLabel = fc.oneof(
    ...entries.map(([key, values]) =>
      fc.constantFrom(...values).map((value) => ({ [key]: value })),
    ),
  );
  const requirement = fc.oneof(
    ...entries.map(([key, values]) => requirementArbitrary(key, values)),
  );
  const expressions = fc.array(weighted([20, requirement], [odd ? 1 : 0, oddRequirement]), {
    minLength: 1,
    maxLength: 2,
  });
  return weighted(
    [2, fc.constant({})],
    [3, fc.record({ matchLabels: byLabel })],
    [3, fc.record({ matchExpressions: expressions })],
    [1, fc.record({ matchLabels: byLabel, matchExpressions: expressions })],
    [odd ? 1 : 0, fc.constantFrom("all", { matchLabels: { app: 7 } }, { matchNothing: {} })],
  );
}

/** Nested and neighbouring blocks, around outside hosts, pods' networks, single pods and nodes. */
export const blocks: readonly (readonly [string, readonly string[]])[] = [
  ["0.0.0.0/0", ["10.0.0.0/8", "203.0.113.64/26", "203.0.113.0/24"]],
  ["203.0.113.0/24", ["203.0.113.64/26", "203.0.113.96/27", "203.0.113.7/32"]],
  ["203.0.113.64/26", ["203.0.113.80/28"]],
  ["203.0.113.77/24", []],
  ["10.0.0.0/16", ["10.0.1.0/24", "10.0.2.0/28"]],
  ["10.0.1.0/24", ["10.0.1.1/32", "10.0.1.4/30"]],
  ["10.0.2.2/31", []],
  ["172.18.0.12/32", []],
  ["::/0", ["fd00::/8", "2001:db8:1:8000::/49"]],
  ["2001:db8:1::/48", ["2001:db8:1:8000::/49", "2001:db8:1::7/128"]],
  ["2001:db8:1::/64", ["2001:db8:1::40/122"]],
  ["fd00::/48", ["fd00:0:0:1::/64", "fd00:0:0:2::/125"]],
  ["fd00:0:0:1::/64", ["fd00:0:0:1::2/127"]],
  ["fd01::12/128", []],
];

const blockArbitrary: Json = fc
  .constantFrom(...blocks)
  .chain(([cidr, holes]) =>
    fc
      .option(fc.subarray([...holes]), { nil: undefined })
      .map((except) => (except === undefined ? { cidr } : { cidr, except })),
  );

const oddPeer: Json = fc.constantFrom(
  {},
  null,
  "everyone",
  { ipBlock: {} },
  { ipBlock: { cidr: "10.0.0/8" } },
  { ipBlock: { cidr: "10.0.0.0/8", except: ["10.1"] } },
  { ipBlock: { cidr: "0.0.0.0/0" }, podSelector: {} },
  { podSelector: {}, serviceAccountSelector: {} },
);

function peerArbitrary(odd: boolean): Json {
  const pods = selectorArbitrary(podLabelValues, odd);
  const namespaces = selectorArbitrary(namespaceLabelValues, odd);
  return weighted(
    [3, fc.record({ podSelector: pods })],
    [2, fc.record({ namespaceSelector: namespaces })],
    [3, fc.record({ podSelector: pods, namespaceSelector: namespaces })],
    [4, blockArbitrary.map((ipBlock) => ({ ipBlock }))],
    [odd ? 1 : 0, oddPeer],
  );
}

const portArbitrary: Json = fc.record(
  {
    protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
    port: fc.constantFrom<unknown>(80, 53, 8080, 3868, "http", "dns", "sig", "nowhere"),
  },
  { requiredKeys: [] },
);

const rangeArbitrary: Json = fc
  .tuple(fc.constantFrom(50, 79, 80, 1000, 3867), fc.constantFrom(0, 1, 3, 30, 4000))
  .chain(([port, more]) =>
    fc.record(
      {
        port: fc.constant(port),
        endPort: fc.constant(port + more),
        protocol: fc.constantFrom("TCP", "UDP", "SCTP"),
      },
      { requiredKeys: ["port", "endPort"] },
    ),
  );

const oddPort: Json = fc.constantFrom(
  null,
  80,
  { port: 0 },
  { port: 70_000 },
  { port: "80" },
  { port: 90, endPort: 80 },
  { endPort: 80 },
  { port: "http", endPort: 90 },
  { protocol: "tcp" },
);

function listArbitrary(item: Json): Json {
  return weighted([6, fc.array(item, { minLength: 1, maxLength: 2 })], [1, fc.constant([])]);
}

function ruleArbitrary(peers: "from" | "to", odd: boolean): Json {
  const ports = weighted([3, portArbitrary], [2, rangeArbitrary], [odd ? 1 : 0, oddPort]);
  const rule = fc.record(
    { [peers]: listArbitrary(peerArbitrary(odd)), ports: listArbitrary(ports) },
    { requiredKeys: [] },
  );
  return weighted([30, rule], [odd ? 1 : 0, fc.constantFrom(null, "all", { from: {}, to: "all" })]);
}

/** A spec of NetworkPolicy v1; with `odd` some hold parts that the API server would refuse. */
export function policySpecArbitrary(odd: boolean): Json {
  const rules = (peers: "from" | "to") =>
    weighted(
      [8, fc.array(ruleArbitrary(peers, odd), { maxLength: 3 })],
      [odd ? 1 : 0, fc.constant("all")],
    );
  return fc.record(
    {
      podSelector: selectorArbitrary(podLabelValues, odd),
      policyTypes: weighted(
        [2, fc.constant(["Ingress"])],
        [2, fc.constant(["Egress"])],
        [3, fc.constant(["Ingress", "Egress"])],
        [1, fc.constant([])],
        [odd ? 1 : 0, fc.constantFrom(["Sideways"], "Ingress", ["Ingress", "Sideways"])],
      ),
      ingress: rules("from"),
      egress: rules("to"),
    },
    { requiredKeys: ["podSelector"] },
  );
}
