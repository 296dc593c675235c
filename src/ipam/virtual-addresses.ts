// Which addresses of the load balancers' pools are given out, to whom, and which one somebody may have next.
import { type Address, type Family, formatAddress, tryParseAddress } from "../net/address.ts";
import {
  type AddressRange,
  formatRange,
  rangeContains,
  rangesOverlap,
} from "../net/address-range.ts";

/** Among whom an address may be shared. */
export type Sharing = "None" | "Namespace" | "Cluster";

export interface AddressPool {
  readonly ranges: readonly AddressRange[];
  /** Whether it is also for those who ask for nothing in particular. */
  readonly autoAssign: boolean;
  readonly sharing: Sharing;
}

export interface Holder {
  /** `Service shop/web` */
  readonly id: string;
  readonly namespace: string;
  readonly uid: string;
  /** Such as `TCP/80`. */
  readonly ports: readonly string[];
  /** What selects its pods, where only nodes with one of them take its connections. */
  readonly localTo: string | undefined;
}

export interface GivenAddress {
  readonly address: string;
  readonly pool: string;
  readonly sharingKey: string | undefined;
  readonly holders: readonly Holder[];
}

export interface AddressWish {
  readonly holder: Holder;
  /** One address of each is wanted. */
  readonly families: readonly Family[];
  /** Exactly these, at most one of each family; empty for any. */
  readonly requested: readonly Address[];
  /** The only pool that will do; `undefined` for any. */
  readonly pool: string | undefined;
  readonly sharingKey: string | undefined;
  /** Addresses that it is known by already. */
  readonly shown: readonly string[];
}

type NoAddressReason =
  | "NoPool"
  | "PoolExhausted"
  | "AddressInUse"
  | "AddressReserved"
  | "AddressOutsidePools";

export type AddressChoice =
  /** It is given to the holder, or can be shared with those who have it. */
  | { readonly kind: "given"; readonly given: GivenAddress }
  | { readonly kind: "free"; readonly address: string; readonly pool: string }
  | { readonly kind: "none"; readonly reason: NoAddressReason; readonly message: string };

function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

function none(reason: NoAddressReason, message: string): AddressChoice {
  return { kind: "none", reason, message };
}

export class VirtualAddresses {
  readonly #pools = new Map<string, AddressPool>();
  readonly #given = new Map<string, GivenAddress>();
  readonly #byHolder = new Map<string, Set<string>>();
  /** Addresses that are just being given out. */
  readonly #promised = new Set<string>();
  /** Address → whose, for addresses that hosts have. */
  readonly #hosts = new Map<string, string>();
  /** Ranges that belong to something else, by what that is. */
  readonly #blocked = new Map<string, readonly AddressRange[]>();
  /** Where the next search begins, so that what was given back last is used last. */
  readonly #next = new Map<string, bigint>();

  setPool(name: string, pool: AddressPool | undefined): void {
    if (pool) this.#pools.set(name, pool);
    else this.#pools.delete(name);
  }

  pool(name: string): AddressPool | undefined {
    return this.#pools.get(name);
  }

  get pools(): ReadonlyMap<string, AddressPool> {
    return this.#pools;
  }

  /** `given` replaces what was known of the address. */
  set(address: string, given: GivenAddress | undefined): void {
    for (const { id } of this.#given.get(address)?.holders ?? []) {
      const held = this.#byHolder.get(id);
      held?.delete(address);
      if (held?.size === 0) this.#byHolder.delete(id);
    }
    if (given === undefined) {
      this.#given.delete(address);
      return;
    }
    this.#given.set(address, given);
    for (const { id } of given.holders) {
      this.#byHolder.set(id, (this.#byHolder.get(id) ?? new Set()).add(address));
    }
  }

  get(address: string): GivenAddress | undefined {
    return this.#given.get(address);
  }

