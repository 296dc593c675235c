// A policy as the graph needs it: groups defined once, services read, everything that cannot be read left out.
import type { Direction, EndpointSelector, Policy, Rule, Service } from "../model/policy.ts";
import { requirementsOf } from "../model/selector.ts";
import type { PortMatch } from "../southbound/resources.ts";
import {
  type EndpointsDefinition,
  type GroupDefinition,
  type NamesDefinition,
  type NetworksDefinition,
  type NodesDefinition,
  defineEndpoints,
  defineNames,
  defineNetworks,
  defineNodes,
  everyEndpoint,
} from "./definition.ts";
import { byCodeUnits } from "./words.ts";

/** A policy looks at this label key, or at this named port (as `portAttribute` has it). */
export interface Use {
  readonly kind: "label" | "port";
  readonly name: string;
  /** The zone in which it looks; `undefined` for all zones. */
  readonly zone: string | undefined;
}

/** The attribute that tells domains apart. */
export const domainAttribute = "domain";

/** Names a named port as an attribute, e.g. `TCP/http`. */
export function portAttribute(protocol: string, name: string): string {
  return `${protocol}/${name}`;
}

export interface NamedService {
  readonly protocol: PortMatch["protocol"];
  /** As in `IdentityPort`. */
  readonly attribute: string;
}

interface CompiledPeers {
  readonly endpoints: readonly EndpointsDefinition[];
  readonly networks: NetworksDefinition | undefined;
  readonly nodes: readonly NodesDefinition[];
  readonly names: NamesDefinition | undefined;
}

export interface CompiledRule {
  readonly direction: Direction;
  readonly rule: Rule;
  readonly peers: CompiledPeers | "any";
  /** Ports that are known by number. */
  readonly ports: readonly PortMatch[] | "any";
  /** Ports whose number depends on the destination. */
  readonly named: readonly NamedService[];
}

/** Members of the group are told apart by the attribute. */
export interface SplitDefinition {
  readonly group: EndpointsDefinition;
  readonly attribute: string;
}

/** Endpoints in the networks that have the named port. */
export interface NamedNetworks {
  readonly networks: NetworksDefinition;
  readonly attribute: string;
}

export interface CompiledPolicy {
  readonly policy: Policy;
  readonly subject: EndpointsDefinition;
  /** Empty outside `networkpolicy`: no other tier denies by default. */
  readonly isolates: readonly Direction[];
  readonly rules: readonly CompiledRule[];
}

const noNames: readonly NamedService[] = [];
const anyPort: Pick<CompiledRule, "ports" | "named"> = { ports: "any", named: noNames };

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65535;
}

function portMatch(service: Service): PortMatch | undefined {
  if (service.kind === "protocol") return { protocol: service.protocol, from: 0, to: 65535 };
  if (service.kind !== "ports") return undefined;
  const { protocol, from, to } = service;
  return isPort(from) && isPort(to) && from <= to ? { protocol, from, to } : undefined;
}

function compileServices(services: Rule["services"]): Pick<CompiledRule, "ports" | "named"> {
  if (services === "any") return anyPort;
  const ports = new Map<string, PortMatch>();
  const named = new Map<string, NamedService>();
  for (const service of services) {
    const match = portMatch(service);
    if (match !== undefined) ports.set(`${match.protocol} ${match.from} ${match.to}`, match);
    if (service.kind === "named") {
      const attribute = portAttribute(service.protocol, service.name);
      named.set(attribute, { protocol: service.protocol, attribute });
    }
  }
  return { ports: [...ports.values()], named: [...named.values()] };
}

