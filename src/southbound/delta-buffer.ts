import { type Delta, type Resource, type ResourceKey, resourceKinds } from "./resources.ts";

export function keyOf({ kind, id }: ResourceKey): string {
  return `${kind}/${id}`;
}

const order = new Map(resourceKinds.map((kind, index) => [kind, index]));

function byKind(a: ResourceKey, b: ResourceKey): number {
  return (order.get(a.kind) ?? 0) - (order.get(b.kind) ?? 0);
}

/** Merges deltas into one that has their effect: of each resource only the last word is kept. */
export class DeltaBuffer {
  readonly #upserts = new Map<string, Resource>();
  readonly #deletes = new Map<string, ResourceKey>();

  get empty(): boolean {
    return this.#upserts.size === 0 && this.#deletes.size === 0;
  }

  add(delta: Delta): void {
    for (const key of delta.deletes) {
      this.#upserts.delete(keyOf(key));
      this.#deletes.set(keyOf(key), { kind: key.kind, id: key.id });
    }
    for (const resource of delta.upserts) {
      this.#deletes.delete(keyOf(resource));
      this.#upserts.set(keyOf(resource), resource);
    }
  }

  /** The merged delta, in the order of `resourceKinds`; the buffer is empty afterwards. */
  take(): Delta {
    const delta: Delta = {
      upserts: [...this.#upserts.values()].toSorted(byKind),
      deletes: [...this.#deletes.values()].toSorted((a, b) => byKind(b, a)),
    };
    this.#upserts.clear();
    this.#deletes.clear();
    return delta;
  }
}
