import type { KindDefinition } from "../apimachinery/kind.ts";
import type { Store } from "../store/store.ts";

/** Events are told and forgotten. */
const eventTtlMs = 60 * 60 * 1000;
/** Objects written within this time share a lease, so that leases stay few. */
const sharedForMs = 60 * 1000;

/** Leases for objects that expire by themselves. */
export class ExpiryLeases {
  readonly #store: Store;
  readonly #now: () => Date;
  #current: { readonly lease: Promise<number>; readonly sinceMs: number } | undefined;

  constructor(store: Store, now: () => Date) {
    this.#store = store;
    this.#now = now;
  }

  /** The lease to write an object of the kind with, if it is of a kind that expires. */
  async leaseFor(kind: KindDefinition): Promise<number | undefined> {
    if (kind.kind !== "Event") return undefined;
    const nowMs = this.#now().getTime();
    if (this.#current === undefined || nowMs - this.#current.sinceMs > sharedForMs) {
      const lease = this.#store.grantLease(eventTtlMs + sharedForMs);
      this.#current = { lease, sinceMs: nowMs };
      lease.catch(() => {
        this.#current = undefined;
      });
    }
    return await this.#current.lease;
  }
}
