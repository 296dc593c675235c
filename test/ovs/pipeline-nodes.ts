// A cluster's nodes, each with its pipeline on a bridge of its own, and packets that are followed from one to the other.
import { Compute } from "../../src/compute/graph.ts";
import type { Cluster } from "../../src/kubernetes/cluster.ts";
import {
  type Address,
  type Family,
  formatAddress,
  tryParseAddress,
} from "../../src/net/address.ts";
import type { Endpoint } from "../../src/model/endpoint.ts";
import { formatMac } from "../../src/net/mac.ts";
import type { Protocol } from "../../src/net/protocol.ts";
import type { LocalFact } from "../../src/pipeline/fact.ts";
import { routerMac } from "../../src/pipeline/neighbour.ts";
import { LocalNumbers } from "../../src/pipeline/numbers.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Packet, PacketEnd } from "../../src/policy/packet.ts";
import type { Lookup } from "../../src/policy/policy-model.ts";
import type { Resource } from "../../src/southbound/resources.ts";
import type { OpenVswitch } from "./open-vswitch.ts";
import { type Trace, TracedBridge } from "./traced-bridge.ts";

const gatewayPort = 100;
const tunnelPort = 200;
const gatewayMac = "0a:00:00:00:ff:01";

/** Says of every protocol how ovs-fields(7) calls it and its destination port. */
const protocolFields = {
  TCP: { 4: "tcp", 6: "tcp6", port: "tcp_dst" },
  UDP: { 4: "udp", 6: "udp6", port: "udp_dst" },
  SCTP: { 4: "sctp", 6: "sctp6", port: "sctp_dst" },
  ICMP: { 4: "icmp,icmp_type=8", 6: "icmp6,icmpv6_type=128", port: undefined },
} as const satisfies Record<Protocol, unknown>;

/** Where a packet goes into a bridge, or comes out of it. */
type Entry =
  | { readonly kind: "port"; readonly ofport: number; readonly mac: string }
  | { readonly kind: "tunnel"; readonly source: string; readonly vni: number };

export interface Journey {
  /** On the first node, then on the second if it got there. */
  readonly traces: readonly { readonly node: string; readonly trace: Trace }[];
  readonly arrived: boolean;
}

function leftOut<Item extends { readonly kind: string; readonly id: string }>(
  before: readonly Item[],
  after: readonly Item[],
): readonly Item[] {
  const kept = new Set(after.map(({ kind, id }) => `${kind} ${id}`));
  return before.filter(({ kind, id }) => !kept.has(`${kind} ${id}`));
}

/** One node, told only what changes. */
class PipelineNode {
  readonly name: string;
  readonly bridge: TracedBridge;
  readonly #numbers = new LocalNumbers();
  readonly #pipeline: Pipeline;
  #resources: readonly Resource[] = [];
  #facts: readonly LocalFact[] = [];

  constructor(bridge: TracedBridge) {
    this.name = bridge.name;
    this.bridge = bridge;
    this.#pipeline = new Pipeline({ node: bridge.name, numbers: this.#numbers });
  }

