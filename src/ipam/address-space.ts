// Which addresses are taken. A domain's pools are cut into networks, one or more for each zone; a network's addresses go
// to endpoints of its zone, whatever their node. This class only remembers and proposes: the objects in the store are
// the truth, it is filled from them at every start, and what it proposes counts once it has been stored.
//
//   pool 10.128.0.0/14 ──┬── network 10.128.0.0/24 (zone shop)     ── .1 .2 .3 …
//                        └── network 10.128.1.0/24 (zone payments) ── .1 .2 …
//
// A network with a CIDR of each family hands out pairs: the same offset in both.
import {
  type Family,
  type Prefix,
  formatAddress,
  formatPrefix,
  parsePrefix,
  prefixContains,
  tryParseAddress,
  widthOf,
} from "../net/address.ts";
import { formatMac } from "../net/mac.ts";
import { TakenPrefixes } from "./taken-prefixes.ts";

export interface DomainPools {
  readonly pools: readonly string[];
  /** Prefix length of the networks to cut, by family. */
  readonly networkLength: Readonly<Record<Family, number>>;
}

export interface NetworkCidrs {
  readonly domain: string;
  readonly zone: string;
  /** At most one for each family. */
  readonly cidrs: readonly string[];
}

/** What one endpoint holds in a network. */
export interface HeldAddresses {
  readonly network: string;
  readonly addresses: readonly string[];
}

