import {
  type Prefix,
  formatAddress,
  parsePrefix,
  prefixContains,
  tryParseAddress,
  widthOf,
} from "../net/address.ts";
import { formatMac } from "../net/mac.ts";
import { type OffsetRange, offsetLimit } from "./network-ledger.ts";

export interface NetworkCidrs {
  readonly domain: string;
  readonly zone: string;
  /** At most one for each family. */
  readonly cidrs: readonly string[];
}

/** A network's addresses by their places in it: the same place in a CIDR of each family makes a pair. */
export class SpaceNetwork {
  readonly id: string;
  readonly domain: string;
  readonly zone: string;
  readonly prefixes: readonly Prefix[];
  /** The places that are given out. */
  readonly range: OffsetRange;
  /** Where the search for a free place goes on, so that one that was given back rests as long as can be. */
  next = 0;
  /** Place → the endpoints that have an address there; more than one only after a conflict made elsewhere. */
  readonly #holders = new Map<number, string | Set<string>>();

  /** @throws {AddressError} when a CIDR cannot be read. */
  constructor(id: string, { domain, zone, cidrs }: NetworkCidrs) {
    this.id = id;
    this.domain = domain;
    this.zone = zone;
    this.prefixes = cidrs.map(parsePrefix);
    this.range = rangeOf(this.prefixes);
  }

  get capacity(): number {
    return this.range.end - this.range.begin;
  }

  /** @returns the address's place, `undefined` for one that is outside or lies behind all that is given out. */
  offsetOf(address: string): number | undefined {
    const parsed = tryParseAddress(address);
    const prefix = parsed && this.prefixes.find((candidate) => prefixContains(candidate, parsed));
    if (parsed === undefined || prefix === undefined) return undefined;
    const offset = parsed.bits - prefix.bits;
    return offset < BigInt(offsetLimit) ? Number(offset) : undefined;
  }

  contains(address: string): boolean {
    const parsed = tryParseAddress(address);
    return parsed !== undefined && this.prefixes.some((prefix) => prefixContains(prefix, parsed));
  }

  isHeld(offset: number): boolean {
    return this.#holders.has(offset);
  }

  holdersOf(offset: number): readonly string[] {
    const holders = this.#holders.get(offset);
    if (holders === undefined) return [];
    return typeof holders === "string" ? [holders] : [...holders];
  }

  heldOffsets(): Iterable<number> {
    return this.#holders.keys();
  }

  hold(endpoint: string, addresses: readonly string[]): void {
    for (const offset of this.offsetsOf(addresses)) {
      const holders = this.#holders.get(offset);
      if (holders === undefined || holders === endpoint) this.#holders.set(offset, endpoint);
      else if (typeof holders === "string") this.#holders.set(offset, new Set([holders, endpoint]));
      else holders.add(endpoint);
    }
  }

  release(endpoint: string, addresses: readonly string[]): void {
    for (const offset of this.offsetsOf(addresses)) {
      const holders = this.#holders.get(offset);
      if (typeof holders === "object") holders.delete(endpoint);
      if (holders === endpoint || (typeof holders === "object" && holders.size === 0)) {
        this.#holders.delete(offset);
      }
    }
  }

  offsetsOf(addresses: readonly string[]): Set<number> {
    const offsets = addresses.map((address) => this.offsetOf(address));
    return new Set(offsets.filter((offset) => offset !== undefined));
  }

  addressesAt(offset: number): string[] {
    return this.prefixes.map(({ family, bits }) =>
      formatAddress({ family, bits: bits + BigInt(offset) }),
    );
  }
}

/** Locally administered and unicast; the rest is the first address's low 32 bits, so it can be read off. */
export function macOf(addresses: readonly string[]): string {
  const [first = "0.0.0.0"] = addresses;
  const low = (tryParseAddress(first)?.bits ?? 0n) & 0xffff_ffffn;
  return formatMac((0x0a58n << 32n) | low);
}

/**
 * Without the first address, which means the network, and without the last one of IPv4, its broadcast address; a network
 * of one or two addresses has neither (RFC 3021).
 */
function rangeOf(prefixes: readonly Prefix[]): OffsetRange {
  let begin = 0;
  let end = BigInt(offsetLimit);
  for (const { family, length } of prefixes) {
    const size = 1n << BigInt(widthOf(family) - length);
    if (size > 2n) begin = 1;
    const usable = family === 4 && size > 2n ? size - 1n : size;
    if (usable < end) end = usable;
  }
  return prefixes.length === 0
    ? { begin: 0, end: 0 }
    : { begin, end: Math.max(begin, Number(end)) };
}
