import { type Prefix, prefixMask, prefixOf, widthOf } from "../net/address.ts";

/** Prefixes of one family in use, and where the next free one is: O(distinct lengths) for each place tried. */
export class TakenPrefixes {
  /** Prefix length → first address → how often it is taken. */
  readonly #byLength = new Map<number, Map<bigint, number>>();
  /** Where the last search ended: networks are mostly added, so the next one starts behind it. */
  #cursor = 0n;

  count({ bits, length }: Prefix, change: 1 | -1): void {
    const taken = this.#byLength.get(length) ?? new Map<bigint, number>();
    const uses = (taken.get(bits) ?? 0) + change;
    if (uses === 0) taken.delete(bits);
    else taken.set(bits, uses);
    if (taken.size === 0) this.#byLength.delete(length);
    else this.#byLength.set(length, taken);
    // What is given back may lie before the cursor; start over so that pools stay dense.
    if (change === -1) this.#cursor = 0n;
  }

  /** The lowest prefix of that length within the pools that overlaps nothing taken. */
  firstFree(pools: readonly Prefix[], length: number): Prefix | undefined {
    for (const pool of pools) {
      const width = widthOf(pool.family);
      const wanted = Math.max(length, pool.length);
      const step = 1n << BigInt(width - wanted);
      const end = pool.bits + (1n << BigInt(width - pool.length));
      const begin = this.#cursor >= pool.bits && this.#cursor < end ? this.#cursor : pool.bits;
      let bits = begin & prefixMask(pool.family, wanted);
      while (bits < end) {
        const candidate = prefixOf({ family: pool.family, bits }, wanted);
        const behind = this.#endOfOverlap(candidate, width);
        if (behind === undefined) {
          this.#cursor = bits;
          return candidate;
        }
        bits = ((behind + step - 1n) / step) * step;
      }
    }
    return undefined;
  }

  /** The address behind something taken that overlaps the candidate, `undefined` when nothing does. */
  #endOfOverlap(candidate: Prefix, width: number): bigint | undefined {
    const { bits, length, family } = candidate;
    for (const [takenLength, taken] of this.#byLength) {
      const size = 1n << BigInt(width - takenLength);
      if (takenLength <= length) {
        const outer = bits & prefixMask(family, takenLength);
        if (taken.has(outer)) return outer + size;
      } else {
        const end = bits + (1n << BigInt(width - length));
        for (const inner of taken.keys()) if (inner >= bits && inner < end) return inner + size;
      }
    }
    return undefined;
  }
}
