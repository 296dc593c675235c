// The specification of what policies mean: data plane, explanations and previews are all measured against it.
import type { Direction } from "../model/policy.ts";
import { tiers } from "../model/policy.ts";
import { formatAddress } from "../net/address.ts";
import {
  type CompiledPolicy,
  type PacketSide,
  type ServiceQuestion,
  matchesRule,
} from "./compiled-rule.ts";
import { type Connection, type ConnectionEnd, resolveConnection } from "./connection.ts";
import type { Packet } from "./packet.ts";
import type { PolicyModel } from "./policy-model.ts";
import type { Decision, Verdict } from "./verdict.ts";

type RuleDecision = Extract<Decision, { kind: "rule" }>;

/** The two ends as one direction sees them: the subject is where the rules are enforced. */
export function endsOf(
  connection: Connection,
  direction: Direction,
): { subject: ConnectionEnd; peer: ConnectionEnd } {
  const { source, destination } = connection;
  return direction === "egress"
    ? { subject: source, peer: destination }
    : { subject: destination, peer: source };
}

const noNames: readonly string[] = [];

/** The peer as the rules of one direction see it. */
export function peerOf(connection: Connection, direction: Direction): PacketSide {
  const { subject, peer } = endsOf(connection, direction);
  const { endpoint, address } = peer;
  const lookups = direction === "egress" ? subject.endpoint?.lookups : undefined;
  const known = lookups !== undefined && lookups.size > 0 && address !== undefined;
  const names = known ? lookups.get(formatAddress(address)) : undefined;
  return { endpoint, address, names: names ?? noNames };
}

export function questionOf(connection: Connection): ServiceQuestion {
  const { protocol, port, destination } = connection;
  return { protocol, port, destination: destination.endpoint?.endpoint };
}

/** The first rule of the policy that matches and has an effect in its tier. */
function firstMatch(
  compiled: CompiledPolicy,
  connection: Connection,
  direction: Direction,
): RuleDecision | "pass" | undefined {
  const { tier, id } = compiled.policy;
  const peer = peerOf(connection, direction);
  const question = questionOf(connection);
  for (const candidate of compiled[direction]) {
    const { action, index } = candidate.rule;
    // Kubernetes NetworkPolicy knows no rule but allow.
    if (tier === "networkpolicy" && action !== "allow") continue;
    if (!matchesRule(candidate, peer, question)) continue;
    if (action === "pass") return "pass";
    return { kind: "rule", verdict: action, tier, policy: id, rule: index };
  }
  return undefined;
}

/** What a tier says: the first rule that matches, unless it passes on. */
function decideInTier(
  policies: readonly CompiledPolicy[],
  connection: Connection,
  direction: Direction,
): RuleDecision | undefined {
  for (const compiled of policies) {
    const match = firstMatch(compiled, connection, direction);
    if (match === "pass") return undefined;
    if (match !== undefined) return match;
  }
  return undefined;
}

/** Ids of the policies that close the direction unless a rule allows, sorted. */
function isolatingPolicies(
  policies: readonly CompiledPolicy[],
  direction: Direction,
): readonly string[] {
  return policies
    .filter(({ policy }) => policy.isolates.includes(direction))
    .map(({ policy }) => policy.id)
    .toSorted();
}

export function decide(model: PolicyModel, connection: Connection, direction: Direction): Decision {
  const { subject, peer } = endsOf(connection, direction);
  if (subject.endpoint === undefined) return { kind: "outside", verdict: "allow" };
  if (subject.endpoint === peer.endpoint) return { kind: "itself", verdict: "allow" };
  const { node } = subject.endpoint.endpoint;
  if (direction === "ingress" && node !== undefined && peer.node === node) {
    return { kind: "own-node", verdict: "allow" };
  }
  const policies = model.policiesOf(subject.endpoint);
  for (const tier of tiers) {
    const decision = decideInTier(policies[tier], connection, direction);
    if (decision !== undefined) return decision;
    if (tier !== "networkpolicy") continue;
    const isolating = isolatingPolicies(policies[tier], direction);
    if (isolating.length > 0) return { kind: "isolated", verdict: "deny", policies: isolating };
  }
  return { kind: "default", verdict: "allow" };
}

/**
 * Judges the packet that opens a connection. In order: an endpoint reaches itself, and its own node reaches it (the way
 * to the node is for policies to decide); then the tiers decide at the source (egress) and at the destination (ingress),
 * and both must allow. In `networkpolicy`, where rules are equal, the first of those that allow is named, by policy id
 * and index.
 *
 * Never throws: what is unknown or cannot be understood is denied.
 */
export function evaluate(model: PolicyModel, packet: Packet): Verdict {
  const connection = resolveConnection(model, packet);
  if (connection.kind === "unknown") {
    const decision = { kind: "unknown", verdict: "deny", reason: connection.reason } as const;
    return { verdict: "deny", egress: decision, ingress: decision };
  }
  const egress = decide(model, connection, "egress");
  const ingress = decide(model, connection, "ingress");
  const allowed = egress.verdict === "allow" && ingress.verdict === "allow";
  return { verdict: allowed ? "allow" : "deny", egress, ingress };
}
