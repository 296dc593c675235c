/** Up to this many values are kept in a list, which is several times smaller than a hash table and no slower. */
const few = 8;

/** As CompactMap, for values alone. */
export class CompactSet<Value> {
  #few: Value[] = [];
  #many: Set<Value> | undefined;

  get size(): number {
    return this.#many?.size ?? this.#few.length;
  }

  has(value: Value): boolean {
    return this.#many?.has(value) ?? this.#few.includes(value);
  }

  add(value: Value): void {
    if (this.#many !== undefined) this.#many.add(value);
    else if (this.#few.includes(value)) return;
    else if (this.#few.length < few) this.#few.push(value);
    else {
      this.#many = new Set(this.#few).add(value);
      this.#few = [];
    }
  }

  delete(value: Value): void {
    if (this.#many !== undefined) {
      this.#many.delete(value);
      return;
    }
    const index = this.#few.indexOf(value);
    if (index >= 0) this.#few.splice(index, 1);
  }

  [Symbol.iterator](): Iterator<Value> {
    return (this.#many ?? this.#few).values();
  }
}
