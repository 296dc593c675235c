// Gives Services of type LoadBalancer their addresses out of the pools. That an address is given out is an object whose name is the
// address: the API server lets only one be made, so no two holders ever have one without sharing it, however many controllers
// there are and wherever they die. The order is always: take the address, then show it on the holder, then give back what
// the holder no longer shows. Each write names the version that it was decided on.
import { StatusError } from "../apimachinery/errors.ts";
import type { AddressWish, GivenAddress, Holder } from "../ipam/virtual-addresses.ts";
import { VirtualAddresses } from "../ipam/virtual-addresses.ts";
import { type AddressHolder, type LoadBalancerAddress } from "../kinds/load-balancer-address.ts";
import type { Sharing } from "../ipam/virtual-addresses.ts";
import type { LoadBalancerPool } from "../kinds/load-balancer-pool.ts";
import { translateSelector } from "../kubernetes/label-selector.ts";
import type { Labels } from "../model/endpoint.ts";
import type { LabelSelector } from "../model/policy.ts";
import { matchesSelector } from "../model/selector.ts";
import type { Family } from "../net/address.ts";
import { rangeLength, tryParseRange } from "../net/address-range.ts";
import { type KnownHolder, ownClass, placeOfHolder } from "./address-wish.ts";
import type { HolderReport, LoadBalancerStore } from "./load-balancer-store.ts";
import { isNewer } from "./resource-version.ts";

type PoolSpec = LoadBalancerPool["spec"];

export interface LoadBalancerControllerOptions {
  readonly store: LoadBalancerStore;
  /** `reconcile` or `tellPool` is to be called. */
  readonly look: (what: "holder" | "pool", key: string) => void;
  /** People should know what has come of the holder's wish. */
  readonly onReport: (holder: KnownHolder, report: HolderReport) => void;
}

interface KnownPool {
  readonly spec: PoolSpec;
  readonly namespaces: LabelSelector | undefined;
  readonly services: LabelSelector | undefined;
}

interface KnownAddress {
  readonly object: Pick<LoadBalancerAddress, "metadata" | "spec" | "status">;
}

function selectorOf(value: unknown): LabelSelector | undefined {
  return value === undefined ? undefined : translateSelector(value, "").selector;
}

function isConflict(error: unknown): boolean {
  return error instanceof StatusError && error.status.code === 409;
}

function givenOf({ spec }: KnownAddress["object"]): GivenAddress {
  const { address, pool, sharingKey, holders } = spec;
  return {
    address,
    pool,
    sharingKey,
    holders: holders.map((each) => ({
      id: `${each.kind} ${each.namespace}/${each.name}`,
      namespace: each.namespace,
      uid: each.uid,
      ports: each.ports,
      localTo: each.localTo,
    })),
  };
}

function renderHolder({ id, namespace, uid, ports, localTo }: Holder): AddressHolder {
  const { kind, name } = placeOfHolder(id);
  return {
    kind,
    namespace,
    name,
    uid,
    ports: [...ports],
    ...(localTo !== undefined && { localTo }),
  };
}

export class LoadBalancerController {
  readonly #options: LoadBalancerControllerOptions;
  readonly #space = new VirtualAddresses();
  readonly #pools = new Map<string, KnownPool>();
  readonly #addresses = new Map<string, KnownAddress>();
  readonly #holders = new Map<string, KnownHolder>();
  readonly #namespaces = new Map<string, Labels>();
  /** Holders that wait for something: a free address, a pool. */
  readonly #wanting = new Set<string>();

  constructor(options: LoadBalancerControllerOptions) {
    this.#options = options;
  }

  /** How many holders have not got all that they want. */
  get wanting(): number {
    return this.#wanting.size;
  }

  holder(id: string): KnownHolder | undefined {
    return this.#holders.get(id);
  }

  /** Name of a pool → what it wants. */
  pool(name: string): PoolSpec | undefined {
    return this.#pools.get(name)?.spec;
  }

  /** What an address's object wants; by the object's name. */
  addressOf(name: string): LoadBalancerAddress["spec"] | undefined {
    return this.#addresses.get(name)?.object.spec;
  }

