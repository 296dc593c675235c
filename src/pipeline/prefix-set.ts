import { type Address, type Prefix, prefixContains, prefixMask, widthOf } from "../net/address.ts";

/** By first address, then the wider one first: so the prefixes within a prefix stand directly behind it. */
function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.bits !== b.bits) return a.bits < b.bits ? -1 : 1;
  return a.length - b.length;
}

/** Prefixes of one family. Looking up costs O(log n), changing O(n) moves of a word. */
export class PrefixSet {
  readonly #sorted: Prefix[] = [];
  /** Length → how many. */
  readonly #lengths = new Map<number, number>();

  get size(): number {
    return this.#sorted.length;
  }

  #position(prefix: Prefix): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const member = this.#sorted[middle];
      if (member !== undefined && comparePrefixes(member, prefix) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(prefix: Prefix): boolean {
    const found = this.#sorted[this.#position(prefix)];
    return found !== undefined && comparePrefixes(found, prefix) === 0;
  }

  add(prefix: Prefix): void {
    if (this.has(prefix)) return;
    this.#sorted.splice(this.#position(prefix), 0, prefix);
    this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
  }

  delete(prefix: Prefix): void {
    if (!this.has(prefix)) return;
    this.#sorted.splice(this.#position(prefix), 1);
    const left = (this.#lengths.get(prefix.length) ?? 0) - 1;
    if (left > 0) this.#lengths.set(prefix.length, left);
    else this.#lengths.delete(prefix.length);
  }

  /** The members within a prefix, itself included. */
  *within(prefix: Prefix): Iterable<Prefix> {
    for (let index = this.#position(prefix); index < this.#sorted.length; index++) {
      const member = this.#sorted[index];
      if (member === undefined || !prefixContains(prefix, member)) return;
      yield member;
    }
  }

  /** The members around an address or prefix, itself included, in no order. */
  *around(inner: Prefix | Address): Iterable<Prefix> {
    const longest = "length" in inner ? inner.length : widthOf(inner.family);
    for (const length of this.#lengths.keys()) {
      if (length > longest) continue;
      const bits = inner.bits & prefixMask(inner.family, length);
      const candidate = { family: inner.family, bits, length };
      if (this.has(candidate)) yield candidate;
    }
  }
}
