// Random model objects, set and deleted one by one. There are few zones, labels, ports and nodes, so that references
// collide, dangle and come back. Besides the usual there is what users get wrong or do on purpose: unknown zones,
// endpoints without node or address, equal addresses in two domains, odd label keys, unreadable networks.
import fc from "fast-check";
import type { NamedService } from "../../src/model/named-service.ts";
import type { VirtualService } from "../../src/model/service.ts";
import {
  type Domain,
  type Endpoint,
  type Node,
  type Zone,
  everyNode,
} from "../../src/model/endpoint.ts";
import type {
  Direction,
  EndpointSelector,
  LabelSelector,
  Peer,
  Policy,
  Rule,
  SelectorRequirement,
  Service,
  Tier,
} from "../../src/model/policy.ts";

const zoneNames = ["shop", "data", "ops"];
export const nodeNames = ["node-1", "node-2", "node-3"];
const domainNames = ["blue", "red"];
const endpointNames = ["a", "b", "c", "d", "e", "f", "g", "h"];
const policyNames = ["p", "q", "r", "s"];
const labelKeys = ["app", "tier", "odd key,=", "__proto__", "release"];
const labelValues = ["web", "web", "db", "", "1 2"];
export const portNumbers = [80, 8080, 9090];
const portNames = ["http", "http", "metrics"];

const labels = fc
  .array(fc.tuple(fc.constantFrom(...labelKeys), fc.constantFrom(...labelValues)), { maxLength: 3 })
  .map((entries) => Object.fromEntries(entries));

const someValues = fc.array(fc.constantFrom(...labelValues), { minLength: 1, maxLength: 2 });
const key = fc.constantFrom(...labelKeys);

const requirement: fc.Arbitrary<SelectorRequirement> = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom("In" as const, "NotIn" as const),
    values: someValues,
  }),
  fc.record({
    key,
    operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const),
    values: fc.constant([]),
  }),
);

const labelSelector: fc.Arbitrary<LabelSelector> = fc.record({
  matchLabels: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, labels),
  matchExpressions: fc.array(requirement, { maxLength: 1 }),
});

const endpointSelector: fc.Arbitrary<EndpointSelector> = fc.record({
  zones: fc.oneof(
    fc.record({ kind: fc.constant("name" as const), name: fc.constantFrom(...zoneNames) }),
    fc.record({ kind: fc.constant("labels" as const), selector: labelSelector }),
  ),
  endpoints: labelSelector,
});

/** Often the same, so that a policy changes its rules and keeps its subject. */
const subject: fc.Arbitrary<EndpointSelector> = fc.oneof(
  endpointSelector,
  fc.constant({
    zones: { kind: "name" as const, name: "shop" },
    endpoints: { matchLabels: { app: "web" }, matchExpressions: [] },
  }),
);

/** 10.0.0.0/28 and 2001:db8::/124 hold every endpoint. */
const cidr = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      "10.0.0.0/28",
      "10.0.0.2/31",
      "0.0.0.0/0",
      "192.0.2.0/24",
      "2001:db8::/124",
      "::/0",
      "10.0.0.1/8",
    ),
  },
  fc.constant("10.0.0.0/33"),
);

const peer: fc.Arbitrary<Peer> = fc.oneof(
  {
    weight: 6,
    arbitrary: endpointSelector.map((selector) => ({ kind: "endpoints" as const, ...selector })),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("network" as const),
      cidr,
      except: fc.array(cidr, { maxLength: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: labelSelector.map((selector) => ({ kind: "nodes" as const, selector })),
  },
  fc
    .subarray(["example.com", "*.example.com"], { minLength: 1 })
    .map((names) => ({ kind: "domains" as const, names })),
  fc.constant({ kind: "invalid" as const, reason: "a test" }),
);

const protocol = fc.constantFrom("TCP" as const, "TCP" as const, "UDP" as const);
const portNumber = fc.constantFrom(...portNumbers);
const name = fc.constantFrom(...portNames);

const service: fc.Arbitrary<Service> = fc.oneof(
  fc.record({ kind: fc.constant("protocol" as const), protocol }),
  fc.record({ kind: fc.constant("ports" as const), protocol, from: portNumber, to: portNumber }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("named" as const), protocol, name }) },
  fc.constant({ kind: "invalid" as const, reason: "a test" }),
);

