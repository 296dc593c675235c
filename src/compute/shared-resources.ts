import { EncodedDelta, EncodedResource } from "../southbound/encoded.ts";
import type { Resource, ResourceKey } from "../southbound/resources.ts";

/** Resources of one kind that every node gets. */
export class SharedResources {
  readonly #kind: Resource["kind"];
  readonly #resources = new Map<string, EncodedResource>();
  #upserts: EncodedResource[] = [];
  #deletes: ResourceKey[] = [];
  #all: EncodedDelta | undefined;

  constructor(kind: Resource["kind"]) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#resources.size;
  }

  /** At most once for an id between two `takeDelta`. What has the same content as before is no change. */
  set(id: string, resource: Resource | undefined): void {
    const before = this.#resources.get(id);
    if (resource === undefined) {
      if (before === undefined) return;
      this.#resources.delete(id);
      this.#deletes.push({ kind: this.#kind, id });
    } else {
      const encoded = new EncodedResource(resource);
      if (encoded.text === before?.text) return;
      this.#resources.set(id, encoded);
      this.#upserts.push(encoded);
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
