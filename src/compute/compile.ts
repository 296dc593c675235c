// A policy as the graph needs it: groups defined once, services read, everything that cannot be read left out.
import type { Direction, EndpointSelector, Policy, Rule, Service } from "../model/policy.ts";
import { selectorKeys } from "../model/selector.ts";
import type { PortMatch } from "../southbound/resources.ts";
import {
  type EndpointsDefinition,
  type GroupDefinition,
  type NetworksDefinition,
  defineEndpoints,
  defineNetworks,
  everyEndpoint,
} from "./definition.ts";
import { type Use, portAttribute } from "./relevance.ts";
import { byCodeUnits } from "./words.ts";

export interface NamedService {
  readonly protocol: PortMatch["protocol"];
  /** As in `IdentityPort`. */
  readonly attribute: string;
}

export interface CompiledPeers {
  readonly endpoints: readonly EndpointsDefinition[];
  readonly networks: NetworksDefinition | undefined;
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

export interface CompiledPolicy {
  readonly policy: Policy;
  readonly subject: EndpointsDefinition;
  /** Empty outside `networkpolicy`: no other tier denies by default. */
  readonly isolates: readonly Direction[];
  readonly rules: readonly CompiledRule[];
  /** Every group that the policy names, each once. */
  readonly groups: readonly GroupDefinition[];
  readonly splits: readonly SplitDefinition[];
  readonly uses: readonly Use[];
}

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
  if (services === "any") return { ports: "any", named: [] };
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

function compilePeers(peers: Rule["peers"]): CompiledPeers | "any" {
  if (peers === "any") return "any";
  const endpoints = new Map<string, EndpointsDefinition>();
  for (const peer of peers) {
    if (peer.kind !== "endpoints") continue;
    const definition = defineEndpoints(peer);
    endpoints.set(definition.id, definition);
  }
  return {
    endpoints: [...endpoints.values()].toSorted((a, b) => byCodeUnits(a.id, b.id)),
    networks: defineNetworks(peers.filter((peer) => peer.kind === "network")),
  };
}

function compileRules(policy: Policy, direction: Direction): readonly CompiledRule[] {
  return policy[direction]
    .filter(({ action }) => policy.tier !== "networkpolicy" || action === "allow")
    .map((rule) => ({
      direction,
      rule,
      peers: compilePeers(rule.peers),
      ...compileServices(rule.services),
    }));
}

/** The groups that a named port of the rule splits: whoever is the destination. */
function destinations(rule: CompiledRule, subject: EndpointsDefinition) {
  if (rule.direction === "ingress") return [subject];
  return rule.peers === "any" ? [everyEndpoint] : rule.peers.endpoints;
}

function zoneOf({ zones }: EndpointSelector): string | undefined {
  return zones.kind === "name" ? zones.name : undefined;
}

function labelUses({ selector }: EndpointsDefinition): readonly Use[] {
  const zone = zoneOf(selector);
  return selectorKeys(selector.endpoints).map((name) => ({ kind: "label", name, zone }));
}

export function compilePolicy(policy: Policy): CompiledPolicy {
  const subject = defineEndpoints(policy.subject);
  const rules = [...compileRules(policy, "ingress"), ...compileRules(policy, "egress")];
  const groups = new Map<string, GroupDefinition>([[subject.id, subject]]);
  const splits = new Map<string, SplitDefinition>();
  for (const rule of rules) {
    if (rule.peers !== "any") {
      for (const group of rule.peers.endpoints) groups.set(group.id, group);
      if (rule.peers.networks !== undefined)
        groups.set(rule.peers.networks.id, rule.peers.networks);
    }
    for (const { attribute } of rule.named) {
      for (const group of destinations(rule, subject)) {
        groups.set(group.id, group);
        splits.set(`${group.id} ${attribute}`, { group, attribute });
      }
    }
  }
  const uses: Use[] = [];
  for (const group of groups.values()) {
    if (group.kind === "endpoints") uses.push(...labelUses(group));
  }
  for (const { group, attribute } of splits.values()) {
    uses.push({ kind: "port", name: attribute, zone: zoneOf(group.selector) });
  }
  return {
    policy,
    subject,
    isolates: policy.tier === "networkpolicy" ? policy.isolates : [],
    rules,
    groups: [...groups.values()],
    splits: [...splits.values()],
    uses,
  };
}
