// How objects lie in the store: one key each, `/registry/GROUP/PLURAL/[NAMESPACE/]NAME`, the core group written `core`;
// the value is the object's JSON without resourceVersion, which is the entry's revision.
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { apiVersionOf } from "../apimachinery/object.ts";
import type { KeyValue } from "../store/store.ts";

export const registryPrefix = "/registry/";

/** Prefix of the keys of a kind's objects: all, or those of one namespace. */
export function prefixOf(kind: KindDefinition, namespace: string | undefined): string {
  const all = `${registryPrefix}${kind.group === "" ? "core" : kind.group}/${kind.plural}/`;
  return namespace === undefined ? all : `${all}${namespace}/`;
}

/** `namespace` is undefined for a kind without namespaces. */
export function keyOf(kind: KindDefinition, namespace: string | undefined, name: string): string {
  return prefixOf(kind, namespace) + name;
}

/** Every stored value of the kind begins so; name and uid come after it. */
function headOf(kind: KindDefinition): string {
  const apiVersion = JSON.stringify(apiVersionOf(kind));
  return `{"apiVersion":${apiVersion},"kind":${JSON.stringify(kind.kind)},"metadata":{`;
}

export function encodeObject(kind: KindDefinition, object: KubeObject): string {
  const { apiVersion: _version, kind: _kind, metadata, ...fields } = object;
  const { resourceVersion: _revision, ...stored } = metadata;
  return JSON.stringify({
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: stored,
    ...fields,
  });
}

/** A fresh object, for the caller to change. */
export function decodeObject(entry: KeyValue): KubeObject {
  // Only encodeObject writes under the registry prefix.
  const object: KubeObject = JSON.parse(entry.value);
  object.metadata.resourceVersion = String(entry.modRevision);
  return object;
}

const decoded = new WeakMap<KeyValue, KubeObject>();

/** As decodeObject, but decoded once and shared by everyone who looks at the entry: not to be changed. */
export function viewObject(entry: KeyValue): Readonly<KubeObject> {
  let object = decoded.get(entry);
  if (object === undefined) {
    object = decodeObject(entry);
    decoded.set(entry, object);
  }
  return object;
}

/**
 * The object's JSON, without decoding it. `revision` is another one than the entry's in the event of its deletion, and 0
 * for an object that was not stored.
 */
export function jsonOf(
  kind: KindDefinition,
  entry: KeyValue,
  revision: number = entry.modRevision,
): string {
  const head = headOf(kind);
  if (revision === 0) return entry.value;
  return `${head}"resourceVersion":"${revision}",${entry.value.slice(head.length)}`;
}