  /** Who has the address whose object has the name. */
  holdersOf(name: string): readonly AddressHolder[] {
    return this.addressOf(name)?.holders ?? [];
  }

  setPool(name: string, spec: PoolSpec | undefined): void {
    const { look } = this.#options;
    if (spec === undefined) {
      this.#pools.delete(name);
      this.#space.setPool(name, undefined);
    } else {
      this.#pools.set(name, {
        spec,
        namespaces: selectorOf(spec.namespaceSelector),
        services: selectorOf(spec.serviceSelector),
      });
      const ranges = spec.addresses.map(tryParseRange).filter((range) => range !== undefined);
      const sharing: Sharing = spec.sharing ?? "Namespace";
      this.#space.setPool(name, { ranges, autoAssign: spec.autoAssign ?? true, sharing });
    }
    look("pool", name);
    for (const holder of this.#space.holdersIn(name)) look("holder", holder);
    this.#lookAgain();
  }

  setAddress(name: string, object: KnownAddress["object"] | undefined): void {
    const known = this.#addresses.get(name);
    const version = known?.object.metadata.resourceVersion;
    if (object && version !== undefined && !isNewer(object.metadata.resourceVersion, version)) {
      return;
    }
    const { look } = this.#options;
    const before = known && givenOf(known.object);
    if (object === undefined) {
      this.#addresses.delete(name);
      if (before) this.#space.set(before.address, undefined);
    } else {
      this.#addresses.set(name, { object });
      this.#space.set(object.spec.address, givenOf(object));
    }
    const after = object && givenOf(object);
    // Who announces it is written on it, and is nothing new here.
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    for (const given of [before, after]) {
      if (given === undefined) continue;
      look("pool", given.pool);
      for (const { id } of given.holders) look("holder", id);
    }
    this.#lookAgain();
  }

  setHolder(id: string, holder: KnownHolder | undefined): void {
    if (holder) this.#holders.set(id, holder);
    else {
      this.#holders.delete(id);
      this.#wanting.delete(id);
    }
    if (this.#concerns(holder, id)) this.#options.look("holder", id);
  }

  setNamespace(name: string, labels: Labels | undefined): void {
    if (labels) this.#namespaces.set(name, labels);
    else this.#namespaces.delete(name);
    for (const id of this.#wanting) {
      if (placeOfHolder(id).namespace === name) this.#options.look("holder", id);
    }
  }

  /** Addresses that the node has itself. */
  setNode(name: string, addresses: readonly string[]): void {
    this.#space.setHost(`node ${name}`, addresses);
  }

  /** CIDRs that are a domain's: its endpoints' and its Services' own addresses. */
  setDomain(name: string, cidrs: readonly string[]): void {
    const ranges = cidrs.map(tryParseRange).filter((range) => range !== undefined);
    this.#space.block(`domain ${name}`, ranges);
    for (const pool of this.#pools.keys()) this.#options.look("pool", pool);
    this.#lookAgain();
  }

  /** Makes the addresses of the holder what it wants. May be called at any time; a failure is to be repeated. */
  async reconcile(id: string): Promise<void> {
    const known = this.#holders.get(id);
    const held = this.#space.heldBy(id);
    if (!this.#concerns(known, id)) return;
    // What is decided here goes by the object as it is now: a watch is always a little late.
    const live = await this.#options.store.readHolder(placeOfHolder(id));
    if (live === undefined) {
      this.#wanting.delete(id);
      await this.#giveBack(id, undefined, []);
      return;
    }
    const { holder } = live;
    const pools = this.#poolsFor(holder);
    const isForeign = !this.#isOurs(holder);
    if (isForeign || holder.wish === undefined) {
      this.#wanting.delete(id);
      const own = held.map(({ address }) => address);
      // Of another implementation's Service only what this one has given is taken back.
      const left = holder.shown.filter((address) => !own.includes(address));
      const isSaid = holder.isReported && !isForeign;
      if (isSaid || left.length < holder.shown.length) await live.write(left, undefined);
      await this.#giveBack(id, holder.uid, []);
      return;
    }
    const { chosen, report } = await this.#take(holder, holder.wish, pools);
    await live.write(chosen, report);
    await this.#giveBack(id, holder.uid, chosen);
    if (report.isComplete) this.#wanting.delete(id);
    else this.#wanting.add(id);
    this.#options.onReport(holder, report);
  }

  /** Writes on the pool what is given out of it. */
  async tellPool(name: string): Promise<void> {
    const pool = this.#pools.get(name);
    const ranges = this.#space.pool(name)?.ranges;
    if (pool === undefined || ranges === undefined) return;
    const { used, outside } = this.#space.usageOf(name);
    const total = ranges.reduce((sum, range) => sum + rangeLength(range), 0n);
    const problems = this.#space.problemsOf(name);
    await this.#options.store.writePoolStatus(name, {
      used,
      total: String(total),
      ...(outside.length > 0 && { outside: [...outside] }),
      ...(problems.length > 0 && { problem: problems.join("; ") }),
    });
  }

  #concerns(holder: KnownHolder | undefined, id: string): boolean {
    if (holder?.wish !== undefined || holder?.isReported === true) return true;
    return this.#space.heldBy(id).length > 0;
  }

  /** Whether this implementation is asked: without a class only once there is a pool for such Services. */
  #isOurs({ kind, uid, loadBalancerClass, wish }: KnownHolder): boolean {
    if (kind === "LoadBalancer" || loadBalancerClass === ownClass) return true;
    const specs = [...this.#pools.values()].map(({ spec }) => spec);
    if (specs.some((spec) => spec.loadBalancerClass === loadBalancerClass)) return true;
    const held = wish === undefined ? [] : this.#space.heldBy(wish.holder.id);
    // What was given out of a pool that has gone stays.
    return (
      loadBalancerClass === undefined &&
      held.some(({ holders }) => holders.some((each) => each.uid === uid))
    );
  }

  /** The pools that it may have addresses of, by name. */
  #poolsFor({ kind, namespace, labels, loadBalancerClass, wish }: KnownHolder): readonly string[] {
    const ofNamespace = this.#namespaces.get(namespace);
    if (ofNamespace === undefined || wish === undefined) return [];
    const found: string[] = [];
    for (const [name, { spec, namespaces, services }] of this.#pools) {
      const isOfClass =
        spec.loadBalancerClass === undefined
          ? kind === "LoadBalancer" ||
            loadBalancerClass === undefined ||
            loadBalancerClass === ownClass
          : loadBalancerClass === spec.loadBalancerClass;
      if (!isOfClass || (wish.pool !== undefined && wish.pool !== name)) continue;
      if (namespaces !== undefined && !matchesSelector(namespaces, ofNamespace)) continue;
      if (services !== undefined && !matchesSelector(services, labels)) continue;
      found.push(name);
    }
    return found.toSorted();
  }

  /** Takes an address of each family that is wanted, and says which the holder is to show. */
  async #take(
    holder: KnownHolder,
    wish: AddressWish,
    pools: readonly string[],
  ): Promise<{ readonly chosen: readonly string[]; readonly report: HolderReport }> {
    const odd = wish.requested.filter(({ family }) => !wish.families.includes(family));
    const problems = [
      ...holder.problems,
      ...odd.map(({ family }) => `an IPv${family} address is asked for, and it has no such family`),
    ];
    if (problems.length > 0) {
      const message = problems.join("; ");
      return { chosen: [], report: { isComplete: false, reason: "RequestInvalid", message } };
    }
    const chosen: string[] = [];
    const notes: string[] = [];
    let reason = "";
    for (const family of wish.families) {
      const result = await this.#takeOne(wish, family, pools);
      if ("address" in result) chosen.push(result.address);
      else {
        reason ||= result.reason;
        notes.push(result.message);
      }
    }
    const isShort = holder.needsAll && chosen.length < wish.families.length;
    if (notes.length > 0) {
      const shown = isShort ? [] : chosen;
      return { chosen: shown, report: { isComplete: false, reason, message: notes.join("; ") } };
    }
    const outside = chosen.filter((address) => !this.#isInItsPool(address));
    const message =
      outside.length === 0
        ? `has ${chosen.join(" and ")}`
        : `has ${chosen.join(" and ")}; ${outside.join(" and ")} is in no pool any more`;
    const assigned = outside.length === 0 ? "Assigned" : "OutsidePools";
    return { chosen, report: { isComplete: true, reason: assigned, message } };
  }

  #isInItsPool(address: string): boolean {
    const given = this.#space.get(address);
    return given !== undefined && this.#space.isIn(given.pool, address);
  }

  async #takeOne(
    wish: AddressWish,
    family: Family,
    pools: readonly string[],
  ): Promise<{ readonly address: string } | { readonly reason: string; readonly message: string }> {
    for (;;) {
      const choice = this.#space.choose(wish, family, pools);
      if (choice.kind === "none") return choice;
      if (choice.kind === "given") {
        if (await this.#join(choice.given, wish)) return { address: choice.given.address };
        continue;
      }
      const { address, pool } = choice;
      const promise = this.#space.promise(address);
      try {
        if (await this.#make(address, pool, wish)) return { address };
      } finally {
        promise[Symbol.dispose]();
      }
    }
  }

  /** @returns false when somebody was faster */
  async #make(
    address: string,
    pool: string,
    { holder, sharingKey }: AddressWish,
  ): Promise<boolean> {
    const key = sharingKey === undefined ? {} : { sharingKey };
    try {
      const spec = { address, pool, ...key, holders: [renderHolder(holder)] };
      const made = await this.#options.store.createAddress(spec);
      this.setAddress(made.metadata.name, made);
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.#refresh(address);
      return false;
    }
  }

  /** Makes the holder one of those who have the address, as it is now. @returns false when somebody was faster */
  async #join(given: GivenAddress, wish: AddressWish): Promise<boolean> {
    const others = given.holders.filter(({ uid }) => uid !== wish.holder.uid);
    // Who has it alone says by which key it is shared from now on.
    const sharingKey = others.length === 0 ? wish.sharingKey : given.sharingKey;
    const holders = [...others, wish.holder].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const wanted = { ...given, sharingKey, holders };
    const sorted = { ...given, holders: given.holders.toSorted((a, b) => (a.id < b.id ? -1 : 1)) };
    if (JSON.stringify(sorted) === JSON.stringify(wanted)) return true;
    return await this.#change(given.address, holders, sharingKey);
  }

  /** Takes the address from all holders of the id that are not to keep it: those of another uid, and what is not kept. */
  async #giveBack(id: string, uid: string | undefined, kept: readonly string[]): Promise<void> {
    for (const { address, holders, sharingKey } of this.#space.heldBy(id)) {
      const left = holders.filter(
        (each) => each.id !== id || (each.uid === uid && kept.includes(address)),
      );
      if (left.length < holders.length) await this.#change(address, left, sharingKey);
    }
  }

  async #change(
    address: string,
    holders: readonly Holder[],
    sharingKey: string | undefined,
  ): Promise<boolean> {
    const { store } = this.#options;
    const object = this.#objectOf(address);
    if (object === undefined) return false;
    const { name } = object.metadata;
    try {
      if (holders.length === 0) {
        await store.deleteAddress(object);
        this.setAddress(name, undefined);
        return true;
      }
      const spec = { ...object.spec, holders: holders.map(renderHolder) };
      delete spec.sharingKey;
      if (sharingKey !== undefined) spec.sharingKey = sharingKey;
      this.setAddress(name, await store.updateAddress({ ...object, spec }));
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.#refresh(address);
      return false;
    }
  }

  #objectOf(address: string): KnownAddress["object"] | undefined {
    for (const name of [address, this.#options.store.nameOf(address)]) {
      const known = this.#addresses.get(name);
      if (known) return known.object;
    }
    return undefined;
  }

  /** Somebody else has changed it: what is known of it is old. */
  async #refresh(address: string): Promise<void> {
    const name = this.#options.store.nameOf(address);
    this.setAddress(name, await this.#options.store.readAddress(name));
  }

  #lookAgain(): void {
    for (const id of this.#wanting) this.#options.look("holder", id);
  }
}
