// Whether a connection that was admitted once would be admitted again, by the rules that hold now.
import { parseAddress, parsePrefix, prefixContains } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { type Direction, tiers } from "../model/policy.ts";
import { decodeLabel } from "../pipeline/cookie.ts";
import type {
  EndpointResource,
  GroupResource,
  PostureResource,
  RuleResource,
} from "../southbound/resources.ts";
import type { TrackedConnection } from "./connection-table.ts";

/** What the node knows, indexed for judging many connections. */
export interface PolicyView {
  /** The endpoint that has the address in the domain behind a conntrack zone. */
  endpointAt(zone: number, address: string): EndpointResource | undefined;
  posture(identity: string): PostureResource | undefined;
  group(id: string): GroupResource | undefined;
  readonly rules: readonly RuleResource[];
}

interface Traffic {
  /** Identity of the endpoint at which the rules are enforced. */
  readonly subject: string;
  /** Of the other end; `undefined` outside the overlay. */
  readonly peer: string | undefined;
  readonly peerAddress: string;
  readonly protocol: number;
  readonly port: number | undefined;
}

/**
 * Judges each end that was enforced here. Ends that were admitted for another reason than policy, such as the node's
 * own traffic to its endpoints, stay admitted. A local end that is gone is not.
 */
export function isReadmitted(connection: TrackedConnection, view: PolicyView): boolean {
  const { zone, source, destination, protocol, destinationPort: port } = connection;
  // Nobody is kept from itself.
  if (source === destination) return true;
  const admitted = decodeLabel(connection.label);
  const from = view.endpointAt(zone, source);
  const to = view.endpointAt(zone, destination);
  const ends = [
    { direction: "egress", here: from, there: to, peerAddress: destination },
    { direction: "ingress", here: to, there: from, peerAddress: source },
  ] as const;
  return ends.every(({ direction, here, there, peerAddress }) => {
    const { kind } = admitted[direction];
    if (kind !== "rule" && kind !== "open") return true;
    if (here === undefined) return false;
    const traffic = { subject: here.identity, peer: there?.identity, peerAddress, protocol, port };
    return isAllowed(direction, traffic, view);
  });
}

/** The tiers in their order, as model/policy.ts has them. */
function isAllowed(direction: Direction, traffic: Traffic, view: PolicyView): boolean {
  const posture = view.posture(traffic.subject);
  if (posture === undefined) return false;
  const matching = view.rules.filter(
    (rule) => rule.direction === direction && matches(rule, traffic, view),
  );
  for (const tier of tiers) {
    const [first] = matching.filter((rule) => rule.tier === tier).toSorted(inOrderOfTrial);
    if (first?.action === "allow") return true;
    if (first?.action === "deny") return false;
    if (tier === "networkpolicy" && posture[direction].length > 0) return false;
  }
  return true;
}

function inOrderOfTrial(a: RuleResource, b: RuleResource): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1;
  return a.ruleIndex - b.ruleIndex;
}

function matches(rule: RuleResource, traffic: Traffic, view: PolicyView): boolean {
  const isIn = (id: string, identity: string): boolean =>
    view.group(id)?.identities.includes(identity) ?? false;
  const isPeer = (id: string): boolean =>
    (traffic.peer !== undefined && isIn(id, traffic.peer)) ||
    (view.group(id)?.networks.some((block) => isInBlock(traffic.peerAddress, block)) ?? false);
  return (
    rule.subjects.some((id) => isIn(id, traffic.subject)) &&
    (rule.peers === "any" || rule.peers.some(isPeer)) &&
    (rule.ports === "any" ||
      rule.ports.some(
        ({ protocol, from, to }) =>
          protocolNumbers[protocol] === traffic.protocol &&
          traffic.port !== undefined &&
          traffic.port >= from &&
          traffic.port <= to,
      ))
  );
}

function isInBlock(text: string, block: GroupResource["networks"][number]): boolean {
  const address = parseAddress(text);
  const contains = (cidr: string): boolean => prefixContains(parsePrefix(cidr), address);
  return contains(block.cidr) && !block.except.some(contains);
}