  /** What the holder has, under any uid; sorted. */
  heldBy(holder: string): readonly GivenAddress[] {
    const held = [...(this.#byHolder.get(holder) ?? [])].toSorted();
    return held.map((address) => this.#given.get(address)).filter((given) => given !== undefined);
  }

  /** Addresses that a host has and nobody else may have. */
  setHost(host: string, addresses: readonly string[]): void {
    for (const [address, owner] of this.#hosts) if (owner === host) this.#hosts.delete(address);
    for (const address of addresses) this.#hosts.set(address, host);
  }

  /** Ranges that are something else's, such as a domain's pools. */
  block(owner: string, ranges: readonly AddressRange[]): void {
    if (ranges.length === 0) this.#blocked.delete(owner);
    else this.#blocked.set(owner, ranges);
  }

  /** Takes the address out of the choice until the promise is disposed of. */
  promise(address: string): Disposable {
    this.#promised.add(address);
    return { [Symbol.dispose]: () => void this.#promised.delete(address) };
  }

  /** Why no address is given out of a part of the pool; empty for a pool that is all well. */
  problemsOf(name: string): readonly string[] {
    return (this.#pools.get(name)?.ranges ?? []).flatMap((range) => {
      const owner = this.#ownerOf(range);
      return owner === undefined ? [] : [`${formatRange(range)} overlaps ${owner}`];
    });
  }

  /** How many addresses of each pool are given out, and those that are not in it any more. O(given). */
  usageOf(name: string): { readonly used: number; readonly outside: readonly string[] } {
    const own = [...this.#given.values()].filter(({ pool }) => pool === name);
    const outside = own.map(({ address }) => address).filter((each) => !this.isIn(name, each));
    return { used: own.length, outside: outside.toSorted() };
  }

  isIn(name: string, address: string): boolean {
    const parsed = tryParseAddress(address);
    const ranges = this.#pools.get(name)?.ranges ?? [];
    return parsed !== undefined && ranges.some((range) => rangeContains(range, parsed));
  }

  /** Who has addresses of the pool. O(given). */
  holdersIn(pool: string): Iterable<string> {
    const own = [...this.#given.values()].filter((given) => given.pool === pool);
    return new Set(own.flatMap(({ holders }) => holders.map(({ id }) => id)));
  }

  /**
   * The address of the family that the wish gets. `pools` are those that it may have one of, in order. What it has it keeps,
   * whatever has become of the pool, unless it asks for something else or must not share it any more.
   */
  choose(wish: AddressWish, family: Family, pools: readonly string[]): AddressChoice {
    const requested = wish.requested.find((address) => address.family === family);
    if (requested !== undefined) return this.#requested(wish, formatAddress(requested), pools);
    const shown = wish.shown.filter((address) => familyOf(address) === family);
    const held = this.heldBy(wish.holder.id).filter(({ address }) => familyOf(address) === family);
    const kept = held
      .filter((given) => wish.pool === undefined || given.pool === wish.pool)
      .filter((given) => this.#sharingProblem(given, wish) === undefined)
      .toSorted((a, b) => Number(shown.includes(b.address)) - Number(shown.includes(a.address)));
    if (kept[0] !== undefined) return { kind: "given", given: kept[0] };
    // Its object may be lost; nobody else is to be known by the same address.
    for (const address of shown) {
      const again = this.#requested(wish, address, pools);
      if (again.kind !== "none") return again;
    }
    const allowed = wish.pool === undefined ? pools.filter((each) => this.#isAuto(each)) : pools;
    return this.#shared(wish, family, allowed) ?? this.#free(family, allowed);
  }

  #isAuto(pool: string): boolean {
    return this.#pools.get(pool)?.autoAssign === true;
  }

  #requested(wish: AddressWish, address: string, pools: readonly string[]): AddressChoice {
    const given = this.#given.get(address);
    if (given !== undefined) {
      const problem = this.#sharingProblem(given, wish);
      const isOwn = given.holders.some(({ uid }) => uid === wish.holder.uid);
      if (problem === undefined && (isOwn || pools.includes(given.pool))) {
        return { kind: "given", given };
      }
      return none("AddressInUse", `${address} ${problem ?? `is of pool ${given.pool}`}`);
    }
    const parsed = tryParseAddress(address);
    const pool = pools.find((each) => this.isIn(each, address));
    if (parsed === undefined || pool === undefined) {
      const names = pools.length > 0 ? `of the pools ${pools.join(", ")}` : "of any pool for it";
      return none("AddressOutsidePools", `${address} is not ${names}`);
    }
    const range = { family: parsed.family, first: parsed.bits, last: parsed.bits };
    const owner = this.#hosts.get(address) ?? this.#ownerOf(range);
    if (owner !== undefined) return none("AddressReserved", `${address} is of ${owner}`);
    if (this.#promised.has(address)) return none("AddressInUse", `${address} is being given out`);
    return { kind: "free", address, pool };
  }

  /** An address that others have who brought the same key. O(given) for those who bring one. */
  #shared(wish: AddressWish, family: Family, pools: readonly string[]): AddressChoice | undefined {
    if (wish.sharingKey === undefined) return undefined;
    for (const given of this.#given.values()) {
      if (given.sharingKey !== wish.sharingKey || familyOf(given.address) !== family) continue;
      if (!pools.includes(given.pool)) continue;
      if (this.#sharingProblem(given, wish) === undefined) return { kind: "given", given };
    }
    return undefined;
  }

  /** Why the wish cannot have the address beside those who have it. */
  #sharingProblem(
    { pool, sharingKey, holders }: GivenAddress,
    wish: AddressWish,
  ): string | undefined {
    const { holder } = wish;
    const others = holders.filter(({ uid }) => uid !== holder.uid);
    const [first] = others;
    if (first === undefined) return undefined;
    const names = others.map(({ id }) => id).join(", ");
    if (sharingKey === undefined || sharingKey !== wish.sharingKey) return `is that of ${names}`;
    const sharing = this.#pools.get(pool)?.sharing ?? "Namespace";
    const isForeign = others.some(({ namespace }) => namespace !== holder.namespace);
    if (sharing === "None" || (sharing === "Namespace" && isForeign)) {
      return `is that of ${names}, and its pool lets it be shared ${sharing === "None" ? "by nobody" : "within a namespace only"}`;
    }
    const other = others.find(({ ports }) => ports.some((port) => holder.ports.includes(port)));
    if (other !== undefined) {
      const port = other.ports.find((each) => holder.ports.includes(each));
      return `is shared with ${other.id}, which has port ${port} of it`;
    }
    if (others.some(({ localTo }) => localTo !== holder.localTo)) {
      return `is shared with ${names}, whose connections other nodes may take: external traffic policies and selectors must be equal`;
    }
    return undefined;
  }

  #free(family: Family, pools: readonly string[]): AddressChoice {
    let found = false;
    for (const pool of pools) {
      for (const range of this.#pools.get(pool)?.ranges ?? []) {
        if (range.family !== family || this.#ownerOf(range) !== undefined) continue;
        found = true;
        const address = this.#freeIn(`${pool} ${formatRange(range)}`, range);
        if (address !== undefined) return { kind: "free", address, pool };
      }
    }
    const names = pools.join(", ");
    return found
      ? none("PoolExhausted", `every IPv${family} address of the pools ${names} is given out`)
      : none("NoPool", `no pool with IPv${family} addresses is for it`);
  }

  /** O(addresses passed over). */
  #freeIn(key: string, { family, first, last }: AddressRange): string | undefined {
    const start = this.#next.get(key) ?? first;
    const length = last - first + 1n;
    for (let passed = 0n; passed < length; passed++) {
      const bits = first + ((start - first + passed) % length);
      const address = formatAddress({ family, bits });
      if (this.#isTaken(address)) continue;
      this.#next.set(key, bits === last ? first : bits + 1n);
      return address;
    }
    return undefined;
  }

  #isTaken(address: string): boolean {
    return this.#given.has(address) || this.#promised.has(address) || this.#hosts.has(address);
  }

  #ownerOf(range: AddressRange): string | undefined {
    for (const [owner, ranges] of this.#blocked) {
      if (ranges.some((each) => rangesOverlap(each, range))) return owner;
    }
    return undefined;
  }
}
