// What a group is, apart from what it holds at the moment: equal definitions have equal ids.
import type {
  EndpointSelector,
  LabelSelector,
  SelectorRequirement,
  ZoneSelector,
} from "../model/policy.ts";
import { requirementsOf } from "../model/selector.ts";
import { formatPrefix, tryParsePrefix } from "../net/address.ts";
import type { NetworkBlock } from "../southbound/resources.ts";
import { byCodeUnits, word } from "./words.ts";

/** Identities by selector. */
export interface EndpointsDefinition {
  readonly kind: "endpoints";
  /** `scope` and the text of the label selector. */
  readonly id: string;
  /** Text of the zone selector. */
  readonly scope: string;
  readonly selector: EndpointSelector;
}

/** Addresses by network. */
export interface NetworksDefinition {
  readonly kind: "networks";
  readonly id: string;
  readonly networks: readonly NetworkBlock[];
}

/** Addresses by the nodes that have them. */
export interface NodesDefinition {
  readonly kind: "nodes";
  readonly id: string;
  readonly selector: LabelSelector;
}

/** Addresses by the names under which a subject has looked them up. */
export interface NamesDefinition {
  readonly kind: "names";
  readonly id: string;
  /** Sorted. */
  readonly names: readonly string[];
}

export type GroupDefinition =
  | EndpointsDefinition
  | NetworksDefinition
  | NodesDefinition
  | NamesDefinition;

function requirementText({ key, operator, values }: SelectorRequirement): string {
  const [first = "", ...more] = values;
  const set = () => [...new Set(values)].map(word).toSorted(byCodeUnits).join(",");
  switch (operator) {
    case "In":
      if (values.length > 0 && more.every((value) => value === first))
        return `${word(key)}=${word(first)}`;
      return `${word(key)} in (${set()})`;
    case "NotIn":
      return `${word(key)} notin (${set()})`;
    case "Exists":
      return word(key);
    case "DoesNotExist":
      return `!${word(key)}`;
  }
}

/** Requirements in canonical order, e.g. `!legacy,app=web,tier in (a,b)`; `*` matches everything. */
function selectorText(selector: LabelSelector): string {
  const requirements = requirementsOf(selector);
  const [first] = requirements;
  if (first === undefined) return "*";
  if (requirements.length === 1) return requirementText(first);
  const texts = new Set(requirements.map(requirementText));
  return [...texts].toSorted(byCodeUnits).join(",");
}

/** `shop`, or `{team=a}` where zones are selected by their labels. */
function zonesText(zones: ZoneSelector): string {
  return zones.kind === "name" ? word(zones.name) : `{${selectorText(zones.selector)}}`;
}

/** With an id such as `shop app=web` or `{team=a} app=web`. */
export function defineEndpoints(selector: EndpointSelector): EndpointsDefinition {
  const scope = zonesText(selector.zones);
  return { kind: "endpoints", id: `${scope} ${selectorText(selector.endpoints)}`, scope, selector };
}

/** Canonical text of a prefix; `undefined` where it is none. */
function canonicalCidr(cidr: string): string | undefined {
  const prefix = tryParsePrefix(cidr);
  return prefix === undefined ? undefined : formatPrefix(prefix);
}

/** A network that cannot be read, in whole or in part, matches nothing: `undefined`. */
function canonicalNetwork({ cidr, except }: NetworkBlock): NetworkBlock | undefined {
  const block = canonicalCidr(cidr);
  const holes = except.map(canonicalCidr).filter((hole) => hole !== undefined);
  if (block === undefined || holes.length < except.length) return undefined;
  return { cidr: block, except: [...new Set(holes)].toSorted(byCodeUnits) };
}

function networkText({ cidr, except }: NetworkBlock): string {
  return [cidr, ...except.map((hole) => `!${hole}`)].join("");
}

/** `(10.0.0.0/8!10.1.0.0/16,192.0.2.0/24)`; `undefined` where no network can be read. */
export function defineNetworks(blocks: readonly NetworkBlock[]): NetworksDefinition | undefined {
  const byText = new Map<string, NetworkBlock>();
  for (const block of blocks) {
    const network = canonicalNetwork(block);
    if (network !== undefined) byText.set(networkText(network), network);
  }
  if (byText.size === 0) return undefined;
  const sorted = [...byText].toSorted(([a], [b]) => byCodeUnits(a, b));
  const id = `(${sorted.map(([text]) => text).join(",")})`;
  return { kind: "networks", id, networks: sorted.map(([, network]) => network) };
}

/** With an id such as `[nodes] role=edge`, whose first part no zone's name can be. */
export function defineNodes(selector: LabelSelector): NodesDefinition {
  return { kind: "nodes", id: `[nodes] ${selectorText(selector)}`, selector };
}

/** `[names] *.example.com,example.com`; `undefined` for no names. */
export function defineNames(names: readonly string[]): NamesDefinition | undefined {
  if (names.length === 0) return undefined;
  const sorted = [...new Set(names)].toSorted(byCodeUnits);
  return { kind: "names", id: `[names] ${sorted.map(word).join(",")}`, names: sorted };
}

export const everyEndpoint = defineEndpoints({
  zones: { kind: "labels", selector: { matchLabels: {}, matchExpressions: [] } },
  endpoints: { matchLabels: {}, matchExpressions: [] },
});