export type Proposal =
  | {
      readonly kind: "addresses";
      readonly network: string;
      readonly addresses: readonly string[];
      readonly mac: string;
    }
  /** Every network of the zone is full: store a network with these CIDRs, then ask again. */
  | { readonly kind: "network"; readonly cidrs: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

/** Larger networks are not filled beyond this many endpoints, so that a scan for a free offset stays short. */
const maxOffsets = 65_536n;

class Network {
  readonly domain: string;
  readonly zone: string;
  readonly prefixes: readonly Prefix[];
  /** Offsets in use, with how many endpoints use each (two only after a conflict made elsewhere). */
  readonly #used = new Map<bigint, number>();
  #next = 1n;

  constructor({ domain, zone, cidrs }: NetworkCidrs) {
    this.domain = domain;
    this.zone = zone;
    this.prefixes = cidrs.map(parsePrefix);
  }

  /** One more than the highest offset to hand out: the last address of an IPv4 network is its broadcast address. */
  get #end(): bigint {
    return this.prefixes.reduce((end, { family, length }) => {
      const size = 1n << BigInt(widthOf(family) - length);
      const usable = family === 4 && size > 1n ? size - 1n : size;
      return usable < end ? usable : end;
    }, maxOffsets);
  }

  /** @returns the address's place in this network, `undefined` outside it. */
  offsetOf(address: string): bigint | undefined {
    const parsed = tryParseAddress(address);
    if (parsed === undefined) return undefined;
    const prefix = this.prefixes.find((candidate) => prefixContains(candidate, parsed));
    return prefix && parsed.bits - prefix.bits;
  }

  count(offset: bigint, change: 1 | -1): void {
    const uses = (this.#used.get(offset) ?? 0) + change;
    if (uses === 0) this.#used.delete(offset);
    else this.#used.set(offset, uses);
  }

  /** Goes round before it hands out an address again, so that a freed address rests as long as can be. */
  freeOffset(): bigint | undefined {
    const end = this.#end;
    if (this.prefixes.length === 0 || BigInt(this.#used.size) >= end - 1n) return undefined;
    for (let tried = 1n; tried < end; tried++) {
      const offset = this.#next;
      this.#next = offset + 1n >= end ? 1n : offset + 1n;
      if (!this.#used.has(offset)) return offset;
    }
    return undefined;
  }

  addressesAt(offset: bigint): string[] {
    return this.prefixes.map(({ family, bits }) => formatAddress({ family, bits: bits + offset }));
  }

  /** Locally administered and unicast; the rest is the first address's low 32 bits, so it can be read off. */
  macAt(offset: bigint): string {
    const low = ((this.prefixes[0]?.bits ?? 0n) + offset) & 0xffff_ffffn;
    return formatMac((0x0a58n << 32n) | low);
  }
}

/** The networks of one domain, found by zone, and the next place to cut one. */
class DomainSpace {
  pools: DomainPools = { pools: [], networkLength: { 4: 24, 6: 64 } };
  readonly zones = new Map<string, Map<string, Network>>();
  readonly #taken: Record<Family, TakenPrefixes> = {
    4: new TakenPrefixes(),
    6: new TakenPrefixes(),
  };

  add(id: string, network: Network): void {
    const zone = this.zones.get(network.zone) ?? new Map<string, Network>();
    this.zones.set(network.zone, zone.set(id, network));
    for (const prefix of network.prefixes) this.#taken[prefix.family].count(prefix, 1);
  }

  /** No more addresses are handed out of the network; its prefixes stay taken. */
  close(id: string, network: Network): void {
    const zone = this.zones.get(network.zone);
    zone?.delete(id);
    if (zone?.size === 0) this.zones.delete(network.zone);
  }

  free(network: Network): void {
    for (const prefix of network.prefixes) this.#taken[prefix.family].count(prefix, -1);
  }

  proposeNetwork(domain: string): Proposal {
    const pools = this.pools.pools.map(parsePrefix);
    const cidrs: string[] = [];
    for (const family of new Set(pools.map((pool) => pool.family))) {
      const own = pools.filter((pool) => pool.family === family);
      const free = this.#taken[family].firstFree(own, this.pools.networkLength[family]);
      if (free === undefined) {
        const reason = `the IPv${family} pools of domain "${domain}" (${own.map(formatPrefix).join(", ")}) are exhausted`;
        return { kind: "refused", reason };
      }
      cidrs.push(formatPrefix(free));
    }
    if (cidrs.length > 0) return { kind: "network", cidrs };
    return { kind: "refused", reason: `domain "${domain}" has no pools` };
  }
}

export class AddressSpace {
  readonly #domains = new Map<string, DomainSpace>();
  readonly #known = new Set<string>();
  readonly #networks = new Map<string, Network>();
  /** Networks that are gone while endpoints still have addresses of them. */
  readonly #closed = new Map<string, Network>();
  /** Endpoint → what it holds, to give it back. */
  readonly #held = new Map<string, HeldAddresses>();
  /** Endpoints by network, also while the network is not known. */
  readonly #holders = new Map<string, Set<string>>();

  setDomain(name: string, pools: DomainPools | undefined): void {
    if (pools === undefined) {
      this.#known.delete(name);
    } else {
      this.#known.add(name);
      this.#domain(name).pools = pools;
    }
  }

  /**
   * A network that goes while endpoints have addresses of it stays taken until the last of them is gone.
   * @throws {AddressError} when a CIDR cannot be read.
   */
  setNetwork(id: string, cidrs: NetworkCidrs | undefined): void {
    const network = cidrs && new Network(cidrs);
    const before = this.#networks.get(id);
    if (before) {
      this.#networks.delete(id);
      this.#domain(before.domain).close(id, before);
      this.#closed.set(id, before);
    }
    if (network === undefined) {
      this.#freeUnheld(id);
      return;
    }
    this.#free(id);
    this.#networks.set(id, network);
    this.#domain(network.domain).add(id, network);
    for (const endpoint of this.#holders.get(id) ?? []) {
      const held = this.#held.get(endpoint);
      if (held) countIn(network, held.addresses, 1);
    }
  }

  setEndpoint(id: string, held: HeldAddresses | undefined): void {
    const before = this.#held.get(id);
    if (before) this.#release(id, before);
    if (held) this.#hold(id, held);
    if (before) this.#freeUnheld(before.network);
  }

  #hold(id: string, held: HeldAddresses): void {
    this.#held.set(id, held);
    const holders = this.#holders.get(held.network) ?? new Set<string>();
    this.#holders.set(held.network, holders.add(id));
    const network = this.#networks.get(held.network);
    if (network) countIn(network, held.addresses, 1);
  }

  /** Addresses for one more endpoint of the zone. Proposing twice without storing gives different addresses. */
  propose(domain: string, zone: string): Proposal {
    if (!this.#known.has(domain)) {
      return { kind: "refused", reason: `domain "${domain}" does not exist` };
    }
    const space = this.#domain(domain);
    for (const [id, network] of space.zones.get(zone) ?? []) {
      const offset = network.freeOffset();
      if (offset === undefined) continue;
      const addresses = network.addressesAt(offset);
      return { kind: "addresses", network: id, addresses, mac: network.macAt(offset) };
    }
    return space.proposeNetwork(domain);
  }

  #domain(name: string): DomainSpace {
    const space = this.#domains.get(name) ?? new DomainSpace();
    this.#domains.set(name, space);
    return space;
  }

  #freeUnheld(id: string): void {
    if (!this.#holders.has(id)) this.#free(id);
  }

  #free(id: string): void {
    const network = this.#closed.get(id);
    if (network === undefined) return;
    this.#closed.delete(id);
    this.#domain(network.domain).free(network);
  }

  #release(id: string, held: HeldAddresses): void {
    this.#held.delete(id);
    const holders = this.#holders.get(held.network);
    holders?.delete(id);
    if (holders?.size === 0) this.#holders.delete(held.network);
    const network = this.#networks.get(held.network);
    if (network) countIn(network, held.addresses, -1);
  }
}

function countIn(network: Network, addresses: readonly string[], change: 1 | -1): void {
  const offsets = new Set(addresses.map((address) => network.offsetOf(address)));
  for (const offset of offsets) if (offset !== undefined) network.count(offset, change);
}
