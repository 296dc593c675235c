import { appended, few, none, without } from "./compact-set.ts";

/** As CompactSet, with a value for each key. */
export class CompactMap<Key, Value> {
  #keys: readonly Key[] = none;
  #values: readonly Value[] = none;
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
      this.#values = this.#values.with(index, value);
    } else if (this.#keys.length < few) {
      this.#keys = appended(this.#keys, key);
      this.#values = appended(this.#values, value);
    } else {
      this.#many = new Map(this.#keys.map((each, at) => [each, this.#values[at] as Value]));
      this.#many.set(key, value);
      this.#keys = none;
      this.#values = none;
    }
  }

  delete(key: Key): void {
    if (this.#many !== undefined) {
      this.#many.delete(key);
      return;
    }
    const index = this.#keys.indexOf(key);
    this.#keys = without(this.#keys, index);
    this.#values = without(this.#values, index);
  }

  keys(): Iterable<Key> {
    return this.#many?.keys() ?? this.#keys;
  }

  values(): Iterable<Value> {
    return this.#many?.values() ?? this.#values;
  }

  *entries(): Generator<[Key, Value], void, undefined> {
    if (this.#many !== undefined) yield* this.#many;
    else for (const [index, key] of this.#keys.entries()) yield [key, this.#values[index] as Value];
  }
}
