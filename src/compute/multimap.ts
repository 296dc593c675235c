/**
 * Values by key, each once. A key without values leaves nothing behind, and a key with one value costs no set. Values
 * must not be sets themselves.
 */
export class Multimap<Key, Value> {
  readonly #entries = new Map<Key, Value | Set<Value>>();

  /** Number of keys. */
  get size(): number {
    return this.#entries.size;
  }

  /** The values must not be added or deleted while they are gone through. */
  get(key: Key): Iterable<Value> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return noValues;
    return entry instanceof Set ? entry : [entry];
  }

  count(key: Key): number {
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    return entry instanceof Set ? entry.size : 1;
  }

  has(key: Key, value: Value): boolean {
    const entry = this.#entries.get(key);
    return entry instanceof Set ? entry.has(value) : entry !== undefined && entry === value;
  }

  keys(): Iterable<Key> {
    return this.#entries.keys();
  }

  add(key: Key, value: Value): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) this.#entries.set(key, value);
    else if (entry instanceof Set) entry.add(value);
    else if (entry !== value) this.#entries.set(key, new Set([entry, value]));
  }

  delete(key: Key, value: Value): void {
    const entry = this.#entries.get(key);
    if (entry instanceof Set) {
      entry.delete(value);
      if (entry.size === 0) this.#entries.delete(key);
    } else if (entry === value) {
      this.#entries.delete(key);
    }
  }
}

const noValues: readonly never[] = [];
