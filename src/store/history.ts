import { CompactedError, FutureRevisionError } from "./errors.ts";
import { SortedKeys } from "./sorted-keys.ts";
import type { KeyValue, RangeRequest, RangeResult, StoreEvent, WatchBatch } from "./store.ts";

/** Events after which a batch is closed, at the end of a revision. */
const batchLength = 1000;

/** Every key's versions since the last compaction, and the events that made them. */
export class History {
  /** What happened to each key, oldest first; the first may be from before the compaction. */
  readonly #versions = new Map<string, StoreEvent[]>();
  readonly #keys = new SortedKeys();
  /** Events after the compacted revision, in order of revision. */
  #log: StoreEvent[] = [];
  #revision: number;
  #compacted: number;

  /** An empty history, compacted at `revision`: the next one is the first that can be watched. */
  constructor(revision: number) {
    this.#revision = revision;
    this.#compacted = revision;
  }

  get revision(): number {
    return this.#revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  get(key: string, revision?: number): KeyValue | undefined {
    const at = this.#readable(revision);
    return visible(this.#versions.get(key), at);
  }

  range({ prefix, from, limit = Infinity, revision }: RangeRequest): RangeResult {
    const at = this.#readable(revision);
    const entries: KeyValue[] = [];
    for (const key of this.#keys.from(from !== undefined && from > prefix ? from : prefix)) {
      if (!key.startsWith(prefix)) break;
      const entry = visible(this.#versions.get(key), at);
      if (entry === undefined) continue;
      if (entries.length >= limit) return { revision: this.#revision, entries, more: true };
      entries.push(entry);
    }
    return { revision: this.#revision, entries, more: false };
  }

  /**
   * Adds an event at or after the newest revision. When a store is loaded, those of the compacted revision and before it
   * come first: they can be read, but not watched.
   */
  append(event: StoreEvent): void {
    const { key } = event.entry;
    const versions = this.#versions.get(key);
    if (versions === undefined) {
      this.#versions.set(key, [event]);
      this.#keys.add(key);
    } else {
      versions.push(event);
    }
    if (event.revision > this.#compacted) this.#log.push(event);
    this.#revision = Math.max(this.#revision, event.revision);
  }

  /** Events after revision `after`; the batch ends with a whole revision and may stop short of the present. */
  eventsAfter(after: number, prefix: string): WatchBatch {
    if (after < this.#compacted) throw new CompactedError(after, this.#compacted);
    if (after > this.#revision) throw new FutureRevisionError(after, this.#revision);
    const events: StoreEvent[] = [];
    for (let index = firstAfter(this.#log, after); index < this.#log.length; index++) {
      const event = this.#log[index]!;
      const last = events.at(-1);
      if (last !== undefined && events.length >= batchLength && event.revision !== last.revision) {
        return { revision: last.revision, events };
      }
      if (event.entry.key.startsWith(prefix)) events.push(event);
    }
    return { revision: this.#revision, events };
  }

  /** Drops what no read or watch after `revision` needs, and returns it. */
  compact(revision: number): StoreEvent[] {
    if (revision > this.#revision) throw new FutureRevisionError(revision, this.#revision);
    if (revision <= this.#compacted) return [];
    const end = firstAfter(this.#log, revision);
    const dropped: StoreEvent[] = [];
    for (const key of new Set(this.#log.slice(0, end).map((event) => event.entry.key))) {
      dropped.push(...this.#compactKey(key, revision));
    }
    this.#log = this.#log.slice(end);
    this.#compacted = revision;
    return dropped;
  }

  #compactKey(key: string, revision: number): StoreEvent[] {
    const versions = this.#versions.get(key) ?? [];
    const base = firstAfter(versions, revision) - 1;
    const event = versions[base];
    if (event === undefined) return [];
    const dropped = versions.splice(0, event.kind === "delete" ? base + 1 : base);
    if (event.kind === "put") {
      // The version that stays must not keep its predecessor in memory.
      versions[0] = { kind: "put", revision: event.revision, entry: event.entry };
    }
    if (versions.length === 0) {
      this.#versions.delete(key);
      this.#keys.remove(key);
    }
    return dropped;
  }

  #readable(revision: number = this.#revision): number {
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    if (revision > this.#revision) throw new FutureRevisionError(revision, this.#revision);
    return revision;
  }
}

function visible(
  versions: readonly StoreEvent[] | undefined,
  revision: number,
): KeyValue | undefined {
  if (versions === undefined) return undefined;
  const newest = versions.at(-1);
  const event =
    newest !== undefined && newest.revision <= revision
      ? newest
      : versions[firstAfter(versions, revision) - 1];
  return event?.kind === "put" ? event.entry : undefined;
}

/** Index of the first event after `revision`. */
function firstAfter(events: readonly StoreEvent[], revision: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (events[middle]!.revision <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
