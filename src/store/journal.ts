import type { KeyValue } from "./store.ts";

export interface LeaseRecord {
  readonly id: number;
  readonly ttlMs: number;
}

/** A write of one key; without an entry it was deleted. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  readonly entry: KeyValue | undefined;
}

export interface JournalState {
  /** Of the changes at or before it only the newest of each key are there. At least the store's first revision. */
  readonly compacted: number;
  /** In order of revision. */
  readonly changes: Iterable<Change>;
  readonly leases: readonly LeaseRecord[];
  /** The highest lease id ever given. */
  readonly lastLease: number;
}

/** Where an embedded store's changes are kept. Each call is durable when it returns, or throws and kept nothing. */
export interface Journal {
  load(): JournalState;
  append(changes: readonly Change[]): void;
  /** Notes how far history has been forgotten. */
  setCompacted(revision: number): void;
  /** Forgets changes at or before the compacted revision. Those left over at a crash are only waste. */
  drop(changes: readonly Change[]): void;
  addLease(lease: LeaseRecord): void;
  removeLease(id: number): void;
  close(): void;
}

/** Keeps nothing: the journal of a store that lives in memory. `revision` is what the store begins at. */
export function makeVolatileJournal(revision: number): Journal {
  return {
    load: () => ({ compacted: revision, changes: [], leases: [], lastLease: 0 }),
    append() {},
    setCompacted() {},
    drop() {},
    addLease() {},
    removeLease() {},
    close() {},
  };
}
