// Places in a network, counted from its first address: as bits while they are worked with, as text where they are kept.

const bitsPerWord = 32;

/** Whole numbers from 0 up to a limit. Membership is O(1), a search for a gap O(1) for each 32 places passed over. */
export class OffsetSet {
  #words = new Uint32Array(8);
  #length = 0;

  /** Such as `1-20,25`, as `format` writes it; `undefined` for other text. */
  static parse(text: string, limit: number): OffsetSet | undefined {
    const set = new OffsetSet();
    if (text === "") return set;
    for (const part of text.split(",")) {
      const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part);
      const first = Number(match?.[1] ?? Number.NaN);
      const last = Number(match?.[2] ?? first);
      if (!(first <= last && last < limit)) return undefined;
      for (let offset = first; offset <= last; offset++) set.add(offset);
    }
    return set;
  }

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  has(offset: number): boolean {
    const word = this.#words[Math.floor(offset / bitsPerWord)] ?? 0;
    return (word & (1 << (offset % bitsPerWord))) !== 0;
  }

  add(offset: number): void {
    if (this.has(offset)) return;
    const index = Math.floor(offset / bitsPerWord);
    if (index >= this.#words.length) {
      const grown = new Uint32Array(Math.max(index + 1, this.#words.length * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words[index] = (this.#words[index] ?? 0) | (1 << (offset % bitsPerWord));
    this.#length += 1;
  }

  delete(offset: number): void {
    if (!this.has(offset)) return;
    const index = Math.floor(offset / bitsPerWord);
    this.#words[index] = (this.#words[index] ?? 0) & ~(1 << (offset % bitsPerWord));
    this.#length -= 1;
  }

  /** The first number from `begin` on, before `end`, that is not in the set. */
  firstGap(begin: number, end: number): number | undefined {
    let offset = begin;
    while (offset < end) {
      const word = this.#words[Math.floor(offset / bitsPerWord)] ?? 0;
      if (offset % bitsPerWord === 0 && word === 0xffff_ffff) offset += bitsPerWord;
      else if (this.has(offset)) offset += 1;
      else return offset;
    }
    return undefined;
  }

  clone(): OffsetSet {
    const copy = new OffsetSet();
    copy.#words = this.#words.slice();
    copy.#length = this.#length;
    return copy;
  }

  /** In order. */
  *[Symbol.iterator](): Generator<number, void, undefined> {
    for (const [index, word] of this.#words.entries()) {
      if (word === 0) continue;
      for (let bit = 0; bit < bitsPerWord; bit++) {
        if ((word & (1 << bit)) !== 0) yield index * bitsPerWord + bit;
      }
    }
  }

  /** Runs in order, such as `1-20,25`. */
  format(): string {
    const parts: string[] = [];
    let first: number | undefined;
    let last = -2;
    const close = (): void => {
      if (first !== undefined) parts.push(first === last ? String(first) : `${first}-${last}`);
    };
    for (const offset of this) {
      if (offset !== last + 1) {
        close();
        first = offset;
      }
      last = offset;
    }
    close();
    return parts.join(",");
  }
}
