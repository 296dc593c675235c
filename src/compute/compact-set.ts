import { type Few, added, countOf, includes, valuesOf, without } from "./few.ts";

/** A set that is small while it holds few values; `few.ts` says what to heed. */
export class CompactSet<Value extends string | object> {
  #values: Few<Value>;

  get size(): number {
    return countOf(this.#values);
  }

  has(value: Value): boolean {
    return includes(this.#values, value);
  }

  add(value: Value): void {
    this.#values = added(this.#values, value);
  }

  delete(value: Value): void {
    this.#values = without(this.#values, value);
  }

  [Symbol.iterator](): Iterator<Value> {
    return valuesOf(this.#values)[Symbol.iterator]();
  }
}
