// Garbage collection by owner references: what has lost its last owner is deleted; an owner that is deleted in the
// foreground waits for its dependents, one whose dependents are to be orphaned is cut loose from them first.
import { StatusError } from "../apimachinery/errors.ts";
import type { KubeObject } from "../apimachinery/kind.ts";
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import { foregroundFinalizer, orphanFinalizer, type Propagation } from "./deletion.ts";
import { decodeObject, keyOf, registryPrefix } from "./object-codec.ts";
import type { ObjectService } from "./object-service.ts";
import { OwnerGraph, type OwnerNode } from "./owner-graph.ts";
import { followRegistry } from "./registry-follower.ts";

const concurrency = 4;

/** Collects until the signal is aborted. */
export async function runGarbageCollector(
  service: ObjectService,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const graph = new OwnerGraph(service.catalog);
  await using queue = new WorkQueue({
    reconcile: (uid) => reconcile(service, graph, uid),
    onError: (uid, error) => log.warn({ uid, err: error }, "garbage collection will be retried"),
    concurrency,
  });
  const look = (node: OwnerNode | undefined): void => {
    if (node !== undefined && (node.owners.length > 0 || node.deleting)) queue.add(node.uid);
  };
  await followRegistry(
    service.store,
    registryPrefix,
    {
      reset(entries) {
        graph.clear();
        const nodes = entries.map((entry) => graph.put(entry));
        nodes.forEach(look);
      },
      put: (entry) => look(graph.put(entry)),
      delete(entry) {
        const node = graph.remove(entry);
        if (node === undefined) return;
        graph.dependentsOf(node.uid).forEach(look);
        for (const { uid } of node.owners) look(graph.get(uid));
      },
    },
    signal,
  );
}

async function reconcile(service: ObjectService, graph: OwnerGraph, uid: string): Promise<void> {
  const node = graph.get(uid);
  if (node === undefined) return;
  if (node.deleting && node.finalizers.includes(orphanFinalizer)) {
    for (const dependent of graph.dependentsOf(uid)) await disown(service, dependent, [uid]);
    await removeFinalizer(service, node, orphanFinalizer);
    return;
  }
  if (node.deleting && node.finalizers.includes(foregroundFinalizer)) {
    await collectForeground(service, graph, node);
    return;
  }
  const gone = node.owners.filter((owner) => graph.isGone(owner, node.namespace));
  if (gone.length === 0) return;
  if (gone.length === node.owners.length) await deleteNode(service, node, undefined);
  else
    await disown(
      service,
      node,
      gone.map((owner) => owner.uid),
    );
}

async function collectForeground(
  service: ObjectService,
  graph: OwnerGraph,
  node: OwnerNode,
): Promise<void> {
  const dependents = graph.dependentsOf(node.uid);
  const blocking = dependents.filter(({ owners }) =>
    owners.some((owner) => owner.uid === node.uid && owner.blockOwnerDeletion === true),
  );
  if (blocking.length === 0) {
    await removeFinalizer(service, node, foregroundFinalizer);
    return;
  }
  for (const dependent of dependents) {
    const hasOther = dependent.owners.some(
      (owner) => owner.uid !== node.uid && !graph.isGone(owner, dependent.namespace),
    );
    if (hasOther) await disown(service, dependent, [node.uid]);
    else if (!dependent.deleting) await deleteNode(service, dependent, "Foreground");
  }
}

async function deleteNode(
  service: ObjectService,
  { kind, namespace, name, uid }: OwnerNode,
  propagation: Propagation | undefined,
): Promise<void> {
  try {
    await service.delete(
      { kind, namespace, name },
      { preconditions: { uid }, ...(propagation !== undefined && { propagation }) },
    );
  } catch (error) {
    // Gone already, or another object has taken its name.
    if (!(error instanceof StatusError && [404, 409].includes(error.status.code))) throw error;
  }
}

async function removeFinalizer(
  service: ObjectService,
  node: OwnerNode,
  finalizer: string,
): Promise<void> {
  await edit(service, node, ({ metadata }) => {
    const others = (metadata.finalizers ?? []).filter((name) => name !== finalizer);
    if (others.length > 0) metadata.finalizers = others;
    else delete metadata.finalizers;
  });
}

async function disown(
  service: ObjectService,
  node: OwnerNode,
  owners: readonly string[],
): Promise<void> {
  await edit(service, node, ({ metadata }) => {
    const others = (metadata.ownerReferences ?? []).filter(({ uid }) => !owners.includes(uid));
    if (others.length > 0) metadata.ownerReferences = others;
    else delete metadata.ownerReferences;
  });
}

/** Changes the object if it is still the same one; tries again when somebody else was faster. */
async function edit(
  service: ObjectService,
  { kind, namespace, name, uid }: OwnerNode,
  change: (object: KubeObject) => void,
): Promise<void> {
  for (;;) {
    const entry = await service.store.get(keyOf(kind, namespace, name));
    if (entry === undefined) return;
    const object = decodeObject(entry);
    if (object.metadata.uid !== uid) return;
    change(object);
    if ((await service.settle(kind, entry, object)) !== undefined) return;
  }
}
