// Cuts networks out of a domain's pools. A part is claimed in the Domain, under the version that was read, before its
// Network is made: of two controllers only one can have it, and a claim that nobody follows up ends by itself.
import { StatusError } from "../apimachinery/errors.ts";
import type { AddressSpace, CutWish } from "../ipam/address-space.ts";
import type { DomainLedger } from "../ipam/domain-ledger.ts";
import type { AddressStore, DomainUsage } from "./address-store.ts";
import { AddressesExhaustedError } from "./errors.ts";
import type { KnownNetwork } from "./known-objects.ts";
import { LedgerGoneError, LedgerWriter, type Versioned } from "./ledger-writer.ts";
import type { AddressTimes } from "./network-keeper.ts";

export interface DomainKeeperOptions {
  readonly space: AddressSpace;
  readonly store: AddressStore;
  readonly times: AddressTimes;
  readonly now: () => number;
  /** How many places of the domain's networks are taken. */
  readonly usedOf: (domain: string) => number;
}

export interface Growth {
  readonly wish: CutWish;
  /** Equal for those who want the same. */
  readonly key: string;
}

interface Claim {
  readonly cidrs: readonly string[];
  readonly untilMs: number;
}

/** Claims are kept for at most so many networks that have been made: a Domain must stay a small object. */
const mostClaims = 512;

export class DomainKeeper {
  readonly #options: DomainKeeperOptions;
  readonly #writers = new Map<string, LedgerWriter<DomainLedger>>();
  /** Networks whose making has begun, by who wants them. */
  readonly #begun = new Map<string, Claim>();
  /** What the Domain says of itself, as this controller has last written it. */
  readonly #told = new Map<string, string>();

  constructor(options: DomainKeeperOptions) {
    this.#options = options;
  }

  set(name: string, known: Versioned<DomainLedger> | undefined): void {
    const { space, store } = this.#options;
    if (known === undefined) {
      this.#writers.delete(name);
      return;
    }
    const writer = this.#writers.get(name);
    if (writer) {
      writer.observe(known);
    } else {
      const access = store.domainLedger(name, () => this.#usageOf(name));
      this.#writers.set(name, new LedgerWriter(access, known));
    }
    const ledger = this.#writers.get(name)?.ledger ?? known.ledger;
    space.setClaims(name, ledger.claims.keys());
  }

  /**
   * Makes one more network for the zone. After a failure of unknown outcome the same key makes the same network again, if it
   * is not there yet.
   * @throws {AddressesExhaustedError}
   */
  async grow(domain: string, zone: string, { wish, key }: Growth): Promise<KnownNetwork> {
    const { store, now, times } = this.#options;
    const id = `${domain} ${zone} ${key}`;
    const begun = this.#begun.get(id);
    // What is left of the claim must cover the time that a request may take.
    const usable = begun !== undefined && begun.untilMs - now() > times.claimMs / 2;
    const claim = usable ? begun : await this.#claim(domain, wish);
    this.#begun.set(id, claim);
    try {
      const network = await store.createNetwork(zone, domain, claim.cidrs);
      this.#begun.delete(id);
      return network;
    } catch (error) {
      if (error instanceof StatusError && error.status.code < 500) {
        this.#begun.delete(id);
        await this.#unclaim(domain, claim.cidrs);
      }
      throw error;
    }
  }

  async #claim(domain: string, wish: CutWish): Promise<Claim> {
    const { space, times, now } = this.#options;
    const writer = this.#writers.get(domain);
    if (writer === undefined) {
      throw new AddressesExhaustedError(`domain "${domain}" does not exist`);
    }
    const untilMs = now() + times.claimMs;
    const cut = await writer.submit((draft) => {
      this.#prune(draft);
      space.setClaims(domain, draft.claims.keys());
      space.continueBehind(domain, draft.lastCut);
      const made = space.cut(domain, wish);
      if (made.kind === "refused") return made;
      draft.claim(made.cidrs, untilMs);
      if (!wish.around) draft.lastCut = made.cidrs;
      space.setClaims(domain, draft.claims.keys());
      return made;
    });
    if (cut.kind === "refused") throw new AddressesExhaustedError(cut.reason);
    return { cidrs: cut.cidrs, untilMs };
  }

  /** Nothing was made of it. */
  async #unclaim(domain: string, cidrs: readonly string[]): Promise<void> {
    await this.#writers.get(domain)?.submit((draft) => {
      for (const cidr of cidrs) draft.unclaim(cidr);
      this.#options.space.setClaims(domain, draft.claims.keys());
    });
  }

  /** Parts of the pools whose network has gone rest as addresses do. */
  async rest(domain: string, cidrs: readonly string[], untilMs: number): Promise<void> {
    const writer = this.#writers.get(domain);
    if (writer === undefined) return;
    try {
      await writer.submit((draft) => {
        this.#prune(draft);
        draft.claim(cidrs, untilMs);
        this.#options.space.setClaims(domain, draft.claims.keys());
      });
    } catch (error) {
      if (!(error instanceof LedgerGoneError)) throw error;
    }
  }

  /** Writes the domain's usage into it, when it is another than what was written. */
  async tell(domain: string): Promise<void> {
    const writer = this.#writers.get(domain);
    const usage = JSON.stringify(this.#usageOf(domain));
    if (writer === undefined || this.#told.get(domain) === usage) return;
    try {
      await writer.submit((draft) => {
        this.#prune(draft);
        draft.changed = true;
      });
      this.#told.set(domain, usage);
    } catch (error) {
      if (!(error instanceof LedgerGoneError)) throw error;
    }
    this.#options.space.setClaims(domain, writer.ledger?.claims.keys() ?? []);
  }

  /** Claims that have ended, and the oldest ones when there are very many. */
  #prune(draft: DomainLedger): void {
    draft.prune(this.#options.now());
    for (const cidr of [...draft.claims.keys()].slice(0, -mostClaims)) draft.claims.delete(cidr);
  }

  #usageOf(domain: string): DomainUsage {
    const { space, usedOf } = this.#options;
    return { ...space.usageOf(domain), used: usedOf(domain) };
  }
}
