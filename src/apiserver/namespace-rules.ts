// What is special about namespaces: they hold other objects, and take them along when they go.
import { StatusError } from "../apimachinery/errors.ts";
import { isObject } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { forbiddenRequest, notFound } from "../apimachinery/status.ts";
import type { Compare, Store } from "../store/store.ts";
import type { Catalog } from "./catalog.ts";
import { decodeObject, keyOf } from "./object-codec.ts";

/** Made when the server starts, and never deleted. */
export const systemNamespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];

export function isNamespace(kind: KindDefinition): boolean {
  return kind.group === "" && kind.kind === "Namespace";
}

/** What keeps a namespace that is being deleted until its content is gone. */
export function namespaceFinalizers(namespace: KubeObject): string[] {
  const { spec } = namespace;
  const finalizers = isObject(spec) ? spec["finalizers"] : undefined;
  return Array.isArray(finalizers) ? finalizers.map(String) : [];
}

/** Changes its argument. */
export function setNamespaceFinalizers(namespace: KubeObject, finalizers: readonly string[]): void {
  const spec = isObject(namespace.spec) ? namespace.spec : {};
  if (finalizers.length > 0) namespace.spec = { ...spec, finalizers: [...finalizers] };
  else {
    const { finalizers: _none, ...rest } = spec;
    namespace.spec = rest;
  }
}

/**
 * The condition under which an object may be created in the namespace; the store checks it with the write.
 * @throws {StatusError} when the namespace is missing or being deleted
 */
export async function namespaceCondition(
  options: { store: Store; catalog: Catalog; kind: KindDefinition },
  namespace: string,
  name: string,
): Promise<Compare[]> {
  const { store, catalog, kind } = options;
  const namespaceKind = catalog.findKind("v1", "Namespace");
  if (namespaceKind === undefined) return [];
  const key = keyOf(namespaceKind, undefined, namespace);
  const entry = await store.get(key);
  if (entry === undefined) throw new StatusError(notFound(namespaceKind, namespace));
  if (decodeObject(entry).metadata.deletionTimestamp !== undefined) {
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const status = forbiddenRequest(kind, name, why);
    const cause = {
      reason: "NamespaceTerminating",
      message: `namespace ${namespace} is being terminated`,
      field: "metadata.namespace",
    };
    throw new StatusError({ ...status, details: { ...status.details, causes: [cause] } });
  }
  return [{ key, target: "modRevision", operator: "=", value: entry.modRevision }];
}

/** @throws {StatusError} */
export function assertNamespaceDeletable(kind: KindDefinition, name: string): void {
  if (!isNamespace(kind) || !systemNamespaces.includes(name)) return;
  throw new StatusError(forbiddenRequest(kind, name, "this namespace may not be deleted"));
}
