// Deletion is a state as long as something holds the object: finalizers of its own, or a namespace's content.
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition, KubeObject } from "../apimachinery/kind.ts";
import { conflict } from "../apimachinery/status.ts";
import { isNamespace, namespaceFinalizers } from "./namespace-rules.ts";
import { formatTime } from "./prepare.ts";

/** What happens to objects that this one owns. */
export type Propagation = "Background" | "Foreground" | "Orphan";

export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";

export interface DeleteOptions {
  readonly propagation?: Propagation;
  /** How long the object may take to end. Only recorded: what nothing holds is gone at once. */
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

/** Whether a deleted object has to stay for now. */
export function isHeld(kind: KindDefinition, object: KubeObject): boolean {
  if ((object.metadata.finalizers ?? []).length > 0) return true;
  return isNamespace(kind) && namespaceFinalizers(object).length > 0;
}

/** @throws {StatusError} 409 */
export function checkPreconditions(
  kind: KindDefinition,
  { metadata }: KubeObject,
  { uid, resourceVersion }: NonNullable<DeleteOptions["preconditions"]>,
): void {
  const fail = (what: string, wanted: string, found: string): never => {
    const why = `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${found}`;
    throw new StatusError(conflict(kind, metadata.name, why));
  };
  if (uid !== undefined && uid !== metadata.uid) fail("UID", uid, metadata.uid);
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    fail("ResourceVersion", resourceVersion, metadata.resourceVersion);
  }
}

/** Changes its argument to an object that is being deleted. The time and the grace of an earlier deletion stay. */
export function markDeleted(
  kind: KindDefinition,
  object: KubeObject,
  options: DeleteOptions,
  now: Date,
): void {
  const { metadata } = object;
  const finalizers = finalizersFor(metadata.finalizers ?? [], options.propagation);
  if (finalizers.length > 0) metadata.finalizers = finalizers;
  else delete metadata.finalizers;
  if (metadata.deletionTimestamp !== undefined) return;
  metadata.deletionTimestamp = formatTime(now);
  metadata.deletionGracePeriodSeconds = options.gracePeriodSeconds ?? 0;
  if (metadata.generation !== undefined) metadata.generation += 1;
  if (isNamespace(kind)) object.status = { phase: "Terminating" };
}

function finalizersFor(
  finalizers: readonly string[],
  propagation: Propagation | undefined,
): string[] {
  if (propagation === undefined) return [...finalizers];
  const own = finalizers.filter((name) => name !== foregroundFinalizer && name !== orphanFinalizer);
  switch (propagation) {
    case "Background":
      return own;
    case "Foreground":
      return [...own, foregroundFinalizer];
    case "Orphan":
      return [...own, orphanFinalizer];
  }
}
