// The pools that Services are given addresses and node ports of. What is given out is a key in the store, with the Service
// that has it: the store alone knows what is free.
import { randomInt } from "node:crypto";
import { type IpFamily, familyOf } from "../kinds/service-addresses.ts";
import {
  type Address,
  type Prefix,
  formatAddress,
  formatPrefix,
  parsePrefix,
  prefixContains,
  tryParseAddress,
  widthOf,
} from "../net/address.ts";
import type { KeyValue, Store } from "../store/store.ts";
import { NumberRange } from "./number-range.ts";

/** Where Services' addresses and node ports come from. */
export interface ServiceNetwork {
  /** One CIDR of each family in use; the first one's is the family of Services that do not ask for one. */
  readonly cidrs: readonly string[];
  /** Both ends included. */
  readonly nodePorts: { readonly from: number; readonly to: number };
}

export const defaultServiceNetwork: ServiceNetwork = {
  cidrs: ["10.96.0.0/16", "fd00:10:96::/112"],
  nodePorts: { from: 30_000, to: 32_767 },
};

/** The first address of the first pool: the API server's. @throws {AddressError | RangeError} */
export function firstServiceAddress({ cidrs }: ServiceNetwork): string {
  const [first] = cidrs;
  if (first === undefined) throw new RangeError("expected a CIDR for Services, got none");
  return formatAddress(addressAt(parsePrefix(first), 0));
}

/** Every key of what is given out begins so. It is outside the registry of objects. */
export const reservationPrefix = "/services/";
const addressPrefix = `${reservationPrefix}addresses/`;
const portPrefix = `${reservationPrefix}ports/`;

export function addressKey(address: string): string {
  return addressPrefix + address;
}

export function portKey(port: number): string {
  return portPrefix + port;
}

/** The Service that something was given to. */
export interface Holder {
  readonly uid: string;
  /** `NAMESPACE/NAME`. */
  readonly name: string;
}

export function encodeHolder({ uid, name }: Holder): string {
  return JSON.stringify({ uid, name });
}

function decodeHolder(entry: KeyValue): Holder {
  // Only encodeHolder writes under the prefix.
  const holder: Holder = JSON.parse(entry.value);
  return holder;
}

/** Offsets that are handed out; more than any cluster has Services, and few enough to be looked through. */
const mostAddresses = 65_536;

const addressBand = { minimum: 16, maximum: 256, share: 16 } as const;
const portBand = { minimum: 16, maximum: 128, share: 32 } as const;

interface AddressPool {
  readonly prefix: Prefix;
  readonly numbers: NumberRange;
}

/** The network's own address is not given out, nor is IPv4's broadcast. */
function usableOf({ family, length }: Prefix): number {
  const bits = Math.min(widthOf(family) - length, 17);
  return Math.min(2 ** bits - (family === 4 ? 2 : 1), mostAddresses);
}

function addressPool(cidr: string, random: (limit: number) => number): AddressPool {
  const prefix = parsePrefix(cidr);
  const size = usableOf(prefix);
  if (size < 1) throw new RangeError(`expected a CIDR with room for Services, got ${cidr}`);
  return { prefix, numbers: new NumberRange({ size, band: addressBand, random }) };
}

export class ServicePools {
  readonly families: readonly IpFamily[];
  readonly #store: Store;
  readonly #addresses = new Map<IpFamily, AddressPool>();
  readonly #portRange: ServiceNetwork["nodePorts"];
  readonly #ports: NumberRange;

  /** @throws {AddressError | RangeError} for pools that there cannot be */
  constructor(
    store: Store,
    network: ServiceNetwork,
    random: (limit: number) => number = randomInt,
  ) {
    this.#store = store;
    for (const cidr of network.cidrs) {
      const pool = addressPool(cidr, random);
      const family = pool.prefix.family === 4 ? "IPv4" : "IPv6";
      if (this.#addresses.has(family)) {
        throw new RangeError(`expected one CIDR of each family, got ${network.cidrs.join(", ")}`);
      }
      this.#addresses.set(family, pool);
    }
    this.families = [...this.#addresses.keys()];
    const { from, to } = (this.#portRange = network.nodePorts);
    this.#ports = new NumberRange({ size: to - from + 1, band: portBand, random });
  }

  /** The present holder of a key. */
  async holderOf(key: string): Promise<Holder | undefined> {
    const entry = await this.#store.get(key);
    return entry && decodeHolder(entry);
  }

  /** Why nobody may have the address; `undefined` where somebody may. */
  refusalOfAddress(address: string): string | undefined {
    const family = familyOf(address);
    const pool = family && this.#addresses.get(family);
    const parsed = tryParseAddress(address);
    if (pool !== undefined && parsed !== undefined && isUsable(pool.prefix, parsed))
      return undefined;
    const range = pool === undefined ? "none" : formatPrefix(pool.prefix);
    return `provided IP is not in the valid range. The range of valid IPs is ${range}`;
  }

  refusalOfPort(port: number): string | undefined {
    const { from, to } = this.#portRange;
    if (port >= from && port <= to) return undefined;
    return `provided port is not in the valid range. The range of valid ports is ${from}-${to}`;
  }

  /** A free address, `undefined` when there is none. `own` are those that are about to be given out. */
  async pickAddress(family: IpFamily, own: ReadonlySet<string>): Promise<string | undefined> {
    const pool = this.#addresses.get(family);
    if (pool === undefined) return undefined;
    const { prefix, numbers } = pool;
    const textOf = (number: number): string => formatAddress(addressAt(prefix, number));
    const number = await numbers.pick(
      async (each) =>
        own.has(addressKey(textOf(each))) || (await this.#has(addressKey(textOf(each)))),
      async () =>
        await this.#taken(addressPrefix, own, (text) => {
          const address = tryParseAddress(text);
          return address && prefixContains(prefix, address)
            ? Number(address.bits - prefix.bits) - 1
            : undefined;
        }),
    );
    return number === undefined ? undefined : textOf(number);
  }

  async pickPort(own: ReadonlySet<string>): Promise<number | undefined> {
    const { from } = this.#portRange;
    const number = await this.#ports.pick(
      async (each) => own.has(portKey(from + each)) || (await this.#has(portKey(from + each))),
      async () => await this.#taken(portPrefix, own, (text) => Number(text) - from),
    );
    return number === undefined ? undefined : from + number;
  }

  async #has(key: string): Promise<boolean> {
    return (await this.#store.get(key)) !== undefined;
  }

  async #taken(
    prefix: string,
    own: ReadonlySet<string>,
    numberOf: (text: string) => number | undefined,
  ): Promise<ReadonlySet<number>> {
    const { entries } = await this.#store.range({ prefix });
    const keys = [...entries.map(({ key }) => key), ...own].filter((key) => key.startsWith(prefix));
    const numbers = keys.map((key) => numberOf(key.slice(prefix.length)));
    return new Set(numbers.filter((number) => number !== undefined));
  }
}

function addressAt({ family, bits }: Prefix, number: number): Address {
  return { family, bits: bits + BigInt(number) + 1n };
}

function isUsable(prefix: Prefix, address: Address): boolean {
  if (!prefixContains(prefix, address)) return false;
  const offset = address.bits - prefix.bits;
  const all = 1n << BigInt(widthOf(prefix.family) - prefix.length);
  return offset > 0n && (prefix.family === 6 || offset < all - 1n);
}