function anyOr<Value>(
  list: fc.Arbitrary<readonly Value[]>,
): fc.Arbitrary<readonly Value[] | "any"> {
  return fc.oneof(fc.constant("any" as const), { weight: 3, arbitrary: list });
}

/** To networks by a named port: the rule that depends on single endpoints' addresses. */
const namedToNetworks: fc.Arbitrary<Pick<Rule, "action" | "peers" | "services">> = fc.record({
  action: fc.constant("allow" as const),
  peers: fc
    .constantFrom("10.0.0.0/28", "10.0.0.2/31", "2001:db8::/124")
    .map((each) => [{ kind: "network" as const, cidr: each, except: [] }]),
  services: fc.constant([{ kind: "named" as const, protocol: "TCP" as const, name: "http" }]),
});

const rules: fc.Arbitrary<readonly Rule[]> = fc
  .array(
    fc.oneof(
      { weight: 1, arbitrary: namedToNetworks },
      {
        weight: 3,
        arbitrary: fc.record({
          action: fc.constantFrom(
            "allow" as const,
            "allow" as const,
            "deny" as const,
            "pass" as const,
          ),
          peers: anyOr(fc.array(peer, { maxLength: 3 })),
          services: anyOr(fc.array(service, { maxLength: 2 })),
        }),
      },
    ),
    { maxLength: 2 },
  )
  .map((list) => list.map((rule, index) => ({ index, ...rule })));

const tier = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Tier>("networkpolicy") },
  { weight: 2, arbitrary: fc.constantFrom<Tier>("admin", "isobar", "baseline") },
);

function policy(id: string): fc.Arbitrary<Policy> {
  return fc.record({
    id: fc.constant(id),
    tier,
    priority: fc.constantFrom(0, 10),
    subject,
    isolates: fc.uniqueArray(fc.constantFrom<Direction>("ingress", "egress")),
    ingress: rules,
    egress: rules,
  });
}

/** Its addresses follow from its id, so that they are unique in a domain. */
function endpoint(id: string): fc.Arbitrary<Endpoint> {
  const host = endpointNames.indexOf(id) + 1;
  const v4 = `10.0.0.${host}`;
  return fc.record({
    id: fc.constant(id),
    zone: fc.constantFrom(...zoneNames),
    labels,
    namedPorts: fc.array(fc.record({ name, protocol, port: portNumber }), { maxLength: 2 }),
    domain: fc.oneof({ weight: 4, arbitrary: fc.constant("blue") }, fc.constant("red")),
    addresses: fc.oneof(
      { weight: 5, arbitrary: fc.constant([v4, `2001:db8::${host}`]) },
      { weight: 2, arbitrary: fc.constant([v4]) },
      fc.constant([]),
    ),
    mac: fc.constant(`0a:00:00:00:00:0${host}`),
    node: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom<string | undefined>(...nodeNames, everyNode) },
      fc.constant(undefined),
    ),
  });
}

function zone(id: string): fc.Arbitrary<Zone> {
  return fc.record({ name: fc.constant(id), labels });
}

function domain(id: string): fc.Arbitrary<Domain> {
  const pools = ["10.0.0.0/28", "2001:db8::/124"];
  return fc.constant({ name: id, vni: domainNames.indexOf(id) + 1, pools });
}

function node(id: string): fc.Arbitrary<Node> {
  const host = nodeNames.indexOf(id) + 1;
  return fc
    .subarray([`192.0.2.${host}`, `2001:db8:1::${host}`], { minLength: 1 })
    .chain((addresses) =>
      fc.record({
        name: fc.constant(id),
        labels,
        addresses: fc.constant(addresses),
        knownAddresses: fc
          .subarray([`198.51.100.${host}`, "198.51.100.9", "2001:DB8:1::9"])
          .map((more) => [...addresses, ...more]),
      }),
    );
}

const serviceNames = ["s1", "s2"];

