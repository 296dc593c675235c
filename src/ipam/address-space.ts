// Which addresses there are and who has them. A domain's pools are cut into networks, one or more for each zone; a
// network's addresses go to endpoints of its zone, whatever their node. This is a picture of what the store holds, filled
// from it at every start; what may be given out is decided together with the ledgers that the store keeps.
//
//   pool 10.128.0.0/14 ──┬── network 10.128.0.0/24 (zone shop)     ── .1 .2 .3 …
//                        └── network 10.128.1.0/24 (zone payments) ── .1 .2 …
//
// A network with a CIDR of each family hands out pairs: the same place in both.
import {
  type Address,
  type Family,
  type Prefix,
  formatAddress,
  formatPrefix,
  parsePrefix,
  prefixContains,
  prefixOf,
} from "../net/address.ts";
import { type NetworkCidrs, SpaceNetwork } from "./space-network.ts";
import { TakenPrefixes } from "./taken-prefixes.ts";

export interface DomainPools {
  readonly pools: readonly string[];
  /** Prefix length of the networks to cut, by family. */
  readonly networkLength: Readonly<Record<Family, number>>;
}

/** What one endpoint holds. */
export interface HeldAddresses {
  readonly domain: string;
  /** `undefined` for addresses that no network of the space has given. */
  readonly network: string | undefined;
  readonly addresses: readonly string[];
}

/** Which part of the pools a network is to be cut from. */
export interface CutWish {
  /** Within these prefixes of the pools; anywhere in the pools when absent. */
  readonly pools?: readonly Prefix[] | undefined;
  /** So that it contains these, at most one of each family. */
  readonly around?: readonly Address[] | undefined;
}

export interface DomainCuts {
  readonly networks: number;
  readonly pools: readonly { readonly cidr: string; readonly networks: number }[];
}

/** How full a domain is. */
export interface DomainFill {
  readonly domain: string;
  /** Of all its networks. */
  readonly places: number;
  /** Which share of each pool its networks have, 0 to 1. */
  readonly pools: readonly { readonly cidr: string; readonly cut: number }[];
}

