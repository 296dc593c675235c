// Whether everybody has seen what the API server holds now, and acts on it.
import type { KindDefinition } from "../apimachinery/kind.ts";
import type { ApiClient } from "../client/api-client.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { deploymentKind } from "../kinds/deployment.ts";
import { domainKind } from "../kinds/domain.ts";
import { endpointSliceKind } from "../kinds/endpoint-slice.ts";
import { endpointKind } from "../kinds/endpoint.ts";
import { loadBalancerAddressKind } from "../kinds/load-balancer-address.ts";
import { loadBalancerKind } from "../kinds/load-balancer.ts";
import { loadBalancerPoolKind } from "../kinds/load-balancer-pool.ts";
import { namespaceKind } from "../kinds/namespace.ts";
import { networkKind } from "../kinds/network.ts";
import { networkPolicyKind } from "../kinds/network-policy.ts";
import { nodeKind } from "../kinds/node.ts";
import { podKind } from "../kinds/pod.ts";
import { serviceKind } from "../kinds/service.ts";

/** How far somebody's copy of a kind's objects has come. */
interface Seen {
  readonly resourceVersion: string;
  readonly objects: number;
}

export type SeenByKind = Readonly<Record<string, Seen>>;

/** All that somebody follows whom the lab waits for. */
const kinds: readonly KindDefinition[] = [
  domainKind,
  nodeKind,
  namespaceKind,
  networkKind,
  endpointKind,
  networkPolicyKind,
  clusterNetworkPolicyKind,
  podKind,
  deploymentKind,
  serviceKind,
  endpointSliceKind,
  loadBalancerPoolKind,
  loadBalancerAddressKind,
  loadBalancerKind,
];

/** By kind, the newest object's version and the number of objects in the API server. */
export async function readApiState(client: ApiClient): Promise<SeenByKind> {
  const states = await Promise.all(
    kinds.map(async (kind) => {
      const { items } = await client.list(kind);
      const versions = items.map(({ metadata }) => Number(metadata.resourceVersion));
      const resourceVersion = String(Math.max(0, ...versions));
      return [kind.kind, { resourceVersion, objects: items.length }] as const;
    }),
  );
  return Object.fromEntries(states);
}

/** Kinds of which a copy is behind the API server. */
export function behind(copy: SeenByKind, api: SeenByKind): string[] {
  return Object.entries(copy)
    .filter(([kind, seen]) => {
      const now = api[kind];
      return (
        now === undefined ||
        seen.objects !== now.objects ||
        Number(seen.resourceVersion) < Number(now.resourceVersion)
      );
    })
    .map(([kind]) => kind);
}
