// What a rule that did not match would have needed.
import { matchesDomainName } from "../model/domain-name.ts";
import type { Node, Zone } from "../model/endpoint.ts";
import type {
  EndpointSelector,
  LabelSelector,
  Peer,
  Rule,
  SelectorRequirement,
  Service,
} from "../model/policy.ts";
import { matchesRequirement, requirementsOf } from "../model/selector.ts";
import { formatAddress, prefixContains, tryParseAddress, tryParsePrefix } from "../net/address.ts";
import { type PacketSide, type ServiceQuestion, matchesService } from "./compiled-rule.ts";
import type { RuleReference } from "./verdict.ts";

export type EndName = "source" | "destination";

/** One thing that would have to be different. */
export type Missing =
  /** A label of the endpoint at that end. */
  | { readonly kind: "label"; readonly end: EndName; readonly requirement: SelectorRequirement }
  /** A label of the zone that the end is in. */
  | {
      readonly kind: "zone-label";
      readonly zone: string;
      readonly requirement: SelectorRequirement;
    }
  /** The end is an endpoint of another zone. */
  | { readonly kind: "zone"; readonly end: EndName; readonly zone: string }
  /** The end is no endpoint, and the rule asks for one. */
  | { readonly kind: "endpoint"; readonly end: EndName; readonly selector: EndpointSelector }
  /** The end's address is outside `cidr`, or in the `except` that is given. */
  | {
      readonly kind: "network";
      readonly end: EndName;
      readonly cidr: string;
      readonly except: string | undefined;
    }
  /** The end is no node, and the rule asks for one. */
  | { readonly kind: "node"; readonly end: EndName; readonly selector: LabelSelector }
  /** A label of the node that the end is. */
  | {
      readonly kind: "node-label";
      readonly node: string;
      readonly requirement: SelectorRequirement;
    }
  /** The source has not looked the address up under one of the names, as far as is known. */
  | { readonly kind: "domain-name"; readonly end: EndName; readonly names: readonly string[] }
  /** Another destination port or protocol: any of these would do. */
  | { readonly kind: "service"; readonly services: readonly Service[] }
  /** The rule holds a part that could not be understood. */
  | { readonly kind: "invalid"; readonly reason: string }
  /** The rule has an empty list, which nothing can match. */
  | { readonly kind: "never" };

export interface NearMiss extends RuleReference {
  /** The rule's own name, where it has one. */
  readonly ruleName?: string;
  /** Not empty. All of it together would make the rule match. */
  readonly missing: readonly Missing[];
}

/** How far away a thing is for whoever would change it: labels and ports are near, being something else is far. */
const efforts: Readonly<Record<Missing["kind"], number>> = {
  label: 1,
  "node-label": 1,
  "zone-label": 1,
  service: 1,
  network: 2,
  "domain-name": 2,
  zone: 2,
  endpoint: 3,
  node: 3,
  invalid: 5,
  never: 6,
};

function effortOf(missing: readonly Missing[]): number {
  return missing.reduce((sum, { kind }) => sum + efforts[kind], 0);
}

/** The one that takes least; the first of equals. An empty list cannot be met at all. */
function nearest(alternatives: readonly (readonly Missing[])[]): readonly Missing[] {
  let best: readonly Missing[] = [{ kind: "never" }];
  for (const missing of alternatives) {
    if (effortOf(missing) < effortOf(best)) best = missing;
  }
  return best;
}

function missingInZone(selector: EndpointSelector, zone: Zone, end: EndName): readonly Missing[] {
  const { zones } = selector;
  if (zones.kind === "name") {
    return zones.name === zone.name ? [] : [{ kind: "zone", end, zone: zones.name }];
  }
  return requirementsOf(zones.selector)
    .filter((requirement) => !matchesRequirement(requirement, zone.labels))
    .map((requirement) => ({ kind: "zone-label", zone: zone.name, requirement }));
}

/** The canonical text of an address. */
function tryFormat(text: string): string | undefined {
  const address = tryParseAddress(text);
  return address === undefined ? undefined : formatAddress(address);
}

function missingForPeer(
  peer: Peer,
  side: PacketSide,
  end: EndName,
  nodes: readonly Node[],
): readonly Missing[] {
  switch (peer.kind) {
    case "invalid":
      return [{ kind: "invalid", reason: peer.reason }];
    case "nodes": {
      const { address } = side;
      const text = address === undefined ? "" : formatAddress(address);
      const node = nodes.find(({ knownAddresses }) =>
        knownAddresses.some((each) => tryFormat(each) === text),
      );
      if (node === undefined) return [{ kind: "node", end, selector: peer.selector }];
      return requirementsOf(peer.selector)
        .filter((requirement) => !matchesRequirement(requirement, node.labels))
        .map((requirement) => ({ kind: "node-label", node: node.name, requirement }));
    }
    case "domains":
      return peer.names.some((pattern) =>
        side.names.some((name) => matchesDomainName(pattern, name)),
      )
        ? []
        : [{ kind: "domain-name", end, names: peer.names }];
    case "network": {
      const { address } = side;
      const contains = (cidr: string): boolean => {
        const prefix = tryParsePrefix(cidr);
        return prefix !== undefined && address !== undefined && prefixContains(prefix, address);
      };
      const hole = peer.except.find(contains);
      return contains(peer.cidr) && hole === undefined
        ? []
        : [
            {
              kind: "network",
              end,
              cidr: peer.cidr,
              except: contains(peer.cidr) ? hole : undefined,
            },
          ];
    }
    case "endpoints": {
      const { endpoint, zone } = side.endpoint ?? {};
      if (endpoint === undefined || zone === undefined) {
        return [
          { kind: "endpoint", end, selector: { zones: peer.zones, endpoints: peer.endpoints } },
        ];
      }
      const labels = requirementsOf(peer.endpoints)
        .filter((requirement) => !matchesRequirement(requirement, endpoint.labels))
        .map((requirement): Missing => ({ kind: "label", end, requirement }));
      return [...missingInZone(peer, zone, end), ...labels];
    }
  }
}

function missingForServices(
  services: Rule["services"],
  question: ServiceQuestion,
): readonly Missing[] {
  if (services === "any" || services.some((each) => matchesService(each, question))) return [];
  const understood = services.filter((each) => each.kind !== "invalid");
  if (understood.length > 0) return [{ kind: "service", services: understood }];
  return nearest(
    services
      .filter((each) => each.kind === "invalid")
      .map(({ reason }) => [{ kind: "invalid", reason }]),
  );
}

/** What the rule lacks to match, out of its alternatives the nearest; empty when it matches. */
export function missingFor(
  rule: Rule,
  peer: { readonly side: PacketSide; readonly end: EndName; readonly nodes: readonly Node[] },
  question: ServiceQuestion,
): readonly Missing[] {
  const forPeers =
    rule.peers === "any"
      ? []
      : nearest(rule.peers.map((each) => missingForPeer(each, peer.side, peer.end, peer.nodes)));
  return [...forPeers, ...missingForServices(rule.services, question)];
}

/** The nearest first; equally near ones by policy and rule. */
export function byDistance(a: NearMiss, b: NearMiss): number {
  const difference = effortOf(a.missing) - effortOf(b.missing);
  if (difference !== 0) return difference;
  if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1;
  return a.rule - b.rule;
}
