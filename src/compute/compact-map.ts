/** Up to this many entries are kept in a list, which is several times smaller than a hash table and no slower. */
const few = 8;

/**
 * A map for the many places that mostly hold one or two entries. Order of iteration is of no meaning, and entries must
 * not be added or deleted meanwhile.
 */
export class CompactMap<Key, Value> {
  #keys: Key[] = [];
  #values: Value[] = [];
  #many: Map<Key, Value> | undefined;

  get size(): number {
    return this.#many?.size ?? this.#keys.length;
  }

  has(key: Key): boolean {
    return this.#many?.has(key) ?? this.#keys.includes(key);
  }

  get(key: Key): Value | undefined {
    return this.#many === undefined ? this.#values[this.#keys.indexOf(key)] : this.#many.get(key);
  }

  set(key: Key, value: Value): void {
    if (this.#many !== undefined) {
      this.#many.set(key, value);
      return;
    }
    const index = this.#keys.indexOf(key);
    if (index >= 0) {
      this.#values[index] = value;
    } else if (this.#keys.length < few) {
      this.#keys.push(key);
      this.#values.push(value);
    } else {
      this.#many = new Map(this.#keys.map((each, at) => [each, this.#values[at] as Value]));
      this.#many.set(key, value);
      this.#keys = [];
      this.#values = [];
    }
  }

  delete(key: Key): void {
    if (this.#many !== undefined) {
      this.#many.delete(key);
      return;
    }
    const index = this.#keys.indexOf(key);
    if (index < 0) return;
    this.#keys.splice(index, 1);
    this.#values.splice(index, 1);
  }

  keys(): Iterable<Key> {
    return this.#many?.keys() ?? this.#keys;
  }

  values(): Iterable<Value> {
    return this.#many?.values() ?? this.#values;
  }
}
