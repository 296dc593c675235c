import { type LeaseClock, systemLeaseClock } from "./clock.ts";
import { LeaseNotFoundError, UnavailableError } from "./errors.ts";
import { HistoryWatcher } from "./history-watcher.ts";
import { History } from "./history.ts";
import type { Journal } from "./journal.ts";
import { Leases } from "./leases.ts";
import { Stage } from "./stage.ts";
import type {
  KeyValue,
  RangeRequest,
  RangeResult,
  Store,
  StoreEvent,
  Transaction,
  TransactionResult,
  WatchRequest,
  Watcher,
} from "./store.ts";

/** Transactions that share one commit of the journal. */
const commitLength = 500;
/** Changes that compaction drops in one commit, so that requests get their turn between them. */
const dropLength = 2000;

interface Pending {
  readonly transaction: Transaction;
  readonly resolve: (result: TransactionResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A store inside this process: all state in memory, changes kept by a journal. Transactions that arrive together are
 * committed together; none is visible to reads, watches or its own caller before the journal has it.
 */
export class EmbeddedStore implements Store {
  readonly #journal: Journal;
  readonly #clock: LeaseClock;
  readonly #history: History;
  readonly #leases = new Leases();
  readonly #watchers = new Set<HistoryWatcher>();
  #lastLease: number;
  #pending: Pending[] = [];
  #committing: Promise<void> | undefined;
  #cancelExpiry: (() => void) | undefined;
  #closed = false;

  /** Owns the journal from now on. */
  constructor(journal: Journal, clock: LeaseClock = systemLeaseClock) {
    this.#journal = journal;
    this.#clock = clock;
    const { compacted, changes, leases, lastLease } = journal.load();
    this.#history = new History(compacted);
    this.#lastLease = lastLease;
    // A lease's time begins anew with the store: its holder could not reach it meanwhile.
    for (const lease of leases) this.#leases.add(lease, clock.nowMs());
    for (const { revision, key, entry } of changes) {
      const previous = this.#history.get(key);
      if (entry !== undefined) {
        this.#apply([{ kind: "put", revision, entry, ...(previous && { previous }) }]);
      } else if (previous !== undefined) {
        this.#apply([{ kind: "delete", revision, entry: previous }]);
      }
    }
    this.#scheduleExpiry();
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    this.#assertOpen();
    return this.#history.range(request);
  }

  async get(key: string, revision?: number): Promise<KeyValue | undefined> {
    this.#assertOpen();
    return this.#history.get(key, revision);
  }

  async currentRevision(): Promise<number> {
    this.#assertOpen();
    return this.#history.revision;
  }

  async compactedRevision(): Promise<number> {
    this.#assertOpen();
    return this.#history.compacted;
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.#assertOpen();
    return await new Promise((resolve, reject) => {
      this.#pending.push({ transaction, resolve, reject });
      this.#committing ??= this.#commitPending();
    });
  }

  watch({ prefix, startRevision }: WatchRequest): Watcher {
    this.#assertOpen();
    const position = startRevision === undefined ? this.#history.revision : startRevision - 1;
    const watcher = new HistoryWatcher(this.#history, {
      prefix,
      position,
      onClose: (closed) => this.#watchers.delete(closed),
    });
    this.#watchers.add(watcher);
    return watcher;
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    const dropped = this.#history.compact(revision);
    this.#write(() => this.#journal.setCompacted(this.#history.compacted));
    for (let index = 0; index < dropped.length && !this.#closed; index += dropLength) {
      const part = dropped.slice(index, index + dropLength);
      this.#write(() =>
        this.#journal.drop(
          part.map((event) => ({
            revision: event.revision,
            key: event.entry.key,
            entry: undefined,
          })),
        ),
      );
      await nextTurn();
    }
  }

  async grantLease(ttlMs: number): Promise<number> {
    this.#assertOpen();
    const lease = { id: this.#lastLease + 1, ttlMs };
    this.#write(() => this.#journal.addLease(lease));
    this.#lastLease = lease.id;
    this.#leases.add(lease, this.#clock.nowMs());
    this.#scheduleExpiry();
    return lease.id;
  }

  async keepLeaseAlive(lease: number): Promise<void> {
    this.#assertOpen();
    if (!this.#leases.has(lease)) throw new LeaseNotFoundError(lease);
    this.#leases.renew(lease, this.#clock.nowMs());
    this.#scheduleExpiry();
  }

  async revokeLease(lease: number): Promise<void> {
    this.#assertOpen();
    if (!this.#leases.has(lease)) throw new LeaseNotFoundError(lease);
    // Writes under way may still attach keys; they are committed in order, before this one is.
    await this.#committing;
    const success = this.#leases.keysOf(lease).map((key) => ({ kind: "delete", key }) as const);
    this.#leases.remove(lease);
    await this.transact({ success });
    this.#write(() => this.#journal.removeLease(lease));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelExpiry?.();
    await this.#committing;
    for (const watcher of this.#watchers) watcher.close();
    this.#journal.close();
  }

  /** Commits what is pending, in turns: requests read from sockets in the same turn share a commit. */
  async #commitPending(): Promise<void> {
    while (this.#pending.length > 0) {
      await nextTurn();
      this.#commit(this.#pending.splice(0, commitLength));
    }
    this.#committing = undefined;
  }

  #commit(batch: readonly Pending[]): void {
    const stage = new Stage(this.#history, (lease) => this.#leases.has(lease));
    const finish: (() => void)[] = [];
    for (const { transaction, resolve, reject } of batch) {
      try {
        const result = stage.transact(transaction);
        finish.push(() => resolve(result));
      } catch (error) {
        reject(error);
      }
    }
    const { events } = stage;
    if (events.length > 0) {
      try {
        this.#write(() => this.#journal.append(stage.changes));
      } catch (error) {
        for (const { reject } of batch) reject(error);
        return;
      }
      this.#apply(events);
      for (const watcher of this.#watchers) watcher.observe(this.#history.revision, events);
    }
    for (const settle of finish) settle();
  }

  #apply(events: readonly StoreEvent[]): void {
    for (const event of events) {
      this.#history.append(event);
      this.#leases.observe(event);
    }
  }

  #scheduleExpiry(): void {
    this.#cancelExpiry?.();
    this.#cancelExpiry = undefined;
    const atMs = this.#leases.nextExpiryMs();
    if (atMs === undefined || this.#closed) return;
    const delayMs = Math.max(0, atMs - this.#clock.nowMs());
    this.#cancelExpiry = this.#clock.after(delayMs, () => void this.#expire());
  }

  async #expire(): Promise<void> {
    const expired = this.#leases.expired(this.#clock.nowMs());
    // A lease that could not be revoked (disk full) is tried again by the next expiry or restart.
    await Promise.allSettled(expired.map((lease) => this.revokeLease(lease)));
    this.#scheduleExpiry();
  }

  #write(write: () => void): void {
    try {
      write();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new UnavailableError(`the store could not write: ${why}`, { cause });
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new UnavailableError("the store is closed");
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