function compilePeers(peers: Rule["peers"], subject: EndpointsDefinition): CompiledPeers | "any" {
  if (peers === "any") return "any";
  const endpoints = new Map<string, EndpointsDefinition>();
  const nodes = new Map<string, NodesDefinition>();
  for (const peer of peers) {
    if (peer.kind === "nodes") {
      const definition = defineNodes(peer.selector);
      nodes.set(definition.id, definition);
    }
    if (peer.kind !== "endpoints") continue;
    const defined = defineEndpoints(peer);
    const definition = defined.id === subject.id ? subject : defined;
    endpoints.set(definition.id, definition);
  }
  return {
    endpoints: [...endpoints.values()].toSorted((a, b) => byCodeUnits(a.id, b.id)),
    networks: defineNetworks(peers.filter((peer) => peer.kind === "network")),
    names: defineNames(peers.flatMap((peer) => (peer.kind === "domains" ? peer.names : []))),
    nodes: [...nodes.values()].toSorted((a, b) => byCodeUnits(a.id, b.id)),
  };
}

function compileRules(
  policy: Policy,
  direction: Direction,
  subject: EndpointsDefinition,
): readonly CompiledRule[] {
  return policy[direction]
    .filter(({ action }) => policy.tier !== "networkpolicy" || action === "allow")
    .map((rule) => ({
      direction,
      rule,
      peers: compilePeers(rule.peers, subject),
      ...compileServices(rule.services),
    }));
}

export function compilePolicy(policy: Policy): CompiledPolicy {
  const subject = defineEndpoints(policy.subject);
  return {
    policy,
    subject,
    isolates: policy.tier === "networkpolicy" ? policy.isolates : noDirections,
    rules: [
      ...compileRules(policy, "ingress", subject),
      ...compileRules(policy, "egress", subject),
    ],
  };
}

const noDirections: readonly Direction[] = [];

/** The groups that name whoever is the destination. */
function destinations(rule: CompiledRule, subject: EndpointsDefinition) {
  if (rule.direction === "ingress") return [subject];
  return rule.peers === "any" ? [everyEndpoint] : rule.peers.endpoints;
}

/** Every group that the policy names, some more than once. */
export function* groupsOf({
  subject,
  rules,
}: CompiledPolicy): Generator<GroupDefinition, void, undefined> {
  yield subject;
  for (const { peers, named } of rules) {
    if (peers === "any") {
      if (named.length > 0) yield everyEndpoint;
      continue;
    }
    yield* peers.endpoints;
    if (peers.networks !== undefined) yield peers.networks;
    yield* peers.nodes;
    if (peers.names !== undefined) yield peers.names;
  }
}

/** Every split that the policy needs, some more than once. */
export function* splitsOf({
  subject,
  rules,
}: CompiledPolicy): Generator<SplitDefinition, void, undefined> {
  for (const rule of rules) {
    for (const { attribute } of rule.named) {
      for (const group of destinations(rule, subject)) yield { group, attribute };
      // Host lists are of one domain each: its subjects are those to whom the addresses mean these hosts.
      if (networksOf(rule) !== undefined) yield { group: subject, attribute: domainAttribute };
    }
  }
}

/** Every host list that the policy needs, some more than once. */
export function* namedNetworksOf({
  rules,
}: CompiledPolicy): Generator<NamedNetworks, void, undefined> {
  for (const rule of rules) {
    const networks = networksOf(rule);
    if (networks === undefined) continue;
    for (const { attribute } of rule.named) yield { networks, attribute };
  }
}

/** The networks among which are destinations. */
export function networksOf({ direction, peers }: CompiledRule): NetworksDefinition | undefined {
  return direction === "egress" && peers !== "any" ? peers.networks : undefined;
}

function zoneOf({ zones }: EndpointSelector): string | undefined {
  return zones.kind === "name" ? zones.name : undefined;
}

/** What the policy looks at, some more than once. */
export function* usesOf(compiled: CompiledPolicy): Generator<Use, void, undefined> {
  for (const group of groupsOf(compiled)) {
    if (group.kind !== "endpoints") continue;
    const zone = zoneOf(group.selector);
    for (const { key } of requirementsOf(group.selector.endpoints)) {
      yield { kind: "label", name: key, zone };
    }
  }
  for (const { group, attribute } of splitsOf(compiled)) {
    if (attribute === domainAttribute) continue;
    yield { kind: "port", name: attribute, zone: zoneOf(group.selector) };
  }
  for (const { attribute } of namedNetworksOf(compiled)) {
    yield { kind: "port", name: attribute, zone: undefined };
  }
}
