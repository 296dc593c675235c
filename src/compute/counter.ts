import { CompactMap } from "./compact-map.ts";

/** How often each key is in use. A key that is no longer in use leaves nothing behind. */
export class Counter<Key> {
  readonly #counts = new CompactMap<Key, number>();

  get size(): number {
    return this.#counts.size;
  }

  has(key: Key): boolean {
    return this.#counts.has(key);
  }

  /** Must not be used while keys come or go. */
  keys(): Iterable<Key> {
    return this.#counts.keys();
  }

  /** Whether this was the first use. */
  add(key: Key): boolean {
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    return count === 0;
  }

  /** Whether this was the last use. */
  remove(key: Key): boolean {
    const count = this.#counts.get(key) ?? 0;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
    return count === 1;
  }
}
