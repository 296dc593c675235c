// Keeps the ledgers of networks: reserves places before endpoints get them, gives them back to rest, puts right what a crash
// has left behind, and takes networks away that stay empty. Everything follows from what is stored and from what this
// controller is about to store; nothing depends on which event came first.
//
// Order makes it safe. A place is taken in the ledger before its endpoint is made, and given back after its endpoint has
// gone, each under the version of the ledger that it was decided on. So a place without an endpoint may be in somebody's
// hands; it is given back once it has been so for longer than any request lives. An endpoint without its place in the
// ledger has it put there.
import { StatusError } from "../apimachinery/errors.ts";
import type { AddressSpace } from "../ipam/address-space.ts";
import type { NetworkLedger } from "../ipam/network-ledger.ts";
import type { SpaceNetwork } from "../ipam/space-network.ts";
import { formatPrefix } from "../net/address.ts";
import type { AddressStore } from "./address-store.ts";
import type { KnownNetwork } from "./known-objects.ts";
import { LedgerGoneError, LedgerWriter } from "./ledger-writer.ts";

export interface AddressTimes {
  /** How long a place rests after an endpoint had it. */
  readonly quarantineMs: number;
  /** How long a place may be taken without an endpoint before it counts as left behind. */
  readonly orphanMs: number;
  /** How long a network that the controller made may stay empty. */
  readonly emptyMs: number;
  /** How long a part of a pool is promised to a network that is being made. */
  readonly claimMs: number;
}

export interface NetworkKeeperOptions {
  readonly space: AddressSpace;
  readonly store: AddressStore;
  readonly times: AddressTimes;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** `reconcile` is to be called for the network, after so long a time. */
  readonly look: (id: string, delayMs: number) => void;
  /** No address is given out of the network, and people should know why. */
  readonly onUnusable: (network: KnownNetwork, reason: string) => void;
  /** The number of places taken in a network of the domain, or of its networks, has changed. */
  readonly onUsage: (domain: string) => void;
}

interface Kept {
  readonly known: KnownNetwork;
  readonly network: SpaceNetwork;
  readonly writer: LedgerWriter<NetworkLedger>;
  /** Places that this controller has taken for endpoints that it is making. */
  readonly inFlight: Set<number>;
  /** Places whose endpoints are known to have gone → when their rest ends. */
  readonly vacated: Map<number, number>;
  /** Places that are taken without an endpoint → since when. */
  readonly orphans: Map<number, number>;
  /** How many of its places are in the domain's sum. */
  counted: number;
}

export class NetworkKeeper {
  readonly #options: NetworkKeeperOptions;
  readonly #kept = new Map<string, Kept>();
  /** Networks out of which nothing is given out → why. */
  readonly #unusable = new Map<string, string>();
  /** Domain → places taken in its networks. */
  readonly #used = new Map<string, number>();

  constructor(options: NetworkKeeperOptions) {
    this.#options = options;
  }

