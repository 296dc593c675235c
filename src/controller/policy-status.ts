// Puts each policy's status where users look for it: on the policy. Every kind has its own way.
import type { ApiClient } from "../client/api-client.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { translateClusterNetworkPolicy } from "../kubernetes/cluster-network-policy.ts";
import { translateNetworkPolicy } from "../kubernetes/network-policy.ts";
import type { Stripped } from "./object-watch.ts";
import { renderAnnotations, writeAnnotations } from "./policy-annotations.ts";
import { writeConditions } from "./conditions.ts";
import { renderConditions } from "./policy-conditions.ts";
import type { PolicyStatus } from "./policy-realisation.ts";

/** Writes the status of one kind's policies. */
interface PolicyStatusWriter {
  /**
   * Writes what differs from what the object says already, and nothing when nothing does. It must not stand against changes of
   * others, and succeeds when the object is gone.
   */
  write(object: Stripped, status: PolicyStatus): Promise<void>;
}

/** By kind. */
export type PolicyStatusWriters = Readonly<Record<string, PolicyStatusWriter>>;

/** `conflictsOf` gives the names of the ClusterNetworkPolicies that share the priority of the one of that name. */
export function policyStatusWriters(
  client: ApiClient,
  conflictsOf: (name: string) => readonly string[],
): PolicyStatusWriters {
  return {
    NetworkPolicy: networkPolicyWriter(client),
    ClusterNetworkPolicy: clusterNetworkPolicyWriter(client, conflictsOf),
  };
}

function clusterNetworkPolicyWriter(
  client: ApiClient,
  conflictsOf: (name: string) => readonly string[],
): PolicyStatusWriter {
  return {
    async write(object, status) {
      const { problems } = translateClusterNetworkPolicy(object);
      const conflicts = conflictsOf(object.metadata.name);
      const wanted = renderConditions(status, problems, conflicts);
      await writeConditions(client, clusterNetworkPolicyKind, object, { wanted, now: new Date() });
    },
  };
}

function networkPolicyWriter(client: ApiClient): PolicyStatusWriter {
  return {
    async write(object, status) {
      const { namespace = "", name, uid, generation, annotations = {} } = object.metadata;
      const policy = { namespace, name, uid, generation, annotations };
      const { problems } = translateNetworkPolicy(object);
      await writeAnnotations(client, policy, renderAnnotations(policy, status, problems));
    },
  };
}
