// What a Deployment asks for, without ReplicaSets in between: pods of its present template in its number. Pods of an
// older template go as soon as newer ones are ready in their place.
import type { Deployment } from "../../kinds/deployment.ts";
import type { Pod } from "../../kinds/pod.ts";
import { isControlledBy, isDone, isReady, isTerminating } from "./pod-state.ts";

export interface DeploymentPlan {
  readonly create: readonly Omit<Pod, "status">[];
  /** Names of pods. */
  readonly remove: readonly string[];
  readonly status: NonNullable<Deployment["status"]>;
}

export const templateHashLabel = "pod-template-hash";

/** FNV-1a over the template's JSON: pods made from the same template carry the same short text. */
function templateHash(deployment: Deployment): string {
  const text = JSON.stringify(deployment.spec?.template);
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(36);
}

function podOf(deployment: Deployment, hash: string): DeploymentPlan["create"][number] {
  const { name, namespace, uid } = deployment.metadata;
  const template = deployment.spec?.template;
  const annotations = template?.metadata?.annotations;
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name, uid, controller: true };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "",
      generateName: `${name}-${hash}-`,
      uid: "",
      resourceVersion: "",
      creationTimestamp: "",
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...template?.metadata?.labels, [templateHashLabel]: hash },
      ...(annotations ? { annotations } : {}),
      ownerReferences: [{ ...owner, blockOwnerDeletion: true }],
    },
    spec: structuredClone(template?.spec ?? { containers: [] }),
  };
  return pod;
}

/** `pods` may hold others than the Deployment's own. */
export function planDeployment(deployment: Deployment, pods: Iterable<Pod>): DeploymentPlan {
  const hash = templateHash(deployment);
  const replicas = deployment.spec?.replicas ?? 1;
  const own = [...pods].filter(
    (pod) =>
      pod.metadata.namespace === deployment.metadata.namespace &&
      isControlledBy(pod, deployment.metadata.uid),
  );
  const living = own.filter((pod) => !isTerminating(pod) && !isDone(pod));
  const isNew = (pod: Pod): boolean => pod.metadata.labels?.[templateHashLabel] === hash;
  const fresh = living.filter(isNew);
  const stale = living.filter((pod) => !isNew(pod));
  // What is not ready goes first: its going is felt by nobody.
  const dispensable = fresh.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)));
  const surplus = dispensable.slice(0, Math.max(0, fresh.length - replicas));
  const keepStale = Math.max(0, replicas - fresh.filter(isReady).length);
  const create = Array.from({ length: Math.max(0, replicas - fresh.length) }, () =>
    podOf(deployment, hash),
  );
  const ended = own.filter((pod) => isDone(pod) && !isTerminating(pod));
  const remove = [...surplus, ...stale.slice(keepStale), ...ended].map((pod) => pod.metadata.name);
  return { create, remove, status: statusOf(deployment, living, fresh) };
}

function statusOf(
  deployment: Deployment,
  living: readonly Pod[],
  fresh: readonly Pod[],
): DeploymentPlan["status"] {
  const replicas = deployment.spec?.replicas ?? 1;
  const ready = living.filter(isReady).length;
  const available = ready >= replicas;
  const before = deployment.status?.conditions?.find(({ type }) => type === "Available");
  const condition = {
    type: "Available",
    status: available ? "True" : "False",
    reason: available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
    message: `${ready} of ${replicas} pods are ready.`,
  };
  return {
    ...(deployment.metadata.generation === undefined
      ? {}
      : { observedGeneration: deployment.metadata.generation }),
    replicas: living.length,
    updatedReplicas: fresh.length,
    readyReplicas: ready,
    availableReplicas: ready,
    unavailableReplicas: Math.max(0, replicas - ready),
    conditions: [{ ...before, ...condition }],
  };
}
