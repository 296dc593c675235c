/** Up to this many values are kept in a list, which is several times smaller than a hash table and no slower. */
export const few = 8;

export const none: readonly never[] = [];

/** Lists are copied to their exact size: one that grows in place reserves room for sixteen more. */
export function appended<Value>(list: readonly Value[], value: Value): readonly Value[] {
  return list.length === 0 ? [value] : list.concat([value]);
}

export function without<Value>(list: readonly Value[], index: number): readonly Value[] {
  if (index < 0) return list;
  return list.length === 1 ? none : list.toSpliced(index, 1);
}

/**
 * A set for the many places that mostly hold one or two values. Their order is of no meaning, and values must not be
 * added or deleted while it is gone through.
 */
export class CompactSet<Value> {
  #few: readonly Value[] = none;
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
    else if (this.#few.length < few) this.#few = appended(this.#few, value);
    else {
      this.#many = new Set(this.#few).add(value);
      this.#few = none;
    }
  }

  delete(value: Value): void {
    if (this.#many !== undefined) {
      this.#many.delete(value);
      return;
    }
    this.#few = without(this.#few, this.#few.indexOf(value));
  }

  [Symbol.iterator](): Iterator<Value> {
    return (this.#many ?? this.#few).values();
  }
}
