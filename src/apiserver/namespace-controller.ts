import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import type { KeyValue } from "../store/store.ts";
import { namespaceFinalizers, setNamespaceFinalizers } from "./namespace-rules.ts";
import { decodeObject, prefixOf, viewObject } from "./object-codec.ts";
import type { ObjectService } from "./object-service.ts";
import { followRegistry } from "./registry-follower.ts";

/** Content that finalizers hold is looked at again after this time, doubled up to the longest. */
const firstDelayMs = 100;
const longestDelayMs = 2000;

/** Some content of the namespace cannot go yet. */
class HeldContentError extends Error {
  override readonly name = "HeldContentError";
}

/** Empties namespaces that are being deleted, and lets them go when nothing is left in them. */
export async function runNamespaceController(
  service: ObjectService,
  kind: KindDefinition,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  await using queue = new WorkQueue({
    reconcile: (name) => reconcile(service, kind, name),
    onError(name, error) {
      if (error instanceof HeldContentError) log.debug({ namespace: name }, error.message);
      else log.warn({ namespace: name, err: error }, "cannot empty the namespace");
    },
    firstDelayMs,
    longestDelayMs,
  });
  const look = (entry: KeyValue): void => {
    const { name, deletionTimestamp } = viewObject(entry).metadata;
    if (deletionTimestamp !== undefined) queue.add(name);
  };
  await followRegistry(
    service.store,
    prefixOf(kind, undefined),
    { reset: (entries) => entries.forEach(look), put: look, delete() {} },
    signal,
  );
}

async function reconcile(
  service: ObjectService,
  kind: KindDefinition,
  name: string,
): Promise<void> {
  const entry = await service.store.get(`${prefixOf(kind, undefined)}${name}`);
  if (entry === undefined) return;
  const namespace = decodeObject(entry);
  const finalizers = namespaceFinalizers(namespace);
  if (namespace.metadata.deletionTimestamp === undefined || !finalizers.includes("kubernetes"))
    return;
  const left = await deleteContent(service, name);
  if (left > 0) throw new HeldContentError(`${left} objects are held by their finalizers`);
  setNamespaceFinalizers(
    namespace,
    finalizers.filter((finalizer) => finalizer !== "kubernetes"),
  );
  const written = await service.settle(kind, entry, namespace);
  if (written === undefined) throw new HeldContentError("the namespace has changed meanwhile");
}

/** Deletes everything in the namespace and returns how many objects stay for now. */
async function deleteContent(service: ObjectService, namespace: string): Promise<number> {
  let left = 0;
  for (const kind of service.catalog.kinds.filter(({ namespaced }) => namespaced)) {
    const { entries } = await service.store.range({ prefix: prefixOf(kind, namespace) });
    for (const entry of entries) {
      const { name } = viewObject(entry).metadata;
      try {
        const { outcome } = await service.delete({ kind, namespace, name });
        if (outcome !== "deleted") left += 1;
      } catch (error) {
        if (!(error instanceof StatusError && error.status.reason === "NotFound")) throw error;
      }
    }
  }
  return left;
}