  /** @throws {AddressError} when a CIDR cannot be read; the network is then left out */
  set(id: string, known: KnownNetwork): void {
    const before = this.#kept.get(id);
    if (before?.known.uid === known.uid) {
      if (!before.writer.observe(known)) return;
    } else {
      const { space, store } = this.#options;
      const network = space.setNetwork(id, known);
      if (network === undefined) return;
      const access = store.networkLedger(id, known, network.capacity);
      const writer = new LedgerWriter(access, known);
      const places = { inFlight: new Set<number>(), vacated: new Map(), orphans: new Map() };
      this.#kept.set(id, { known, network, writer, ...places, counted: 0 });
      for (const rival of this.#judge(id)) this.#judge(rival.id);
    }
    this.#count(id);
    this.#options.look(id, 0);
  }

  /** @returns what it was */
  remove(id: string): KnownNetwork | undefined {
    const kept = this.#kept.get(id);
    this.#options.space.setNetwork(id, undefined);
    if (kept) this.#count(id, 0);
    this.#kept.delete(id);
    this.#unusable.delete(id);
    // One that it stood in the way of may be used now.
    for (const other of this.#unusable.keys()) this.#judge(other);
    return kept?.known;
  }

  /** Looks at all networks of the domain again: it has other pools now. */
  judgeAll(domain: string): void {
    for (const [id, { known }] of this.#kept) if (known.domain === domain) this.#judge(id);
  }

  /** Why no address is given out of the network; `undefined` when there is no reason. */
  whyUnusable(id: string): string | undefined {
    return this.#unusable.get(id);
  }

  /**
   * A network that somebody has made may lie over another one, and then only one of them is used: the one of which places are
   * taken already, else the older one. @returns those that it overlaps
   */
  #judge(id: string): readonly SpaceNetwork[] {
    const kept = this.#kept.get(id);
    if (kept === undefined) return [];
    const { space, onUnusable, look } = this.#options;
    const { domain, prefixes } = kept.network;
    const rivals = space.overlapping(domain, prefixes).filter((network) => network.id !== id);
    const betters = rivals.filter((rival) => this.#goesBefore(rival.id, id));
    const outside = space.outsidePools(domain, prefixes);
    const reason =
      betters.length > 0
        ? `it overlaps network ${betters.map((rival) => rival.id).join(", ")}`
        : outside && `${formatPrefix(outside)} is not in the pools of domain "${domain}"`;
    if (reason === this.#unusable.get(id)) return rivals;
    if (reason === undefined) {
      this.#unusable.delete(id);
      look(id, 0);
    } else {
      this.#unusable.set(id, reason);
      space.setOpen(id, false);
      onUnusable(kept.known, reason);
    }
    return rivals;
  }

  #goesBefore(id: string, other: string): boolean {
    const rank = (network: string): readonly [number, number, string] => {
      const kept = this.#kept.get(network);
      const isUsed = (kept?.writer.ledger?.allocated.length ?? 0) > 0;
      return [isUsed ? 0 : 1, kept?.known.createdMs ?? 0, kept?.known.uid ?? ""];
    };
    const [used, created, uid] = rank(id);
    const [otherUsed, otherCreated, otherUid] = rank(other);
    return (used - otherUsed || created - otherCreated || (uid < otherUid ? -1 : 1)) < 0;
  }

  /** How many places of the domain's networks are taken. */
  usedOf(domain: string): number {
    return this.#used.get(domain) ?? 0;
  }

  isKept(id: string): boolean {
    return this.#kept.has(id);
  }

  /** Takes any free place. It stays this controller's until an endpoint holds it or it is abandoned. */
  async reserve(id: string): Promise<number | undefined> {
    const kept = this.#kept.get(id);
    if (kept === undefined || this.#unusable.has(id)) return undefined;
    const { network, vacated, inFlight } = kept;
    let mine: number | undefined;
    const take = (draft: NetworkLedger): number | undefined => {
      if (mine !== undefined) inFlight.delete(mine);
      const held = (offset: number): boolean => network.isHeld(offset) || vacated.has(offset);
      const now = this.#options.now();
      mine = draft.findFree(network.range, network.next, held, now);
      if (mine === undefined) return undefined;
      draft.take(mine);
      network.next = mine + 1;
      inFlight.add(mine);
      return mine;
    };
    const forget = (): void => {
      if (mine !== undefined) inFlight.delete(mine);
    };
    const taken = await this.#submit(kept, take, forget);
    if (taken === undefined) {
      this.#options.space.setOpen(id, false);
      this.#options.look(id, 0);
    }
    this.#count(id);
    return taken;
  }

  /** Takes exactly these places, also ones that rest: they were asked for by name. */
  async reserveExactly(id: string, offsets: readonly number[]): Promise<boolean> {
    const kept = this.#kept.get(id);
    if (kept === undefined || this.#unusable.has(id)) return false;
    const { network, vacated, inFlight } = kept;
    const take = (draft: NetworkLedger): boolean => {
      const isTaken = (offset: number): boolean =>
        network.isHeld(offset) || (draft.allocated.has(offset) && !vacated.has(offset));
      if (offsets.some(isTaken)) return false;
      for (const offset of offsets) {
        draft.take(offset);
        vacated.delete(offset);
        inFlight.add(offset);
      }
      return true;
    };
    const forget = (): void => {
      for (const offset of offsets) inFlight.delete(offset);
    };
    const taken = (await this.#submit(kept, take, forget)) === true;
    this.#count(id);
    return taken;
  }

  /** `undefined` when the network is gone. What a failed write has left in the store is found later. */
  async #submit<R>(
    { network, writer }: Kept,
    take: (draft: NetworkLedger) => R,
    forget: () => void,
  ): Promise<R | undefined> {
    try {
      return await writer.submit(take);
    } catch (error) {
      forget();
      this.#options.look(network.id, 0);
      if (!(error instanceof LedgerGoneError)) throw error;
      this.#options.space.setOpen(network.id, false);
      return undefined;
    }
  }

  /** An endpoint holds the place now. */
  settle(id: string, offsets: Iterable<number>): void {
    const kept = this.#kept.get(id);
    for (const offset of offsets) {
      kept?.inFlight.delete(offset);
      kept?.vacated.delete(offset);
      kept?.orphans.delete(offset);
      if (kept && kept.writer.ledger?.allocated.has(offset) === false) this.#options.look(id, 0);
    }
  }

  /**
   * The place will not be used. It is given back at once when nobody can have used it, and otherwise when no late write can
   * use it any more.
   */
  abandon(id: string, offsets: Iterable<number>, unused: boolean): void {
    const kept = this.#kept.get(id);
    for (const offset of offsets) {
      kept?.inFlight.delete(offset);
      if (unused) kept?.vacated.set(offset, 0);
    }
    this.#options.look(id, 0);
  }

  /** The endpoint that held these places has gone. */
  vacate(id: string, offsets: Iterable<number>): void {
    const kept = this.#kept.get(id);
    const { times, now, look } = this.#options;
    for (const offset of offsets) {
      if (kept && !kept.network.isHeld(offset) && !kept.inFlight.has(offset)) {
        kept.vacated.set(offset, now() + times.quarantineMs);
      }
    }
    look(id, 0);
  }

  /** Makes the ledger agree with the endpoints. */
  async reconcile(id: string): Promise<void> {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    if (kept.writer.ledger === undefined) await kept.writer.submit(() => {});
    await this.#giveBack(kept, await this.#leftBehind(kept));
    const ledger = kept.writer.ledger;
    if (ledger === undefined || (await this.#removeEmpty(kept, ledger))) return;
    this.#openAgain(kept, ledger);
  }

  #count(id: string, now = this.#kept.get(id)?.writer.ledger?.allocated.length): void {
    const kept = this.#kept.get(id);
    if (kept === undefined || now === undefined) return;
    const { domain } = kept.known;
    this.#used.set(domain, (this.#used.get(domain) ?? 0) + now - kept.counted);
    kept.counted = now;
    this.#options.onUsage(domain);
  }

  /** Places that are taken without an endpoint, as the store says now, and have been for too long. */
  async #leftBehind({ network, writer, inFlight, vacated, orphans }: Kept): Promise<number[]> {
    const { now, times, look, store } = this.#options;
    const allocated = writer.ledger?.allocated ?? [];
    const since = now();
    const due: number[] = [];
    const seen = new Set<number>();
    for (const offset of allocated) {
      if (network.isHeld(offset) || inFlight.has(offset) || vacated.has(offset)) continue;
      seen.add(offset);
      const first = orphans.get(offset) ?? since;
      orphans.set(offset, first);
      if (since - first >= times.orphanMs) due.push(offset);
    }
    for (const offset of orphans.keys()) if (!seen.has(offset)) orphans.delete(offset);
    if (due.length < orphans.size) look(network.id, times.orphanMs);
    if (due.length === 0) return [];
    // The watch may be late; what is about to be given back must not be anybody's.
    const endpoints = await store.listEndpoints(network.zone);
    const held = new Set<number>();
    for (const endpoint of endpoints.values()) {
      if (endpoint.network !== network.id) continue;
      for (const offset of network.offsetsOf(endpoint.addresses)) held.add(offset);
    }
    return due.filter((offset) => !held.has(offset));
  }

  async #giveBack(kept: Kept, leftBehind: readonly number[]): Promise<void> {
    const { network, writer, vacated, inFlight, orphans } = kept;
    const { now, times } = this.#options;
    const isOurs = (offset: number): boolean => network.isHeld(offset) || inFlight.has(offset);
    const missing = [...network.heldOffsets()].some(
      (offset) => writer.ledger?.allocated.has(offset) === false,
    );
    if (vacated.size === 0 && leftBehind.length === 0 && !missing) return;
    const gone = new Map(vacated);
    for (const offset of leftBehind) gone.set(offset, now() + times.quarantineMs);
    await writer.submit((draft) => {
      const nowMs = now();
      for (const offset of network.heldOffsets()) {
        if (!draft.allocated.has(offset)) draft.take(offset);
      }
      for (const [offset, untilMs] of gone) {
        if (!isOurs(offset)) draft.release(offset, untilMs, nowMs);
      }
    });
    for (const [offset, untilMs] of gone) {
      if (vacated.get(offset) === untilMs) vacated.delete(offset);
      orphans.delete(offset);
    }
    this.#count(network.id);
  }

  /** @returns whether the network is gone */
  async #removeEmpty(kept: Kept, ledger: NetworkLedger): Promise<boolean> {
    const { known, network, writer, inFlight } = kept;
    const { now, times, look, store } = this.#options;
    if (!known.managed || ledger.allocated.length > 0 || inFlight.size > 0) return false;
    const nowMs = now();
    const rested = Math.max(0, ...ledger.resting.values());
    // The time of creation is told in whole seconds.
    const sinceMs = ledger.emptySinceMs ?? known.createdMs + 1_000;
    const dueMs = Math.max(sinceMs + times.emptyMs, rested);
    if (dueMs > nowMs || writer.busy || writer.version === undefined) {
      look(network.id, Math.max(dueMs - nowMs, 10));
      return false;
    }
    try {
      // Whoever takes a place meanwhile writes another version: then this fails, and if this comes first, that does.
      await store.deleteNetwork(network.id, known.uid, writer.version);
    } catch (error) {
      if (!(error instanceof StatusError && error.status.code === 409)) throw error;
      look(network.id, times.orphanMs);
      return false;
    }
    this.remove(network.id);
    return true;
  }

  /** A network that was full is looked at again by those who want a place, once there is one. */
  #openAgain({ network }: Kept, ledger: NetworkLedger): void {
    const { space, now, look } = this.#options;
    if (this.#unusable.has(network.id)) return;
    const nowMs = now();
    const held = (offset: number): boolean => network.isHeld(offset);
    if (ledger.findFree(network.range, network.next, held, nowMs) !== undefined) {
      space.setOpen(network.id, true);
      return;
    }
    const next = Math.min(...[...ledger.resting.values()].filter((untilMs) => untilMs > nowMs));
    if (Number.isFinite(next)) look(network.id, next - nowMs);
  }
}
