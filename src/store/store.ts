// A revisioned key-value store. Its meaning is that of etcd's v3 API (KV, Watch, Lease), narrowed to what an API server
// needs, so that etcd itself can be one implementation.
//
// One revision counts the whole store: each transaction that writes raises it by one. Every answer is linearizable: a
// read that names no revision sees every write acknowledged before it began. What is acknowledged is durable, as far as
// the implementation is durable at all.

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Revision at which the key came into being, most recently. */
  readonly createRevision: number;
  /** Revision of the last write. */
  readonly modRevision: number;
  /** Writes since creation, the creation included. */
  readonly version: number;
  /** The lease that the key dies with. */
  readonly lease?: number;
}

export interface RangeRequest {
  /** Keys that begin with it. */
  readonly prefix: string;
  /** First key to return, included; at or after `prefix`. */
  readonly from?: string;
  /** Most keys to return. */
  readonly limit?: number;
  /** State to read; the present when absent. */
  readonly revision?: number;
}

export interface RangeResult {
  /** Revision of the store when it was read, whatever revision was asked for. */
  readonly revision: number;
  /** In the order of keys (by UTF-16 code unit, which for the ASCII keys in use is byte order). */
  readonly entries: readonly KeyValue[];
  /** Whether `limit` cut the answer short. */
  readonly more: boolean;
}

/** An absent key has version, createRevision and modRevision 0. */
export interface Compare {
  readonly key: string;
  readonly target: "version" | "createRevision" | "modRevision";
  readonly operator: "=" | "!=" | "<" | ">";
  readonly value: number;
}

export type Operation =
  | { readonly kind: "put"; readonly key: string; readonly value: string; readonly lease?: number }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "get"; readonly key: string };

export interface Transaction {
  /** All must hold for `success` to run. */
  readonly compare?: readonly Compare[];
  /** No key may be written twice. */
  readonly success: readonly Operation[];
  readonly failure?: readonly Operation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  /** The transaction's own revision if it wrote, else the store's. */
  readonly revision: number;
  /** One for each operation that ran: what `put` made, what `delete` removed, what `get` found. */
  readonly entries: readonly (KeyValue | undefined)[];
}

/** `entry` of a delete is what was deleted; `revision` is that of the deletion. */
export type StoreEvent =
  | {
      readonly kind: "put";
      readonly revision: number;
      readonly entry: KeyValue;
      readonly previous?: KeyValue;
    }
  | { readonly kind: "delete"; readonly revision: number; readonly entry: KeyValue };

/** Every matching event up to and with `revision` has been delivered once this batch has. */
export interface WatchBatch {
  readonly revision: number;
  /** In order of revision; the events of one revision are never split over two batches. */
  readonly events: readonly StoreEvent[];
}

export interface WatchRequest {
  readonly prefix: string;
  /** First revision to deliver; the next one to come when absent. */
  readonly startRevision?: number;
}

/**
 * Iterate it once. It pulls from the store's history: a slow reader holds no buffer and delays nobody, and learns by
 * CompactedError when it has fallen behind the history that is kept.
 */
export interface Watcher extends AsyncIterable<WatchBatch> {
  /** Asks for a batch even if it has no events, as soon as everything until now has been delivered. */
  requestProgress(): void;
  /** Ends the iteration. */
  close(): void;
}

export interface Store {
  /** @throws {CompactedError | FutureRevisionError} */
  range(request: RangeRequest): Promise<RangeResult>;
  get(key: string, revision?: number): Promise<KeyValue | undefined>;
  /** @throws {UnavailableError | LeaseNotFoundError} nothing of the transaction was kept */
  transact(transaction: Transaction): Promise<TransactionResult>;
  /** Iteration throws CompactedError or FutureRevisionError (when `startRevision` is beyond the next revision). */
  watch(request: WatchRequest): Watcher;
  currentRevision(): Promise<number>;
  /** The oldest revision that can be read; watches can start right after it. */
  compactedRevision(): Promise<number>;
  /** Forgets what was overwritten or deleted before `revision`. @throws {FutureRevisionError} */
  compact(revision: number): Promise<void>;
  /** Returns the lease's id. Keys put with it are deleted when it expires, in one transaction. */
  grantLease(ttlMs: number): Promise<number>;
  /** Starts the lease's time anew. @throws {LeaseNotFoundError} */
  keepLeaseAlive(lease: number): Promise<void>;
  /** Deletes the lease and its keys. @throws {LeaseNotFoundError} */
  revokeLease(lease: number): Promise<void>;
  /** Finishes what was begun, ends every watch and releases the files. Idempotent. */
  close(): Promise<void>;
}
