// Rules in the form that is quick to try: addresses parsed, selectors shared and their answers remembered.
import { matchesDomainName } from "../model/domain-name.ts";
import type { Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { EndpointSelector, LabelSelector, Policy, Rule, Service } from "../model/policy.ts";
import { matchesEndpoint, matchesSelector, selectorId } from "../model/selector.ts";
import {
  type Address,
  type Family,
  formatAddress,
  tryParseAddress,
  tryParsePrefix,
  widthOf,
} from "../net/address.ts";
import type { PortProtocol } from "../net/protocol.ts";

/** An endpoint of a snapshot; `index` numbers them from 0. */
export interface KnownEndpoint {
  readonly index: number;
  readonly endpoint: Endpoint;
  /** `undefined` where the endpoint names a zone that does not exist; then it is closed. */
  readonly zone: Zone | undefined;
  readonly addresses: ReadonlyMap<Family, Address>;
  /** Names that it has looked up, by address in canonical text. */
  readonly lookups: ReadonlyMap<string, readonly string[]>;
}

/** A prefix by its leading bits: one shift and one comparison for an address. */
interface Block {
  readonly family: Family;
  readonly head: bigint;
  readonly shift: bigint;
}

interface Network {
  readonly block: Block;
  readonly except: readonly Block[];
}

interface Peers {
  readonly selectors: readonly SelectorMemo[];
  readonly networks: readonly Network[];
  /** Addresses in canonical text. */
  readonly nodeAddresses: ReadonlySet<string>;
  /** Patterns of domain names. */
  readonly names: readonly string[];
}

export interface CompiledRule {
  readonly rule: Rule;
  readonly peers: Peers | "any";
}

export interface CompiledPolicy {
  readonly policy: Policy;
  readonly ingress: readonly CompiledRule[];
  readonly egress: readonly CompiledRule[];
}

/** What the peer's end of a packet shows to a rule. */
export interface PacketSide {
  readonly endpoint: KnownEndpoint | undefined;
  /** Of the packet's family; `undefined` for an endpoint that has no address yet. */
  readonly address: Address | undefined;
  /** Names under which the subject has looked the address up. */
  readonly names: readonly string[];
}

/** What a packet asks of its destination. */
export interface ServiceQuestion {
  readonly protocol: PortProtocol | "ICMP";
  readonly port: number | undefined;
  readonly destination: Endpoint | undefined;
}

/** A selector with what it answered so far; costs one byte an endpoint once it is asked. */
class SelectorMemo {
  readonly #selector: EndpointSelector;
  readonly #endpointCount: number;
  #answers: Uint8Array | undefined;

  constructor(selector: EndpointSelector, endpointCount: number) {
    this.#selector = selector;
    this.#endpointCount = endpointCount;
  }

  matches(known: KnownEndpoint): boolean {
    this.#answers ??= new Uint8Array(this.#endpointCount);
    const answer = this.#answers[known.index];
    if (answer !== 0) return answer === 2;
    const matched =
      known.zone !== undefined &&
      matchesEndpoint(this.#selector, known.zone, known.endpoint.labels);
    this.#answers[known.index] = matched ? 2 : 1;
    return matched;
  }
}

function compileBlock(cidr: string): Block | undefined {
  const prefix = tryParsePrefix(cidr);
  if (prefix === undefined) return undefined;
  const shift = BigInt(widthOf(prefix.family) - prefix.length);
  return { family: prefix.family, head: prefix.bits >> shift, shift };
}

/** `undefined` where a part cannot be parsed: such a peer matches nothing. */
function compileNetwork(cidr: string, except: readonly string[]): Network | undefined {
  const block = compileBlock(cidr);
  const holes = except.map(compileBlock).filter((hole) => hole !== undefined);
  return block === undefined || holes.length < except.length ? undefined : { block, except: holes };
}

/** Compiles the policies of one snapshot; equal selectors share one memory. */
export class RuleCompiler {
  readonly #endpointCount: number;
  readonly #nodes: readonly Node[];
  readonly #selectors = new Map<string, SelectorMemo>();

  constructor(endpointCount: number, nodes: readonly Node[]) {
    this.#endpointCount = endpointCount;
    this.#nodes = nodes;
  }

  compile(policy: Policy): CompiledPolicy {
    return {
      policy,
      ingress: policy.ingress.map((rule) => this.#compileRule(rule)),
      egress: policy.egress.map((rule) => this.#compileRule(rule)),
    };
  }

  #compileRule(rule: Rule): CompiledRule {
    if (rule.peers === "any") return { rule, peers: "any" };
    const selectors: SelectorMemo[] = [];
    const networks: Network[] = [];
    const nodeAddresses = new Set<string>();
    const names: string[] = [];
    for (const peer of rule.peers) {
      if (peer.kind === "endpoints") selectors.push(this.#memoOf(peer));
      if (peer.kind === "network") {
        const network = compileNetwork(peer.cidr, peer.except);
        if (network !== undefined) networks.push(network);
      }
      if (peer.kind === "nodes") {
        for (const address of this.#addressesOf(peer.selector)) nodeAddresses.add(address);
      }
      if (peer.kind === "domains") names.push(...peer.names);
    }
    return { rule, peers: { selectors, networks, nodeAddresses, names } };
  }

  #addressesOf(selector: LabelSelector): readonly string[] {
    return this.#nodes
      .filter(({ labels }) => matchesSelector(selector, labels))
      .flatMap(({ knownAddresses }) => knownAddresses)
      .map(tryParseAddress)
      .filter((address) => address !== undefined)
      .map(formatAddress);
  }

  #memoOf(selector: EndpointSelector): SelectorMemo {
    const id = selectorId(selector);
    const known = this.#selectors.get(id);
    if (known !== undefined) return known;
    const memo = new SelectorMemo(selector, this.#endpointCount);
    this.#selectors.set(id, memo);
    return memo;
  }
}

function inBlock(block: Block, address: Address): boolean {
  return block.family === address.family && address.bits >> block.shift === block.head;
}

function inNetwork(network: Network, address: Address): boolean {
  return (
    inBlock(network.block, address) && !network.except.some((block) => inBlock(block, address))
  );
}

function matchesPeers(peers: Peers | "any", side: PacketSide): boolean {
  if (peers === "any") return true;
  const { endpoint, address, names } = side;
  if (endpoint !== undefined && peers.selectors.some((memo) => memo.matches(endpoint))) return true;
  if (address === undefined) return false;
  return (
    peers.networks.some((network) => inNetwork(network, address)) ||
    (peers.nodeAddresses.size > 0 && peers.nodeAddresses.has(formatAddress(address))) ||
    names.some((name) => peers.names.some((pattern) => matchesDomainName(pattern, name)))
  );
}

export function matchesService(service: Service, question: ServiceQuestion): boolean {
  if (service.kind === "invalid" || service.protocol !== question.protocol) return false;
  const { port, destination } = question;
  switch (service.kind) {
    case "protocol":
      return true;
    case "ports":
      return port !== undefined && service.from <= port && port <= service.to;
    case "named":
      return (
        destination?.namedPorts.some(
          (named) =>
            named.name === service.name &&
            named.protocol === service.protocol &&
            named.port === port,
        ) ?? false
      );
  }
}

export function matchesRule(
  compiled: CompiledRule,
  peer: PacketSide,
  question: ServiceQuestion,
): boolean {
  const { services } = compiled.rule;
  return (
    (services === "any" || services.some((service) => matchesService(service, question))) &&
    matchesPeers(compiled.peers, peer)
  );
}
