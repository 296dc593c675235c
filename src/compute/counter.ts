import { fewAtMost, isList, unwrapped } from "./few.ts";

/**
 * How often each key is in use. Kept as `few.ts` keeps sets, with a key in the list once for each use. A key that is no
 * longer in use leaves nothing behind.
 */
export class Counter<Key extends string | object> {
  #store: undefined | Key | readonly Key[] | Map<Key, number>;

  get isEmpty(): boolean {
    return this.#store === undefined || (this.#store instanceof Map && this.#store.size === 0);
  }

  has(key: Key): boolean {
    const store = this.#store;
    if (store === undefined || store === key) return store !== undefined;
    if (store instanceof Map) return store.has(key);
    return isList(store) && store.includes(key);
  }

  /** Some perhaps more than once. They must not come or go meanwhile. */
  keys(): Iterable<Key> {
    const store = this.#store;
    if (store === undefined) return [];
    if (store instanceof Map) return store.keys();
    return isList(store) ? store : [store];
  }

  /** Whether this was the first use. */
  add(key: Key): boolean {
    const first = !this.has(key);
    const store = this.#store;
    if (store === undefined) this.#store = key;
    else if (store instanceof Map) store.set(key, (store.get(key) ?? 0) + 1);
    else if (!isList(store)) this.#store = [store, key];
    else if (store.length < fewAtMost) this.#store = store.concat([key]);
    else this.#store = countUses([...store, key]);
    return first;
  }

  /** Whether this was the last use. */
  remove(key: Key): boolean {
    const store = this.#store;
    if (store instanceof Map) {
      const count = store.get(key) ?? 0;
      if (count > 1) store.set(key, count - 1);
      else store.delete(key);
      return count === 1;
    }
    if (isList(store)) {
      const index = store.indexOf(key);
      if (index < 0) return false;
      const left = store.toSpliced(index, 1);
      this.#store = unwrapped(left);
      return !left.includes(key);
    }
    if (store !== key) return false;
    this.#store = undefined;
    return true;
  }
}

function countUses<Key>(uses: readonly Key[]): Map<Key, number> {
  const counts = new Map<Key, number>();
  for (const key of uses) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
