// What is written down in a Network about its places: which are taken, and which rest after use. A place is written down as
// taken before an endpoint gets it, and it is written under the version that was read, so that of two writers who want
// the same place only one can have it, and a late write of somebody who died changes nothing.
import { OffsetSet } from "./offset-set.ts";

/** As it stands in a Network's status. Times are in RFC 3339. */
export interface LedgerStatus {
  readonly allocated?: string | undefined;
  readonly resting?: readonly { readonly offsets: string; readonly until: string }[] | undefined;
  readonly emptySince?: string | undefined;
}

/** Networks are not filled beyond this many places, whatever their prefix: their bookkeeping stays small. */
export const offsetLimit = 65_536;

export class NetworkLedger {
  readonly allocated: OffsetSet;
  /** Places that were given back → when they may be given out again, in milliseconds since 1970. */
  readonly resting: Map<number, number>;
  /** Since when no place has been taken. */
  emptySinceMs: number | undefined;
  /** Whether it differs from what it was made from. */
  changed = false;

  private constructor(
    allocated: OffsetSet,
    resting: Map<number, number>,
    emptySinceMs: number | undefined,
  ) {
    this.allocated = allocated;
    this.resting = resting;
    this.emptySinceMs = emptySinceMs;
  }

  /** What cannot be read is left out: the endpoints themselves say what is taken. */
  static parse(status: LedgerStatus | undefined): NetworkLedger {
    const allocated = OffsetSet.parse(status?.allocated ?? "", offsetLimit) ?? new OffsetSet();
    const resting = new Map<number, number>();
    for (const { offsets, until } of status?.resting ?? []) {
      const untilMs = Date.parse(until);
      if (Number.isNaN(untilMs)) continue;
      for (const offset of OffsetSet.parse(offsets, offsetLimit) ?? [])
        resting.set(offset, untilMs);
    }
    const sinceMs = Date.parse(status?.emptySince ?? "");
    return new NetworkLedger(allocated, resting, Number.isNaN(sinceMs) ? undefined : sinceMs);
  }

  clone(): NetworkLedger {
    const { allocated, resting, emptySinceMs } = this;
    return new NetworkLedger(allocated.clone(), new Map(resting), emptySinceMs);
  }

  isFree(offset: number, nowMs: number): boolean {
    return !this.allocated.has(offset) && (this.resting.get(offset) ?? 0) <= nowMs;
  }

  take(offset: number): void {
    this.allocated.add(offset);
    this.resting.delete(offset);
    this.emptySinceMs = undefined;
    this.changed = true;
  }

  /** Gives a place back; it is not given out before `untilMs`. */
  release(offset: number, untilMs: number, nowMs: number): void {
    if (!this.allocated.has(offset)) return;
    this.allocated.delete(offset);
    if (untilMs > nowMs) this.resting.set(offset, untilMs);
    if (this.allocated.length === 0) this.emptySinceMs = nowMs;
    this.changed = true;
  }

  /** The first free place from `begin` on, going round at `end`; `undefined` when there is none. */
  findFree(
    range: OffsetRange,
    from: number,
    isHeld: (offset: number) => boolean,
    nowMs: number,
  ): number | undefined {
    const free = (offset: number): boolean => this.isFree(offset, nowMs) && !isHeld(offset);
    return (
      this.#gapWhere(free, Math.max(from, range.begin), range.end) ??
      this.#gapWhere(free, range.begin, Math.min(from, range.end))
    );
  }

  #gapWhere(free: (offset: number) => boolean, begin: number, end: number): number | undefined {
    let offset = this.allocated.firstGap(begin, end);
    while (offset !== undefined && !free(offset)) offset = this.allocated.firstGap(offset + 1, end);
    return offset;
  }

  /** Rested places are left out: nothing is to be known of them any more. */
  render(nowMs: number): LedgerStatus {
    const byTime = new Map<number, OffsetSet>();
    for (const [offset, untilMs] of this.resting) {
      if (untilMs <= nowMs) continue;
      const second = Math.ceil(untilMs / 1000);
      const offsets = byTime.get(second) ?? new OffsetSet();
      offsets.add(offset);
      byTime.set(second, offsets);
    }
    const resting = [...byTime]
      .toSorted(([a], [b]) => a - b)
      .map(([second, offsets]) => ({
        offsets: offsets.format(),
        until: formatTime(second * 1000),
      }));
    return {
      allocated: this.allocated.format(),
      ...(resting.length > 0 && { resting }),
      ...(this.emptySinceMs !== undefined && { emptySince: formatTime(this.emptySinceMs) }),
    };
  }
}

/** Places that may be given out: from `begin` to before `end`. */
export interface OffsetRange {
  readonly begin: number;
  readonly end: number;
}

/** In whole seconds; rounded up, so that no rest is cut short. */
function formatTime(ms: number): string {
  return new Date(Math.ceil(ms / 1000) * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
