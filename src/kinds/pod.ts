// core/v1 Pod.
import type { KindDefinition } from "../apimachinery/kind.ts";
import { parseQuantity } from "../apimachinery/quantity.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import { podColumns } from "./pod-columns.ts";
import { applyPodSpecDefaults } from "./pod-defaults.ts";
import type { Container, Pod, PodSpec } from "./pod-type.ts";
import { validatePodSpec, validatePodUpdate } from "./pod-validation.ts";

export type { Pod } from "./pod-type.ts";

const countedResources = ["cpu", "memory"];

/** A limit without a request requests as much. */
function applyRequestDefaults({ resources }: Container): void {
  if (resources?.limits === undefined) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}

function applyDefaults(pod: Pod): Pod {
  const spec: PodSpec = { containers: [], ...pod.spec };
  applyPodSpecDefaults(spec);
  spec.enableServiceLinks ??= true;
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  for (const container of containers) applyRequestDefaults(container);
  pod.spec = spec;
  return pod;
}

function isSet(quantities: Readonly<Record<string, string>> | undefined, name: string): boolean {
  return (parseQuantity(quantities?.[name] ?? "0") ?? 0n) > 0n;
}

/** Guaranteed when every container limits what is counted and requests all of it, BestEffort when none says anything. */
function qosClassOf(pod: Pod): string {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const claims = containers.flatMap(({ resources = {} }) =>
    countedResources.map((name) => {
      const { limits, requests } = resources;
      const limited = isSet(limits, name);
      const whole = requests?.[name] === undefined || requests[name] === limits?.[name];
      return { any: limited || isSet(requests, name), guaranteed: limited && whole };
    }),
  );
  if (claims.every(({ any }) => !any)) return "BestEffort";
  return claims.every(({ guaranteed }) => guaranteed) ? "Guaranteed" : "Burstable";
}

export const podKind: KindDefinition<Pod> = {
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  namespaced: true,
  schema: kubernetesSchema("core.Pod"),
  hasStatus: true,
  initialStatus: (pod) => ({ phase: "Pending", qosClass: qosClassOf(pod) }),
  subresources: ["binding"],
  columns: podColumns,
  selectableFields: {
    "spec.nodeName": ({ spec }) => spec?.nodeName ?? "",
    "spec.restartPolicy": ({ spec }) => spec?.restartPolicy ?? "",
    "spec.schedulerName": ({ spec }) => spec?.schedulerName ?? "",
    "spec.serviceAccountName": ({ spec }) => spec?.serviceAccountName ?? "",
    "spec.hostNetwork": ({ spec }) => String(spec?.hostNetwork ?? false),
    "status.phase": ({ status }) => status?.phase ?? "",
    "status.podIP": ({ status }) => status?.podIPs?.[0]?.ip ?? status?.podIP ?? "",
    "status.podIPs": ({ status }) => status?.podIPs?.[0]?.ip ?? "",
    "status.nominatedNodeName": ({ status }) => status?.nominatedNodeName ?? "",
  },
  applyDefaults,
  validate: ({ spec }, old) => {
    if (spec === undefined) return [];
    const errors = validatePodSpec(spec, "spec");
    return old?.spec === undefined ? errors : [...errors, ...validatePodUpdate(spec, old.spec)];
  },
};