export type Cut =
  | { readonly kind: "cut"; readonly cidrs: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

/** The networks of a zone in one domain. */
interface ZoneNetworks {
  readonly all: Map<string, SpaceNetwork>;
  /** Those that are not known to be full. */
  readonly open: Map<string, SpaceNetwork>;
}

/** One domain: its networks, found by zone, and which parts of its pools are in use. */
class DomainSpace {
  pools: DomainPools = { pools: [], networkLength: { 4: 24, 6: 64 } };
  networks = 0;
  /** Pool → how many networks have a part of it. */
  readonly cuts = new Map<string, number>();
  /** What of each pool is cut, as a share of it. */
  readonly shares = new Map<string, number>();
  /** Of all networks. */
  places = 0;
  readonly zones = new Map<string, ZoneNetworks>();
  readonly taken: Record<Family, TakenPrefixes> = {
    4: new TakenPrefixes(),
    6: new TakenPrefixes(),
  };
  /** What the networks have of it, apart from what is promised or rests. */
  readonly cut: Record<Family, TakenPrefixes> = { 4: new TakenPrefixes(), 6: new TakenPrefixes() };
  /** Parts of the pools that are promised or rest. */
  claims = new Set<string>();
  /** Address → the endpoints that have it without a network. */
  readonly loose = new Map<string, Set<string>>();
  /** Prefix length → first address → network, by family: whose an address is. */
  readonly #byPrefix: Record<Family, Map<number, Map<bigint, SpaceNetwork>>> = {
    4: new Map(),
    6: new Map(),
  };

  networkAround(address: Address): SpaceNetwork | undefined {
    for (const [length, networks] of this.#byPrefix[address.family]) {
      const network = networks.get(prefixOf(address, length).bits);
      if (network) return network;
    }
    return undefined;
  }

  add(network: SpaceNetwork): void {
    const zone = this.zones.get(network.zone) ?? { all: new Map(), open: new Map() };
    this.zones.set(network.zone, zone);
    zone.all.set(network.id, network);
    zone.open.set(network.id, network);
    this.networks += 1;
    this.places += network.capacity;
    this.#countCuts(network, 1);
    for (const prefix of network.prefixes) {
      this.taken[prefix.family].count(prefix, 1);
      this.cut[prefix.family].count(prefix, 1);
      const networks = this.#byPrefix[prefix.family].get(prefix.length) ?? new Map();
      this.#byPrefix[prefix.family].set(prefix.length, networks.set(prefix.bits, network));
    }
  }

  /** No more addresses are handed out of the network; its prefixes stay taken. */
  close(network: SpaceNetwork): void {
    const { id, zone } = network;
    for (const { family, length, bits } of network.prefixes) {
      this.cut[family].count({ family, length, bits }, -1);
      const byBits = this.#byPrefix[family].get(length);
      if (byBits?.get(bits) === network) byBits.delete(bits);
      if (byBits?.size === 0) this.#byPrefix[family].delete(length);
    }
    this.networks -= 1;
    this.places -= network.capacity;
    this.#countCuts(network, -1);
    const networks = this.zones.get(zone);
    networks?.all.delete(id);
    networks?.open.delete(id);
    if (networks?.all.size === 0) this.zones.delete(zone);
  }

  free(network: SpaceNetwork): void {
    for (const prefix of network.prefixes) this.taken[prefix.family].count(prefix, -1);
  }

  setClaims(cidrs: Iterable<string>): void {
    const claims = new Set(cidrs);
    for (const cidr of claims) if (!this.claims.has(cidr)) this.#countClaim(cidr, 1);
    for (const cidr of this.claims) if (!claims.has(cidr)) this.#countClaim(cidr, -1);
    this.claims = claims;
  }

  setPools(pools: DomainPools): boolean {
    if (JSON.stringify(pools) === JSON.stringify(this.pools)) return false;
    this.pools = pools;
    this.cuts.clear();
    this.shares.clear();
    for (const { all } of this.zones.values()) {
      for (const network of all.values()) this.#countCuts(network, 1);
    }
    return true;
  }

  #countCuts({ prefixes }: SpaceNetwork, change: 1 | -1): void {
    for (const pool of this.pools.pools) {
      const prefix = parsePrefix(pool);
      const parts = prefixes.filter((part) => prefixContains(prefix, part));
      if (parts.length === 0) continue;
      this.cuts.set(pool, (this.cuts.get(pool) ?? 0) + change);
      const share = parts.reduce((sum, part) => sum + 2 ** (prefix.length - part.length), 0);
      this.shares.set(pool, (this.shares.get(pool) ?? 0) + change * share);
    }
  }

  #countClaim(cidr: string, change: 1 | -1): void {
    const prefix = parsePrefix(cidr);
    this.taken[prefix.family].count(prefix, change);
  }
}

export class AddressSpace {
  readonly #domains = new Map<string, DomainSpace>();
  readonly #known = new Set<string>();
  readonly #networks = new Map<string, SpaceNetwork>();
  /** Networks that are gone while endpoints still have addresses of them. */
  readonly #closed = new Map<string, SpaceNetwork>();
  /** Endpoint → what it holds, to give it back. */
  readonly #held = new Map<string, HeldAddresses>();
  /** Endpoints by network, also while the network is not known. */
  readonly #holders = new Map<string, Set<string>>();

  /** @returns whether the domain has other pools now */
  setDomain(name: string, pools: DomainPools | undefined): boolean {
    if (pools === undefined) return this.#known.delete(name);
    const isNew = !this.#known.has(name);
    this.#known.add(name);
    return this.#domain(name).setPools(pools) || isNew;
  }

  /** How many networks the domain has, and how many have a part of each of its pools. */
  usageOf(name: string): DomainCuts {
    const { networks, cuts, pools } = this.#domain(name);
    return {
      networks,
      pools: pools.pools.map((cidr) => ({ cidr, networks: cuts.get(cidr) ?? 0 })),
    };
  }

