// One copy of what many objects say alike: the labels, ports and owners of a Deployment's pods, names of nodes and namespaces.
// JSON gives each object its own.

/** Entries of one generation; two are kept. What falls out is only not shared with what comes later. */
const generationLength = 20_000;

export class Shared<Value> {
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /** A value that is equal to this one; nobody may change it. `key` is equal for equal values. */
  of(value: Value, key: string = JSON.stringify(value)): Value {
    const kept = this.#young.get(key) ?? this.#old.get(key) ?? value;
    if (this.#young.size >= generationLength) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, kept);
    return kept;
  }
}
