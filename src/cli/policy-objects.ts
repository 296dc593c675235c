// The objects that say what policies mean, and where Services lead, as an API server holds them now.
import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { apiVersionOf } from "../apimachinery/object.ts";
import type { ApiClient } from "../client/api-client.ts";
import { clusterNetworkPolicyKind } from "../kinds/cluster-network-policy.ts";
import { domainKind } from "../kinds/domain.ts";
import { endpointSliceKind } from "../kinds/endpoint-slice.ts";
import { endpointKind } from "../kinds/endpoint.ts";
import { namespaceKind } from "../kinds/namespace.ts";
import { networkPolicyKind } from "../kinds/network-policy.ts";
import { nodeKind } from "../kinds/node.ts";
import { podKind } from "../kinds/pod.ts";
import { serviceKind } from "../kinds/service.ts";

/** Nothing where the server does not have the kind. */
async function ifServed(list: Promise<unknown[]>): Promise<unknown[]> {
  try {
    return await list;
  } catch (error) {
    if (error instanceof StatusError && error.status.code === 404) return [];
    throw error;
  }
}

/** Objects of all kinds that matter, each with its kind. @throws {StatusError | UnavailableError} */
export async function fetchPolicyObjects(client: ApiClient): Promise<unknown[]> {
  const list = async (kind: KindDefinition): Promise<unknown[]> => {
    const { items } = await client.list(kind);
    // The items of a list do not repeat their kind.
    return items.map((item) => ({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind }));
  };
  const lists = await Promise.all([
    list(namespaceKind),
    list(nodeKind),
    list(podKind),
    list(endpointKind),
    list(networkPolicyKind),
    ifServed(list(clusterNetworkPolicyKind)),
    list(domainKind),
    list(serviceKind),
    list(endpointSliceKind),
  ]);
  return lists.flat();
}
