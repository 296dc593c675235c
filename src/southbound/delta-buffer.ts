import { EncodedDelta, type EncodedResource, keyText } from "./encoded.ts";
import { type ResourceKey, resourceKinds } from "./resources.ts";

function rank(key: ResourceKey): number {
  return resourceKinds.indexOf(key.kind);
}

/**
 * Merges deltas into one that has their effect: of each resource only the last word is kept. A delta that is taken alone
 * comes out as it went in, with the text that other agents share.
 */
export class DeltaBuffer {
  #only: EncodedDelta | undefined;
  readonly #upserts = new Map<string, EncodedResource>();
  readonly #deletes = new Map<string, ResourceKey>();

  get isEmpty(): boolean {
    return this.#only === undefined && this.#upserts.size === 0 && this.#deletes.size === 0;
  }

  add(delta: EncodedDelta): void {
    if (delta.isEmpty) return;
    if (this.isEmpty) {
      this.#only = delta;
      return;
    }
    if (this.#only !== undefined) this.#merge(this.#only);
    this.#only = undefined;
    this.#merge(delta);
  }

  /** The merged delta, in the order of `resourceKinds`; the buffer is empty afterwards. */
  take(): EncodedDelta {
    const only = this.#only;
    this.#only = undefined;
    if (only !== undefined) return only;
    const upserts = [...this.#upserts.values()].toSorted((a, b) => rank(a) - rank(b));
    const deletes = [...this.#deletes.values()].toSorted((a, b) => rank(b) - rank(a));
    this.#upserts.clear();
    this.#deletes.clear();
    return EncodedDelta.of(upserts, deletes);
  }

  #merge(delta: EncodedDelta): void {
    for (const key of delta.deletes()) {
      this.#upserts.delete(keyText(key));
      this.#deletes.set(keyText(key), key);
    }
    for (const encoded of delta.upserts()) {
      this.#deletes.delete(keyText(encoded));
      this.#upserts.set(keyText(encoded), encoded);
    }
  }
}
