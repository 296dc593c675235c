// What an agent enforces, told from its resources alone: a model of the data plane, without its flows.
import type { Direction } from "../../src/model/policy.ts";
import { tiers } from "../../src/model/policy.ts";
import { parsePrefix, prefixContains, tryParseAddress } from "../../src/net/address.ts";
import type {
  EndpointResource,
  NetworkBlock,
  RuleResource,
} from "../../src/southbound/resources.ts";
import type { NodeState } from "./world.ts";

/** The packet that opens a connection, as it is on the wire, in the domain of one of its endpoints. */
export interface WirePacket {
  readonly domain: string;
  readonly source: string;
  readonly destination: string;
  readonly protocol: "TCP" | "UDP" | "ICMP";
  readonly port: number;
}

export type Outcome = "allow" | "deny";

export class Enforcement {
  readonly #state: NodeState;
  readonly #node: string;
  readonly #rules: readonly RuleResource[];

  constructor(node: string, state: NodeState) {
    this.#node = node;
    this.#state = state;
    this.#rules = [...state.values()].filter((resource) => resource.kind === "rule");
  }

  /** What this node does to the packet in one direction; `undefined` where the subject is not on this node. */
  decide(packet: WirePacket, direction: Direction): Outcome | undefined {
    const [subjectAddress, peerAddress] =
      direction === "egress"
        ? [packet.source, packet.destination]
        : [packet.destination, packet.source];
    const subject = this.#endpointWith(packet.domain, subjectAddress);
    if (subject?.node !== this.#node) return undefined;
    if (!this.#state.has(`domain/${subject.domain}`)) return "deny";
    if (subjectAddress === peerAddress) return "allow";
    if (direction === "ingress" && this.#isOwnAddress(peerAddress)) return "allow";
    const posture = this.#state.get(`posture/${subject.identity}`);
    if (posture?.kind !== "posture") return "deny";
    const peer = this.#endpointWith(packet.domain, peerAddress)?.identity;
    const matching = this.#rules.filter(
      (rule) =>
        rule.direction === direction &&
        matchesPorts(rule, packet) &&
        rule.subjects.some((id) => this.#isIn(id, subject.identity, undefined)) &&
        (rule.peers === "any" || rule.peers.some((id) => this.#isIn(id, peer, peerAddress))),
    );
    return verdict(matching, posture[direction].length > 0);
  }

  #endpointWith(domain: string, address: string): EndpointResource | undefined {
    for (const resource of this.#state.values()) {
      if (resource.kind !== "endpoint" || resource.domain !== domain) continue;
      if (resource.addresses.includes(address)) return resource;
    }
    return undefined;
  }

  #isOwnAddress(address: string): boolean {
    const node = this.#state.get(`node/${this.#node}`);
    return node?.kind === "node" && node.addresses.includes(address);
  }

  #isIn(id: string, identity: string | undefined, address: string | undefined): boolean {
    const group = this.#state.get(`group/${id}`);
    if (group?.kind !== "group") return false;
    if (identity !== undefined && group.identities.includes(identity)) return true;
    return address !== undefined && group.networks.some((block) => isInBlock(block, address));
  }
}

function isInBlock({ cidr, except }: NetworkBlock, text: string): boolean {
  const address = tryParseAddress(text);
  if (address === undefined || !prefixContains(parsePrefix(cidr), address)) return false;
  return !except.some((hole) => prefixContains(parsePrefix(hole), address));
}

function matchesPorts({ ports }: RuleResource, { protocol, port }: WirePacket): boolean {
  if (ports === "any") return true;
  return ports.some(
    (match) => match.protocol === protocol && match.from <= port && port <= match.to,
  );
}

function inOrderOfTrial(a: RuleResource, b: RuleResource): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1;
  return a.ruleIndex - b.ruleIndex;
}

function verdict(matching: readonly RuleResource[], isolated: boolean): Outcome {
  for (const tier of tiers) {
    const [first] = matching.filter((rule) => rule.tier === tier).toSorted(inOrderOfTrial);
    if (first !== undefined && first.action !== "pass") return first.action;
    if (tier === "networkpolicy" && first === undefined && isolated) return "deny";
  }
  return "allow";
}
