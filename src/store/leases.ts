import type { LeaseRecord } from "./journal.ts";
import type { KeyValue, StoreEvent } from "./store.ts";

interface Lease {
  readonly ttlMs: number;
  expiresAtMs: number;
  readonly keys: Set<string>;
}

/** Which leases there are, when they expire and which keys die with them. */
export class Leases {
  readonly #leases = new Map<number, Lease>();

  add({ id, ttlMs }: LeaseRecord, nowMs: number): void {
    this.#leases.set(id, { ttlMs, expiresAtMs: nowMs + ttlMs, keys: new Set() });
  }

  has(id: number): boolean {
    return this.#leases.has(id);
  }

  renew(id: number, nowMs: number): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.expiresAtMs = nowMs + lease.ttlMs;
  }

  remove(id: number): void {
    this.#leases.delete(id);
  }

  keysOf(id: number): string[] {
    return [...(this.#leases.get(id)?.keys ?? [])];
  }

  /** Follows what an event does to the keys of leases. */
  observe(event: StoreEvent): void {
    const { entry } = event;
    if (event.kind === "delete") return this.#detach(entry);
    if (event.previous !== undefined) this.#detach(event.previous);
    if (entry.lease !== undefined) this.#leases.get(entry.lease)?.keys.add(entry.key);
  }

  expired(nowMs: number): number[] {
    return [...this.#leases].filter(([, lease]) => lease.expiresAtMs <= nowMs).map(([id]) => id);
  }

  /** When the next lease expires, if there is any. */
  nextExpiryMs(): number | undefined {
    if (this.#leases.size === 0) return undefined;
    return Math.min(...[...this.#leases.values()].map((lease) => lease.expiresAtMs));
  }

  #detach(entry: KeyValue): void {
    if (entry.lease !== undefined) this.#leases.get(entry.lease)?.keys.delete(entry.key);
  }
}
