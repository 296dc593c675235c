import { type Prefix, prefixMask, prefixOf, widthOf } from "../net/address.ts";

/**
 * Prefixes of one family in use, and where the next free one is. A place tried costs O(distinct lengths), however many are
 * taken. Searches go round: a prefix that was given back is the last to be given out again.
 */
export class TakenPrefixes {
  /** Prefix length → first address → how often it is taken. */
  readonly #byLength = new Map<number, Map<bigint, number>>();
  /** A length that was asked for → first address → how many longer taken prefixes lie within. */
  readonly #within = new Map<number, Map<bigint, number>>();
  /** Where the last search ended. */
  #cursor = 0n;
  /** Searches that found nothing since a prefix was last given back. */
  readonly #hopeless = new Set<string>();

  count(prefix: Prefix, change: 1 | -1): void {
    const { bits, length } = prefix;
    const taken = this.#byLength.get(length) ?? new Map<bigint, number>();
    add(taken, bits, change);
    if (taken.size === 0) this.#byLength.delete(length);
    else this.#byLength.set(length, taken);
    for (const [outer, within] of this.#within) {
      if (outer < length) add(within, prefixOf(prefix, outer).bits, change);
    }
    if (change === -1) this.#hopeless.clear();
  }

  /** Searches go on behind this prefix, or begin anew. */
  continueBehind(prefix: Prefix | undefined): void {
    this.#cursor = prefix === undefined ? 0n : endOf(prefix);
  }

  isFree(candidate: Prefix): boolean {
    return this.#behindOverlap(candidate) === undefined;
  }

  /** The next prefix of that length within the pools that overlaps nothing taken. */
  nextFree(pools: readonly Prefix[], length: number): Prefix | undefined {
    const search = `${length} ${pools.map(({ bits, length: own }) => `${bits}/${own}`).join()}`;
    if (this.#hopeless.has(search)) return undefined;
    const cursor = this.#cursor;
    const ends = pools.map(endOf);
    // A pool is looked through from the cursor to its end first, the part before the cursor last.
    const at = Math.max(
      0,
      pools.findIndex((pool, index) => cursor >= pool.bits && cursor < (ends[index] ?? 0n)),
    );
    const order = [...pools.slice(at), ...pools.slice(0, at)];
    for (const [index, pool] of order.entries()) {
      const begin = index === 0 && cursor > pool.bits && cursor < endOf(pool) ? cursor : pool.bits;
      const found = this.#search(pool, length, begin, endOf(pool));
      if (found !== undefined) return found;
    }
    const [first] = order;
    const found = first && this.#search(first, length, first.bits, endOf(first));
    if (found === undefined) this.#hopeless.add(search);
    return found;
  }

  #search(pool: Prefix, length: number, begin: bigint, end: bigint): Prefix | undefined {
    const { family } = pool;
    const wanted = Math.max(length, pool.length);
    const step = 1n << BigInt(widthOf(family) - wanted);
    let bits = roundUp(begin, step);
    while (bits < end) {
      const candidate = prefixOf({ family, bits }, wanted);
      const behind = this.#behindOverlap(candidate);
      if (behind === undefined) return candidate;
      bits = roundUp(behind, step);
    }
    return undefined;
  }

  /** The address behind something taken that overlaps the candidate, `undefined` when nothing does. */
  #behindOverlap(candidate: Prefix): bigint | undefined {
    const { bits, length, family } = candidate;
    for (const [takenLength, taken] of this.#byLength) {
      if (takenLength > length) continue;
      const outer = bits & prefixMask(family, takenLength);
      if (taken.has(outer)) return outer + (1n << BigInt(widthOf(family) - takenLength));
    }
    return this.#withinOf(candidate).has(bits) ? endOf(candidate) : undefined;
  }

  #withinOf({ family, length }: Prefix): Map<bigint, number> {
    const known = this.#within.get(length);
    if (known) return known;
    const within = new Map<bigint, number>();
    for (const [takenLength, taken] of this.#byLength) {
      if (takenLength <= length) continue;
      for (const [inner, uses] of taken) add(within, inner & prefixMask(family, length), uses);
    }
    this.#within.set(length, within);
    return within;
  }
}

function add(counts: Map<bigint, number>, key: bigint, change: number): void {
  const uses = (counts.get(key) ?? 0) + change;
  if (uses === 0) counts.delete(key);
  else counts.set(key, uses);
}

function endOf({ family, bits, length }: Prefix): bigint {
  return bits + (1n << BigInt(widthOf(family) - length));
}

function roundUp(bits: bigint, step: bigint): bigint {
  return ((bits + step - 1n) / step) * step;
}