function virtualService(id: string): fc.Arbitrary<VirtualService> {
  const port = fc.constantFrom(80, 443);
  const frontend = fc.record(
    {
      address: fc.constantFrom("10.96.0.1", "10.96.0.2"),
      port,
      scope: fc.constantFrom("cluster" as const, "external" as const),
    },
    { noNullPrototype: true },
  );
  const trafficPolicy = fc.constantFrom("Cluster" as const, "Local" as const);
  return fc.record({
    id: fc.constant(id),
    name: fc.constant(`shop/${id}`),
    portName: fc.constantFrom("", "http"),
    family: fc.constant(4 as const),
    domain: fc.constantFrom(...domainNames),
    protocol: fc.constantFrom("TCP" as const, "UDP" as const),
    frontends: fc.array(frontend, {
      maxLength: 2,
    }),
    internalPolicy: trafficPolicy,
    externalPolicy: trafficPolicy,
    backends: fc.uniqueArray(
      fc.record({
        address: fc.constantFrom("10.0.0.1", "10.0.0.2", "192.0.2.1"),
        port,
        node: fc.constantFrom(...nodeNames, undefined),
        ready: fc.boolean(),
      }),
      { maxLength: 4, selector: ({ address, port: number }) => `${address} ${number}` },
    ),
  });
}

function namedService(id: string): fc.Arbitrary<NamedService> {
  const addresses = fc.constantFrom(["10.96.0.1"], [], ["10.96.0.2", "2001:db8::1"]);
  const ports = fc.constantFrom([], [{ name: "http", protocol: "TCP" as const, port: 80 }]);
  const host = fc.record({ address: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3"), ports });
  return fc.record({
    id: fc.constant(id),
    domain: fc.constantFrom(...domainNames),
    addresses,
    ports,
    hosts: fc.uniqueArray(host, { maxLength: 3, selector: ({ address }) => address }),
  });
}

interface Setting<Name, Value> {
  readonly kind: Name;
  readonly id: string;
  readonly value: Value | undefined;
}

/** One object set, or deleted where there is no value. */
export type Change =
  | Setting<"zone", Zone>
  | Setting<"endpoint", Endpoint>
  | Setting<"domain", Domain>
  | Setting<"node", Node>
  | Setting<"policy", Policy>
  | Setting<"service", VirtualService>
  | Setting<"names", NamedService>;

const kinds = [
  { kind: "zone", weight: 2, ids: zoneNames },
  { kind: "endpoint", weight: 6, ids: endpointNames },
  { kind: "domain", weight: 1, ids: domainNames },
  { kind: "node", weight: 1, ids: nodeNames },
  { kind: "policy", weight: 6, ids: policyNames },
  { kind: "service", weight: 2, ids: serviceNames },
  { kind: "names", weight: 2, ids: serviceNames },
] as const;

type Kind = (typeof kinds)[number];

function changeTo({ kind }: Kind, id: string): fc.Arbitrary<Change> {
  switch (kind) {
    case "zone":
      return zone(id).map((value) => ({ kind, id, value }));
    case "endpoint":
      return endpoint(id).map((value) => ({ kind, id, value }));
    case "domain":
      return domain(id).map((value) => ({ kind, id, value }));
    case "node":
      return node(id).map((value) => ({ kind, id, value }));
    case "policy":
      return policy(id).map((value) => ({ kind, id, value }));
    case "service":
      return virtualService(id).map((value) => ({ kind, id, value }));
    case "names":
      return namedService(id).map((value) => ({ kind, id, value }));
  }
}

/** Deletions are one in five, often of what does not exist. */
export const changeArbitrary: fc.Arbitrary<Change> = fc.oneof(
  ...kinds.map((kind) => ({
    weight: kind.weight,
    arbitrary: fc.constantFrom(...kind.ids).chain((id) =>
      fc.oneof(
        { weight: 4, arbitrary: changeTo(kind, id) },
        {
          weight: 1,
          arbitrary: fc.constant<Change>({ kind: kind.kind, id, value: undefined }),
        },
      ),
    ),
  })),
);

/** Every object that there can be, as changes from nothing. */
export const clusterArbitrary: fc.Arbitrary<readonly Change[]> = fc.tuple(
  ...kinds.flatMap((kind) => kind.ids.map((id) => changeTo(kind, id))),
);
