import type { Pod } from "../../kinds/pod.ts";

/** Whether the pod has ended for good. */
export function isDone(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** Whether its program says that it serves, be the pod about to end or not. */
export function isServing(pod: Pod): boolean {
  const conditions = pod.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

export function isReady(pod: Pod): boolean {
  return !isTerminating(pod) && isServing(pod);
}

export function isControlledBy(pod: Pod, uid: string): boolean {
  return (pod.metadata.ownerReferences ?? []).some(
    (owner) => owner.controller === true && owner.uid === uid,
  );
}
