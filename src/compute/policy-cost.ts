import type { Direction } from "../model/policy.ts";
import type { GraphRule, Group } from "./entities.ts";
import { byCodeUnits } from "./words.ts";

/** What one rule resource is made of now: a switch needs a flow for each of these and one more. */
export interface RuleCost {
  readonly id: string;
  readonly direction: Direction;
  readonly ruleIndex: number;
  /** Identities that have the rule enforced. */
  readonly subjects: number;
  /** Identities and networks. */
  readonly peers: number | "any";
  readonly ports: number | "any";
  /** Nodes that have the rule, sorted. */
  readonly nodes: readonly string[];
}

/** Why a node has a rule. */
export interface SpanReason {
  readonly rule: string;
  /** Identities that the node hosts and that are subjects, sorted. */
  readonly identities: readonly string[];
}

function networkCount({ definition, hosts }: Group): number {
  if (definition?.kind === "networks") return definition.networks.length;
  // At least; how many addresses are looked up is the nodes' matter.
  if (definition?.kind === "names") return definition.names.length;
  return new Set(hosts?.keys() ?? []).size;
}

export function costOf({ encoded, subject, groups }: GraphRule): RuleCost | undefined {
  const { resource } = encoded;
  if (resource.kind !== "rule") return undefined;
  const { id, direction, ruleIndex, ports } = resource;
  const peers = new Set(resource.peers === "any" ? [] : resource.peers);
  let peerCount = 0;
  for (const group of new Set(groups)) {
    if (peers.has(group.id)) peerCount += group.identities.size + networkCount(group);
  }
  return {
    id,
    direction,
    ruleIndex,
    subjects: subject.identities.size,
    peers: resource.peers === "any" ? "any" : peerCount,
    ports: ports === "any" ? "any" : ports.length,
    nodes: [...(subject.ruleSet?.nodes ?? [])].toSorted(byCodeUnits),
  };
}

export function explainSpan({ encoded, subject }: GraphRule, node: string): SpanReason {
  const identities = [...subject.identities].filter((identity) => identity.nodes.has(node));
  return { rule: encoded.id, identities: identities.map(({ id }) => id).toSorted(byCodeUnits) };
}
