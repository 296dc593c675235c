/**
 * What a place should hold, what it holds, and the difference, kept up to date with every call at O(1).
 *
 *           desired          actual
 *        +------------+------------+
 *        |  missing   |   both     |  surplus  |      pending updates   = missing + both where the values differ
 *        +------------+------------+-----------+      pending deletions = surplus
 *
 * A resync is `replaceActual` with what was read, whatever happened in between.
 */
export class DeltaTracker<Value> {
  readonly #equal: (a: Value, b: Value) => boolean;
  readonly #desired = new Map<string, Value>();
  #actual = new Map<string, Value>();
  readonly #updates = new Map<string, Value>();
  readonly #deletions = new Map<string, Value>();

  constructor(equal: (a: Value, b: Value) => boolean) {
    this.#equal = equal;
  }

  get desired(): ReadonlyMap<string, Value> {
    return this.#desired;
  }

  get actual(): ReadonlyMap<string, Value> {
    return this.#actual;
  }

  /** What is to be added or replaced. */
  get updates(): ReadonlyMap<string, Value> {
    return this.#updates;
  }

  /** What is to be removed, with the value that is there. */
  get deletions(): ReadonlyMap<string, Value> {
    return this.#deletions;
  }

  /** Whether actual and desired are equal. */
  get settled(): boolean {
    return this.#updates.size === 0 && this.#deletions.size === 0;
  }

  setDesired(key: string, value: Value | undefined): void {
    if (value === undefined) this.#desired.delete(key);
    else this.#desired.set(key, value);
    this.#compare(key);
  }

  setActual(key: string, value: Value | undefined): void {
    if (value === undefined) this.#actual.delete(key);
    else this.#actual.set(key, value);
    this.#compare(key);
  }

  /** Costs O(actual + desired). */
  replaceActual(entries: Iterable<readonly [string, Value]>): void {
    this.#actual = new Map(entries);
    this.#updates.clear();
    this.#deletions.clear();
    for (const key of this.#desired.keys()) this.#compare(key);
    for (const key of this.#actual.keys()) this.#compare(key);
  }

  #compare(key: string): void {
    const desired = this.#desired.get(key);
    const actual = this.#actual.get(key);
    if (desired !== undefined && (actual === undefined || !this.#equal(desired, actual))) {
      this.#updates.set(key, desired);
    } else {
      this.#updates.delete(key);
    }
    if (desired === undefined && actual !== undefined) this.#deletions.set(key, actual);
    else this.#deletions.delete(key);
  }
}
