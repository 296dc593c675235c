/** A set of values for each key. A key without values leaves nothing behind. */
export class Multimap<Key, Value> {
  readonly #sets = new Map<Key, Set<Value>>();

  /** Number of keys. */
  get size(): number {
    return this.#sets.size;
  }

  get(key: Key): ReadonlySet<Value> {
    return this.#sets.get(key) ?? noValues;
  }

  has(key: Key, value: Value): boolean {
    return this.#sets.get(key)?.has(value) ?? false;
  }

  entries(): MapIterator<[Key, ReadonlySet<Value>]> {
    return this.#sets.entries();
  }

  add(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    set.delete(value);
    if (set.size === 0) this.#sets.delete(key);
  }

  deleteKey(key: Key): void {
    this.#sets.delete(key);
  }
}

const noValues: ReadonlySet<never> = new Set();
