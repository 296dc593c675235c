// Whether a connection that was admitted once would be admitted again, by the rules that hold now.
import { type Prefix, parseAddress, prefixContains, tryParsePrefix } from "../../net/address.ts";
import { protocolNumbers } from "../../net/protocol.ts";
import { matchesDomainName } from "../../model/domain-name.ts";
import { type Direction, tiers } from "../../model/policy.ts";
import { decodeLabel } from "../../pipeline/cookie.ts";
import type {
  EndpointResource,
  GroupResource,
  PostureResource,
  RuleResource,
} from "../../southbound/resources.ts";
import type { TrackedConnection } from "./connection-table.ts";

/** What the node knows, indexed for judging many connections. */
export interface PolicyView {
  /** The endpoint that has the address in the domain behind a conntrack zone. */
  endpointAt(zone: number, address: string): EndpointResource | undefined;
  posture(identity: string): PostureResource | undefined;
  group(id: string): GroupResource | undefined;
  /** Names under which the endpoint has looked the address up, also those that have ended since. */
  namesOf(endpoint: string, address: string): readonly string[];
  readonly rules: readonly RuleResource[];
}

interface Traffic {
  /** Identity of the endpoint at which the rules are enforced. */
  readonly subject: string;
  /** Of the other end; `undefined` outside the overlay. */
  readonly peer: string | undefined;
  readonly peerAddress: string;
  /** Under which the subject has looked the peer up. */
  readonly names: readonly string[];
  readonly protocol: number;
  readonly port: number | undefined;
}

/** A group, read once for all connections. */
interface Members {
  readonly identities: ReadonlySet<string>;
  readonly patterns: readonly string[];
  readonly blocks: readonly { readonly cidr: Prefix; readonly except: readonly Prefix[] }[];
}

const nobody: Members = { identities: new Set(), patterns: [], blocks: [] };

/** Judges connections by one state of the node: to be made anew for each look at them. */
export class Readmission {
  readonly #view: PolicyView;
  readonly #groups = new Map<string, Members>();
  /** By direction and subject, in the order in which they are tried. */
  readonly #rules = new Map<string, readonly RuleResource[]>();

  constructor(view: PolicyView) {
    this.#view = view;
  }

  /**
   * Judges each end that was enforced here. Ends that were admitted for another reason than policy, such as the node's
   * own traffic to its endpoints, stay admitted. A local end that is gone is not.
   */
  admits(connection: TrackedConnection): boolean {
    const { zone, source, server, protocol, serverPort: port } = connection;
    // Nobody is kept from itself.
    if (source === server) return true;
    const admitted = decodeLabel(connection.label);
    const from = this.#view.endpointAt(zone, source);
    const to = this.#view.endpointAt(zone, server);
    const ends = [
      { direction: "egress", here: from, there: to, peerAddress: server },
      { direction: "ingress", here: to, there: from, peerAddress: source },
    ] as const;
    return ends.every(({ direction, here, there, peerAddress }) => {
      const { kind } = admitted[direction];
      if (kind !== "rule" && kind !== "open") return true;
      if (here === undefined) return false;
      const peer = there?.identity;
      return this.#isAllowed(direction, {
        subject: here.identity,
        peer,
        peerAddress,
        names: direction === "egress" ? this.#view.namesOf(here.id, peerAddress) : [],
        protocol,
        port,
      });
    });
  }

  /** The tiers in their order, as model/policy.ts has them. */
  #isAllowed(direction: Direction, traffic: Traffic): boolean {
    const posture = this.#view.posture(traffic.subject);
    if (posture === undefined) return false;
    const rules = this.#rulesOf(direction, traffic.subject);
    for (const tier of tiers) {
      const first = rules.find((rule) => rule.tier === tier && this.#matches(rule, traffic));
      if (first?.action === "allow") return true;
      if (first?.action === "deny") return false;
      if (tier === "networkpolicy" && posture[direction].length > 0) return false;
    }
    return true;
  }

  #rulesOf(direction: Direction, subject: string): readonly RuleResource[] {
    const key = `${direction} ${subject}`;
    let rules = this.#rules.get(key);
    if (rules === undefined) {
      rules = this.#view.rules
        .filter((rule) => rule.direction === direction)
        .filter(({ subjects }) => subjects.some((id) => this.#group(id).identities.has(subject)))
        .toSorted(inOrderOfTrial);
      this.#rules.set(key, rules);
    }
    return rules;
  }

  #matches({ peers, ports }: RuleResource, traffic: Traffic): boolean {
    return (
      (peers === "any" || peers.some((id) => isIn(this.#group(id), traffic))) &&
      (ports === "any" ||
        ports.some(
          ({ protocol, from, to }) =>
            protocolNumbers[protocol] === traffic.protocol &&
            traffic.port !== undefined &&
            traffic.port >= from &&
            traffic.port <= to,
        ))
    );
  }

  #group(id: string): Members {
    let members = this.#groups.get(id);
    if (members === undefined) {
      const group = this.#view.group(id);
      members = group === undefined ? nobody : readGroup(group);
      this.#groups.set(id, members);
    }
    return members;
  }
}

/** A block of which a part cannot be read matches nothing, as on the switch. */
function readGroup({ identities, networks, domainNames = [] }: GroupResource): Members {
  const blocks = networks.flatMap((block) => {
    const cidr = tryParsePrefix(block.cidr);
    const except = block.except.map(tryParsePrefix).filter((prefix) => prefix !== undefined);
    return cidr === undefined || except.length < block.except.length ? [] : [{ cidr, except }];
  });
  return { identities: new Set(identities), patterns: domainNames, blocks };
}

function isIn(members: Members, { peer, peerAddress, names }: Traffic): boolean {
  const { identities, patterns, blocks } = members;
  if (peer !== undefined && identities.has(peer)) return true;
  if (names.some((name) => patterns.some((each) => matchesDomainName(each, name)))) return true;
  if (blocks.length === 0) return false;
  const address = parseAddress(peerAddress);
  return blocks.some(
    ({ cidr, except }) =>
      prefixContains(cidr, address) && !except.some((hole) => prefixContains(hole, address)),
  );
}

function inOrderOfTrial(a: RuleResource, b: RuleResource): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1;
  return a.ruleIndex - b.ruleIndex;
}