  /** Of all domains that are known. */
  fill(): readonly DomainFill[] {
    return Array.from(this.#known, (domain) => {
      const { places, pools, shares } = this.#domain(domain);
      const of = pools.pools.map((cidr) => ({ cidr, cut: shares.get(cidr) ?? 0 }));
      return { domain, places, pools: of };
    });
  }

  /** Parts of the domain's pools that are promised to networks to come, or rest. @throws {AddressError} */
  setClaims(domain: string, cidrs: Iterable<string>): void {
    this.#domain(domain).setClaims(cidrs);
  }

  /**
   * A network that goes while endpoints have addresses of it stays taken until the last of them is gone.
   * @throws {AddressError} when a CIDR cannot be read.
   */
  setNetwork(id: string, cidrs: NetworkCidrs | undefined): SpaceNetwork | undefined {
    const network = cidrs && new SpaceNetwork(id, cidrs);
    const before = this.#networks.get(id);
    if (before) {
      this.#networks.delete(id);
      this.#domain(before.domain).close(before);
      this.#closed.set(id, before);
    }
    if (network === undefined) {
      this.#freeUnheld(id);
      return undefined;
    }
    this.#free(id);
    this.#networks.set(id, network);
    this.#domain(network.domain).add(network);
    for (const endpoint of this.#holders.get(id) ?? []) {
      const held = this.#held.get(endpoint);
      if (held) network.hold(endpoint, held.addresses);
    }
    return network;
  }

  network(id: string): SpaceNetwork | undefined {
    return this.#networks.get(id);
  }

  /** The domain's networks that overlap these prefixes: O(networks) when there is one, else O(distinct lengths). */
  overlapping(domain: string, prefixes: readonly Prefix[]): SpaceNetwork[] {
    const space = this.#domain(domain);
    if (prefixes.every((prefix) => space.cut[prefix.family].isFree(prefix))) return [];
    const overlaps = (one: Prefix): boolean =>
      prefixes.some((other) => prefixContains(one, other) || prefixContains(other, one));
    return [...space.zones.values()]
      .flatMap(({ all }) => [...all.values()])
      .filter((network) => network.prefixes.some(overlaps));
  }

  /** The first of these prefixes that is in none of the domain's pools, as far as those are known. */
  outsidePools(domain: string, prefixes: readonly Prefix[]): Prefix | undefined {
    if (!this.#known.has(domain)) return undefined;
    const pools = this.#domain(domain).pools.pools.map(parsePrefix);
    return prefixes.find((prefix) => !pools.some((pool) => prefixContains(pool, prefix)));
  }

  /** Whether places may be free in the network; one that is full is passed over. */
  setOpen(id: string, open: boolean): void {
    const network = this.#networks.get(id);
    const zone = network && this.#domains.get(network.domain)?.zones.get(network.zone);
    if (network === undefined || zone === undefined) return;
    if (!open) zone.open.delete(id);
    else if (!zone.open.has(id)) zone.open.set(id, network);
  }

  isOpen(id: string): boolean {
    const network = this.#networks.get(id);
    const zone = network && this.#domains.get(network.domain)?.zones.get(network.zone);
    return zone?.open.has(id) === true;
  }

  /** The zone's networks in the domain that are not known to be full. */
  openNetworks(domain: string, zone: string): Iterable<SpaceNetwork> {
    return this.#domains.get(domain)?.zones.get(zone)?.open.values() ?? [];
  }

  setEndpoint(id: string, held: HeldAddresses | undefined): void {
    const before = this.#held.get(id);
    if (before) this.#release(id, before);
    if (held) this.#hold(id, held);
    if (before?.network !== undefined) this.#freeUnheld(before.network);
  }

  /** The network of the domain that contains the address, whatever its zone. */
  networkAround(domain: string, address: Address): SpaceNetwork | undefined {
    return this.#domains.get(domain)?.networkAround(address);
  }

  /** Endpoints of the domain that have this address. */
  holdersOf(domain: string, address: Address): readonly string[] {
    const text = formatAddress(address);
    const network = this.networkAround(domain, address);
    const offset = network?.offsetOf(text);
    const inNetwork = network && offset !== undefined ? network.holdersOf(offset) : [];
    return [...inNetwork, ...(this.#domains.get(domain)?.loose.get(text) ?? [])];
  }

  /** Whether the address lies in the domain's pools. */
  isInPools(domain: string, address: Address): boolean {
    const { pools } = this.#domain(domain).pools;
    return pools.some((pool) => prefixContains(parsePrefix(pool), address));
  }

  /** Searches for parts of the pools go on behind these; from the first pool's beginning where there are none. */
  continueBehind(domain: string, cidrs: readonly string[]): void {
    const { taken } = this.#domain(domain);
    const prefixes = cidrs.map(parsePrefix);
    for (const family of [4, 6] as const) {
      taken[family].continueBehind(prefixes.find((prefix) => prefix.family === family));
    }
  }

  /** CIDRs for one more network, of each family that the pools have. Cutting twice gives the same. */
  cut(domain: string, wish: CutWish = {}): Cut {
    if (!this.#known.has(domain)) {
      return { kind: "refused", reason: `domain "${domain}" does not exist` };
    }
    const space = this.#domain(domain);
    const pools = space.pools.pools.map(parsePrefix);
    const outside = wish.pools?.find((part) => !pools.some((pool) => prefixContains(pool, part)));
    if (outside) {
      const reason = `${formatPrefix(outside)} is not in the pools of domain "${domain}" (${list(pools)})`;
      return { kind: "refused", reason };
    }
    const parts = wish.pools ?? pools;
    const cidrs: string[] = [];
    for (const family of new Set(parts.map((part) => part.family))) {
      const own = parts.filter((part) => part.family === family);
      const around = wish.around?.find((address) => address.family === family);
      const free = around ? cutAround(space, own, around) : cutNext(space, family, own);
      if (free === undefined) return { kind: "refused", reason: noRoom(domain, own, around) };
      cidrs.push(formatPrefix(free));
    }
    if (cidrs.length > 0) return { kind: "cut", cidrs };
    return { kind: "refused", reason: `domain "${domain}" has no pools` };
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

  #hold(id: string, held: HeldAddresses): void {
    this.#held.set(id, held);
    if (held.network === undefined) {
      const { loose } = this.#domain(held.domain);
      for (const address of held.addresses) {
        loose.set(address, (loose.get(address) ?? new Set()).add(id));
      }
      return;
    }
    const holders = this.#holders.get(held.network) ?? new Set<string>();
    this.#holders.set(held.network, holders.add(id));
    this.#networks.get(held.network)?.hold(id, held.addresses);
  }

  #release(id: string, held: HeldAddresses): void {
    this.#held.delete(id);
    if (held.network === undefined) {
      const { loose } = this.#domain(held.domain);
      for (const address of held.addresses) {
        const holders = loose.get(address);
        holders?.delete(id);
        if (holders?.size === 0) loose.delete(address);
      }
      return;
    }
    const holders = this.#holders.get(held.network);
    holders?.delete(id);
    if (holders?.size === 0) this.#holders.delete(held.network);
    this.#networks.get(held.network)?.release(id, held.addresses);
  }
}

function list(prefixes: readonly Prefix[]): string {
  return prefixes.map(formatPrefix).join(", ");
}

function cutNext(space: DomainSpace, family: Family, pools: readonly Prefix[]): Prefix | undefined {
  return space.taken[family].nextFree(pools, space.pools.networkLength[family]);
}

function cutAround(
  space: DomainSpace,
  pools: readonly Prefix[],
  address: Address,
): Prefix | undefined {
  const pool = pools.find((each) => prefixContains(each, address));
  if (pool === undefined) return undefined;
  const length = Math.max(space.pools.networkLength[address.family], pool.length);
  const candidate = prefixOf(address, length);
  return space.taken[address.family].isFree(candidate) ? candidate : undefined;
}

function noRoom(domain: string, pools: readonly Prefix[], around: Address | undefined): string {
  const family = pools[0]?.family ?? 4;
  if (around === undefined) {
    return `the IPv${family} pools of domain "${domain}" (${list(pools)}) are exhausted`;
  }
  const address = formatAddress(around);
  return pools.some((pool) => prefixContains(pool, around))
    ? `no network can be made around ${address}: a part of it is in use or rests`
    : `${address} is not in the pools (${list(pools)})`;
}
