/** Up to this many values are kept in a list, which is several times smaller than a hash table and no slower. */
export const few = 8;

/**
 * A set for the many places that mostly hold one or two values: one is kept as it is, some in a list, many in a set. Their
 * order is of no meaning, and they must not be added or deleted while they are gone through. Values must be neither
 * lists nor sets.
 */
export class CompactSet<Value extends string | object> {
  #store: undefined | Value | readonly Value[] | Set<Value>;

  get size(): number {
    const store = this.#store;
    if (store === undefined) return 0;
    if (store instanceof Set) return store.size;
    return isList(store) ? store.length : 1;
  }

  has(value: Value): boolean {
    const store = this.#store;
    if (store === undefined || store === value) return store !== undefined;
    if (store instanceof Set) return store.has(value);
    return isList(store) && store.includes(value);
  }

  add(value: Value): void {
    const store = this.#store;
    if (store === undefined) this.#store = value;
    else if (store instanceof Set) store.add(value);
    else if (this.has(value)) return;
    else if (!isList(store)) this.#store = [store, value];
    // Copied to the exact size: a list that grows in place reserves room for sixteen more.
    else if (store.length < few) this.#store = store.concat([value]);
    else this.#store = new Set(store).add(value);
  }

  delete(value: Value): void {
    const store = this.#store;
    if (store === value) {
      this.#store = undefined;
    } else if (store instanceof Set) {
      store.delete(value);
    } else if (isList(store)) {
      this.#store = unwrapped<Value>(store.filter((each) => each !== value));
    }
  }

  [Symbol.iterator](): Iterator<Value> {
    const store = this.#store;
    if (store === undefined) return none.values();
    if (store instanceof Set) return store.values();
    return (isList(store) ? store : [store]).values();
  }
}

export const none: readonly never[] = [];

export function isList<Value>(
  store: undefined | Value | readonly Value[],
): store is readonly Value[] {
  return Array.isArray(store);
}

/** A list as it is stored: one value stands alone. */
export function unwrapped<Value>(list: readonly Value[]): undefined | Value | readonly Value[] {
  return list.length > 1 ? list : list[0];
}