  /** @throws {Error} when the switch refuses a flow. */
  async update(resources: readonly Resource[], facts: readonly LocalFact[]): Promise<void> {
    const deletes = leftOut(this.#resources, resources);
    await this.bridge.change(this.#pipeline.apply({ upserts: resources, deletes }));
    const gone = leftOut(this.#facts, facts);
    await this.bridge.change(this.#pipeline.applyLocal({ upserts: facts, deletes: gone }));
    this.#resources = resources;
    this.#facts = facts;
  }

  /** The rule or posture that a number stands for. */
  resource<Kind extends "rule" | "posture">(
    kind: Kind,
    number: number,
  ): Extract<Resource, { kind: Kind }> | undefined {
    const numbered = kind === "rule" ? "rule" : "identity";
    const id = [...this.#numbers.entries()].find(
      (entry) => entry.kind === numbered && entry.number === number,
    )?.key;
    return this.#resources.find(
      (each): each is Extract<Resource, { kind: Kind }> => each.kind === kind && each.id === id,
    );
  }

  get flows(): number {
    return this.#pipeline.length;
  }
}

/** What the node's own endpoints have looked up. */
function lookupFacts(lookups: readonly Lookup[], cluster: Cluster, node: string): LocalFact[] {
  const local = new Set(cluster.endpoints.filter((each) => each.node === node).map(({ id }) => id));
  const byId = Map.groupBy(
    lookups.filter(({ endpoint }) => local.has(endpoint)),
    ({ endpoint, address }) => `${endpoint} ${address}`,
  );
  return [...byId].flatMap(([id, [first, ...more]]) =>
    first === undefined
      ? []
      : [
          {
            kind: "lookup" as const,
            id,
            endpoint: first.endpoint,
            address: first.address,
            names: [first, ...more].map(({ name }) => name),
          },
        ],
  );
}

export class PipelineNodes implements AsyncDisposable {
  readonly #nodes = new Map<string, PipelineNode>();
  readonly #ofports = new Map<string, number>();
  #cluster: Cluster | undefined;

  /** Bridges for so many nodes with so many endpoints each. */
  static async create(
    ovs: OpenVswitch,
    nodes: readonly string[],
    endpoints: number,
  ): Promise<PipelineNodes> {
    const created = new PipelineNodes();
    for (const [index, node] of nodes.entries()) {
      const plain = [...Array.from({ length: endpoints }, (_, i) => i + 1), gatewayPort];
      const options = { plain, tunnel: tunnelPort, udpPort: 4789 + index };
      created.#nodes.set(node, new PipelineNode(await TracedBridge.create(ovs, node, options)));
    }
    return created;
  }

  /** Puts the cluster in force on all bridges. @throws {Error} when a switch refuses a flow. */
  async load(described: Cluster, lookups: readonly Lookup[] = []): Promise<void> {
    const cluster = { ...described, endpoints: described.endpoints.map(withMac) };
    const compute = new Compute();
    for (const zone of cluster.zones) compute.setZone(zone.name, zone);
    for (const domain of cluster.domains) compute.setDomain(domain.name, domain);
    for (const node of cluster.nodes) compute.setNode(node.name, node);
    for (const endpoint of cluster.endpoints) compute.setEndpoint(endpoint.id, endpoint);
    for (const policy of cluster.policies) compute.setPolicy(policy.id, policy);
    compute.flush();
    this.#cluster = cluster;
    this.#ofports.clear();
    for (const node of this.#nodes.values()) {
      const resources = compute.stateOf(node.name).toDelta().upserts;
      await node.update(resources, [
        ...this.#localFacts(node.name),
        ...lookupFacts(lookups, cluster, node.name),
      ]);
    }
  }

  #localFacts(node: string): LocalFact[] {
    const facts: LocalFact[] = [{ kind: "tunnel", id: "tunnel", ofport: tunnelPort }];
    for (const { name } of this.#cluster?.domains ?? []) {
      facts.push({ kind: "gateway", id: name, ofport: gatewayPort, mac: gatewayMac });
    }
    const local = (this.#cluster?.endpoints ?? []).filter((endpoint) => endpoint.node === node);
    for (const [index, { id }] of local.entries()) {
      facts.push({ kind: "port", id, ofport: index + 1 });
      this.#ofports.set(id, index + 1);
    }
    return facts;
  }

  node(name: string): PipelineNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  /** Follows a packet that opens a connection; `undefined` for one that nobody can send or address, or that never leaves. */
  async send(packet: Packet): Promise<Journey | undefined> {
    const { family = 4 } = packet;
    const source = this.#named(packet.source);
    const destination = this.#named(packet.destination);
    // One who is named by an address uses that one.
    const from = this.#addressOf(packet.source, family);
    const to = this.#addressOf(packet.destination, family);
    const start = this.#nodeOf(source) ?? this.#nodeOf(destination);
    if (from === undefined || to === undefined || start === undefined) return undefined;
    // An endpoint's packets to itself do not reach its port.
    if (source.kind === "endpoint" && source.id === this.#endpoint(destination)?.id)
      return undefined;
    const first = this.#entryOf(source);
    const text = describePacket(packet, from, to);
    const trace = await this.#trace(start, first, text);
    const traces = [{ node: start, trace }];
    const [output] = trace.outputs;
    if (output !== tunnelPort) {
      return { traces, arrived: output !== undefined && output === this.#exitOf(destination) };
    }
    const end = this.#nodeWithVtep(trace);
    const domain = this.#cluster?.domains[0];
    const own = this.#cluster?.nodes.find(({ name }) => name === start)?.addresses[0];
    if (end === undefined || domain === undefined || own === undefined) {
      return { traces, arrived: false };
    }
    const second = await this.#trace(end, { kind: "tunnel", source: own, vni: domain.vni }, text);
    traces.push({ node: end, trace: second });
    return { traces, arrived: second.outputs[0] === this.#exitOf(destination) };
  }

  async #trace(node: string, entry: Entry, packet: string): Promise<Trace> {
    const { bridge } = this.node(node);
    const way =
      entry.kind === "port"
        ? `in_port=${entry.ofport},dl_src=${entry.mac}`
        : `in_port=${tunnelPort},tun_src=${entry.source},tun_id=${entry.vni},dl_src=${formatMac(routerMac)}`;
    return await bridge.trace(`${way},dl_dst=${formatMac(routerMac)},${packet}`, "trk,new");
  }

  #nodeWithVtep(trace: Trace): string | undefined {
    const vtep = /tun_dst=([0-9.]+)/.exec(trace.final)?.[1];
    return this.#cluster?.nodes.find(({ addresses }) => addresses[0] === vtep)?.name;
  }

  /** What an address belongs to, if it is somebody's. */
  #named(end: PacketEnd): PacketEnd {
    if (end.kind !== "address") return end;
    const text = canonical(end.address);
    const has = ({ addresses }: { readonly addresses: readonly string[] }): boolean =>
      addresses.some((address) => canonical(address) === text);
    const endpoint = this.#cluster?.endpoints.find(has);
    if (endpoint !== undefined) return { kind: "endpoint", id: endpoint.id };
    const [node, another] = this.#cluster?.nodes.filter(has) ?? [];
    return node === undefined || another !== undefined ? end : { kind: "node", name: node.name };
  }

  #endpoint(end: PacketEnd): Endpoint | undefined {
    return end.kind === "endpoint"
      ? this.#cluster?.endpoints.find(({ id }) => id === end.id)
      : undefined;
  }

  #addressOf(end: PacketEnd, family: Family): Address | undefined {
    if (end.kind === "address") return tryParseAddress(end.address);
    const addresses =
      end.kind === "endpoint"
        ? this.#endpoint(end)?.addresses
        : this.#cluster?.nodes.find(({ name }) => name === end.name)?.addresses;
    return addresses
      ?.map((text) => tryParseAddress(text))
      .find((address) => address?.family === family);
  }

  #nodeOf(end: PacketEnd): string | undefined {
    return end.kind === "node" ? end.name : this.#endpoint(end)?.node;
  }

