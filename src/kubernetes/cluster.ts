import type { Domain, Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { Policy } from "../model/policy.ts";
import { translateClusterNetworkPolicy } from "./cluster-network-policy.ts";
import { translateDomain } from "./domain.ts";
import { translateEndpoint } from "./endpoint.ts";
import { fieldAt, fieldOf, type Problem, stringOf } from "./json.ts";
import { translateNamespace } from "./namespace.ts";
import { translateNetworkPolicy } from "./network-policy.ts";
import { translateNode } from "./node.ts";
import { translatePod } from "./pod.ts";

/** The model of a set of objects: what a policy model is built from. */
export interface Cluster {
  readonly zones: readonly Zone[];
  readonly endpoints: readonly Endpoint[];
  readonly policies: readonly Policy[];
  readonly nodes: readonly Node[];
  readonly domains: readonly Domain[];
  /** By policy id; policies without problems are absent. */
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
}

function nameOf(object: unknown): string {
  const namespace = stringOf(fieldAt(object, "metadata", "namespace")) ?? "";
  return `${namespace}/${stringOf(fieldAt(object, "metadata", "name")) ?? ""}`;
}

/** Whether the Endpoint object was made for this pod, and not for an earlier one of its name. */
function belongsTo(pod: unknown, attachment: unknown): boolean {
  const uid = fieldAt(attachment, "spec", "attachment", "uid");
  return uid === undefined || uid === fieldAt(pod, "metadata", "uid");
}

/** Objects of all kinds mixed, in any order; kinds that mean nothing to policies are passed over. */
export function translateCluster(objects: readonly unknown[]): Cluster {
  const byKind = Map.groupBy(objects, (object) => fieldOf(object, "kind"));
  const ofKind = (kind: string) => byKind.get(kind) ?? [];
  const attachments = new Map(ofKind("Endpoint").map((each) => [nameOf(each), each]));
  const policies = [
    ...ofKind("NetworkPolicy").map(translateNetworkPolicy),
    ...ofKind("ClusterNetworkPolicy").map(translateClusterNetworkPolicy),
  ];
  const others = ofKind("Endpoint").map(translateEndpoint);
  const taken = new Set(others.map((endpoint) => endpoint?.id));
  const pods = ofKind("Pod")
    .filter((pod) => !taken.has(nameOf(pod)))
    .map((pod) => {
      const attachment = attachments.get(nameOf(pod));
      return translatePod(pod, belongsTo(pod, attachment) ? attachment : undefined);
    });
  return {
    zones: ofKind("Namespace")
      .map(translateNamespace)
      .filter((zone) => zone !== undefined),
    endpoints: [...pods, ...others].filter((endpoint) => endpoint !== undefined),
    policies: policies.map(({ value }) => value),
    nodes: ofKind("Node")
      .map(translateNode)
      .filter((node) => node !== undefined),
    domains: ofKind("Domain")
      .map(translateDomain)
      .filter((domain) => domain !== undefined),
    problems: new Map(
      policies
        .filter(({ problems }) => problems.length > 0)
        .map(({ value, problems }) => [value.id, problems]),
    ),
  };
}
