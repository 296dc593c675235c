import { EncodedDelta, type EncodedResource } from "../southbound/encoded.ts";
import type { ResourceKey } from "../southbound/resources.ts";

/** Resources of one kind, which every node gets. */
export class SharedResources<Encoded extends EncodedResource> {
  readonly #resources = new Map<string, Encoded>();
  #upserts: Encoded[] = [];
  #deletes: ResourceKey[] = [];
  #all: EncodedDelta | undefined;

  get size(): number {
    return this.#resources.size;
  }

  values(): Iterable<Encoded> {
    return this.#resources.values();
  }

  get(id: string): Encoded | undefined {
    return this.#resources.get(id);
  }

  /**
   * `before` is what the id has had; `undefined` for either is none. At most once for an id between two `takeDelta`. What
   * has the same content as before is no change, and the one before stays.
   */
  replace(before: Encoded | undefined, after: Encoded | undefined): void {
    if (before?.text === after?.text) return;
    if (after !== undefined) {
      this.#resources.set(after.id, after);
      this.#upserts.push(after);
    } else if (before !== undefined) {
      this.#resources.delete(before.id);
      this.#deletes.push({ kind: before.kind, id: before.id });
    }
    this.#all = undefined;
  }

  takeDelta(): EncodedDelta {
    const delta = EncodedDelta.of(this.#upserts, this.#deletes);
    this.#upserts = [];
    this.#deletes = [];
    return delta;
  }

  /** Every resource, as a delta from nothing. */
  get all(): EncodedDelta {
    this.#all ??= EncodedDelta.of([...this.#resources.values()], []);
    return this.#all;
  }
}