  #entryOf(source: PacketEnd): Entry {
    const endpoint = this.#endpoint(source);
    const ofport = this.#ofports.get(endpoint?.id ?? "");
    if (endpoint === undefined || ofport === undefined) {
      return { kind: "port", ofport: gatewayPort, mac: gatewayMac };
    }
    return { kind: "port", ofport, mac: endpoint.mac };
  }

  #exitOf(destination: PacketEnd): number {
    return this.#ofports.get(this.#endpoint(destination)?.id ?? "") ?? gatewayPort;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { bridge } of this.#nodes.values()) await bridge[Symbol.asyncDispose]();
  }
}

function canonical(text: string): string {
  const address = tryParseAddress(text);
  return address === undefined ? text : formatAddress(address);
}

/** Described endpoints need none, real ones do. */
function withMac(endpoint: Endpoint, index: number): Endpoint {
  return { ...endpoint, mac: endpoint.mac || formatMac(0x0a_00_00_00_00_00n + BigInt(index + 1)) };
}

/** In the words of ovs-fields(7). */
function describePacket(packet: Packet, from: Address, to: Address): string {
  const { protocol, destinationPort } = packet;
  const names = protocolFields[protocol];
  const prefix = from.family === 4 ? "nw" : "ipv6";
  const port = names.port === undefined ? "" : `,${names.port}=${destinationPort ?? 0}`;
  const ends = `${prefix}_src=${formatAddress(from)},${prefix}_dst=${formatAddress(to)}`;
  return `${names[from.family]},${ends},nw_ttl=64${port}`;
}
