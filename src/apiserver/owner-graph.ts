import type { KindDefinition, KubeObject, OwnerReference } from "../apimachinery/kind.ts";
import type { KeyValue } from "../store/store.ts";
import type { Catalog } from "./catalog.ts";
import { viewObject } from "./object-codec.ts";

/** What garbage collection knows of an object. */
export interface OwnerNode {
  readonly uid: string;
  readonly kind: KindDefinition;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly owners: readonly OwnerReference[];
  readonly finalizers: readonly string[];
  readonly deleting: boolean;
}

/** Who owns whom, as far as the changes that it has been told. Owners that are gone keep their dependents here. */
export class OwnerGraph {
  readonly #catalog: Catalog;
  readonly #nodes = new Map<string, OwnerNode>();
  readonly #dependents = new Map<string, Set<string>>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  get(uid: string): OwnerNode | undefined {
    return this.#nodes.get(uid);
  }

  clear(): void {
    this.#nodes.clear();
    this.#dependents.clear();
  }

  /** Returns the object's node, unless its kind is not served any more. */
  put(entry: KeyValue): OwnerNode | undefined {
    const node = this.#nodeOf(viewObject(entry));
    if (node === undefined) return undefined;
    this.#detach(node.uid);
    this.#nodes.set(node.uid, node);
    for (const { uid } of node.owners) {
      const dependents = this.#dependents.get(uid) ?? new Set();
      this.#dependents.set(uid, dependents.add(node.uid));
    }
    return node;
  }

  /** Returns what it knew of the object. */
  remove(entry: KeyValue): OwnerNode | undefined {
    const { uid } = viewObject(entry).metadata;
    const node = this.#nodes.get(uid);
    this.#detach(uid);
    this.#nodes.delete(uid);
    return node;
  }

  dependentsOf(uid: string): OwnerNode[] {
    const dependents = [...(this.#dependents.get(uid) ?? [])];
    return dependents.map((one) => this.#nodes.get(one)).filter((node) => node !== undefined);
  }

  /**
   * Whether an owner that an object names is gone. One of a kind that is not served here is believed to exist; one in
   * another namespace does not count.
   */
  isGone(reference: OwnerReference, namespace: string | undefined): boolean {
    if (this.#catalog.findKind(reference.apiVersion, reference.kind) === undefined) return false;
    const owner = this.#nodes.get(reference.uid);
    if (owner === undefined) return true;
    return owner.namespace !== undefined && owner.namespace !== namespace;
  }

  #nodeOf({ apiVersion, kind: name, metadata }: Readonly<KubeObject>): OwnerNode | undefined {
    const kind = this.#catalog.findKind(apiVersion, name);
    return (
      kind && {
        uid: metadata.uid,
        kind,
        namespace: metadata.namespace,
        name: metadata.name,
        owners: metadata.ownerReferences ?? [],
        finalizers: metadata.finalizers ?? [],
        deleting: metadata.deletionTimestamp !== undefined,
      }
    );
  }

  #detach(uid: string): void {
    for (const owner of this.#nodes.get(uid)?.owners ?? []) {
      const dependents = this.#dependents.get(owner.uid);
      dependents?.delete(uid);
      if (dependents?.size === 0) this.#dependents.delete(owner.uid);
    }
  }
}
