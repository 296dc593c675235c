import { type Few, added, countOf, includes, valuesOf, without } from "./few.ts";

/** Values by key, each once, kept as `few.ts` says. A key without values leaves nothing behind. */
export class Multimap<Key, Value extends string | object> {
  readonly #entries = new Map<Key, Few<Value>>();

  /** Number of keys. */
  get size(): number {
    return this.#entries.size;
  }

  /** The values must not be added or deleted while they are gone through. */
  get(key: Key): Iterable<Value> {
    return valuesOf(this.#entries.get(key));
  }

  count(key: Key): number {
    return countOf(this.#entries.get(key));
  }

  has(key: Key, value: Value): boolean {
    return includes(this.#entries.get(key), value);
  }

  keys(): Iterable<Key> {
    return this.#entries.keys();
  }

  add(key: Key, value: Value): void {
    const before = this.#entries.get(key);
    const after = added(before, value);
    if (after !== before) this.#entries.set(key, after);
  }

  delete(key: Key, value: Value): void {
    const before = this.#entries.get(key);
    const after = without(before, value);
    if (countOf(after) === 0) this.#entries.delete(key);
    else if (after !== before) this.#entries.set(key, after);
  }
}
