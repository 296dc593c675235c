// What the tests of network-policy-api's conformance profile are made of: their cluster, rules, and tried connections. The
// cluster is upstream's: namespaces with two pods each, and the nodes in the place of its pods on the hosts' network. They are
// named by upstream's first letters: g, h, r and s. Upstream tries one connection from one pod; here both pods of a namespace
// try both of the other.
import type { KubeObject } from "../../src/apimachinery/kind.ts";
import type { PortProtocol } from "../../src/net/protocol.ts";
import { type PolicySpecs, renderCluster } from "../policy-cases/objects.ts";
import type { ConformanceCase, ConformanceStep, ExpectedCell, Service } from "./case.ts";

export type House = "g" | "h" | "r" | "s";
export type Verdict = ExpectedCell["verdict"];
export type Direction = "egress" | "ingress";
export type Tier = "Admin" | "Baseline";
export type Action = "Accept" | "Deny" | "Pass";
export type Rule = Readonly<Record<string, unknown>>;

/** `standard`, or the name of the experimental feature that a test asks for. */
export type ProfileFeature = "standard" | "named ports" | "nodes as peers";

export interface ProfileStep extends ConformanceStep {
  readonly name: string;
}

export interface ProfileCase extends ConformanceCase {
  readonly feature: ProfileFeature;
  readonly steps: readonly ProfileStep[];
}

const houses = ["g", "h", "r", "s"] as const satisfies readonly House[];
const ports = {
  TCP: [80, 8080],
  UDP: [53, 5353],
  SCTP: [9003, 9005],
} as const satisfies Record<PortProtocol, readonly number[]>;
const protocols = ["TCP", "UDP", "SCTP"] as const;

/** The pods of the tests, each namespace's on two nodes. Only the first TCP and UDP ports have names. */
export function profileCluster(): KubeObject[] {
  const declared = {
    web: "tcp/80",
    dns: "udp/53",
    other: ["tcp/8080", "udp/5353", "sctp/9003", "sctp/9005"],
  };
  const pods = houses.flatMap((house, index) =>
    ["0", "1"].map((name, at) => {
      const node = `n${((index + at) % 3) + 1}`;
      return [`${house}/${name}`, { node, labels: { house, pod: name }, ports: declared }] as const;
    }),
  );
  const namespaces = houses.map((house) => [house, { house }] as const);
  return renderCluster(
    {
      nodes: {},
      nodeLabels: {},
      nodeExternalIps: {},
      namespaces: Object.fromEntries(namespaces),
      pods: Object.fromEntries(pods),
    },
    {},
  );
}

export function podsOf(house: House): string[] {
  return [`${house}/0`, `${house}/1`];
}

export function tcp(...numbers: readonly number[]): Service[] {
  return numbers.map((port) => ({ protocol: "TCP", port }));
}

export function udp(...numbers: readonly number[]): Service[] {
  return numbers.map((port) => ({ protocol: "UDP", port }));
}

export function sctp(...numbers: readonly number[]): Service[] {
  return numbers.map((port) => ({ protocol: "SCTP", port }));
}

export const everything = protocols.flatMap((protocol) =>
  ports[protocol].map((port) => ({ protocol, port })),
);

/** All of the protocols that the services have, but them. */
export function othersThan(services: readonly Service[]): Service[] {
  return everything.filter(
    ({ protocol, port }) =>
      services.some((one) => one.protocol === protocol) &&
      !services.some((one) => one.protocol === protocol && one.port === port),
  );
}

export function cells(
  from: readonly string[],
  to: readonly string[],
  services: readonly Service[],
  verdict: Verdict,
): ExpectedCell[] {
  return from.flatMap((source) =>
    to.flatMap((destination) =>
      services.map((service) => ({ from: source, to: destination, ...service, verdict })),
    ),
  );
}

export function isHouse(house: House): unknown {
  return { matchLabels: { "kubernetes.io/metadata.name": house } };
}

/** Pods by a label of their namespace and one of their own. */
export function podsWithLabels(house: House): unknown {
  const selector = { matchLabels: { house } };
  return { pods: { namespaceSelector: selector, podSelector: selector } };
}

export function portsOf(services: readonly Service[]): unknown {
  return services.map(({ protocol, port }) => ({
    [protocol.toLowerCase()]: { destinationPort: { number: port } },
  }));
}

interface RuleText {
  readonly action: Action;
  readonly peers: readonly unknown[];
  readonly protocols?: unknown;
}

export function renderRule(
  direction: Direction,
  { action, peers, protocols: own }: RuleText,
): Rule {
  return {
    action,
    [direction === "egress" ? "to" : "from"]: peers,
    ...(own === undefined ? {} : { protocols: own }),
  };
}

export function step(
  name: string,
  policies: PolicySpecs,
  expected: readonly ExpectedCell[],
): ProfileStep {
  return { name, policies, labels: {}, pods: {}, expected };
}

/** Rules of one action for one peer, in both directions. */
export function bothWays(
  action: Action,
  peer: unknown,
  protocolsOf?: unknown,
): Record<Direction, Rule[]> {
  const text = { action, peers: [peer], protocols: protocolsOf };
  return { ingress: [renderRule("ingress", text)], egress: [renderRule("egress", text)] };
}

export function betweenHouses(
  one: House,
  other: House,
  services: readonly Service[],
  verdict: Verdict,
): ExpectedCell[] {
  return [
    ...cells(podsOf(one), podsOf(other), services, verdict),
    ...cells(podsOf(other), podsOf(one), services, verdict),
  ];
}
