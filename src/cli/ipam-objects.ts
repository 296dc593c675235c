// Everything about addresses, as an API server holds it now.
import type { KubeObject } from "../apimachinery/kind.ts";
import { ApiClient } from "../client/api-client.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import type { AuditInput } from "../ipam/audit.ts";
import { NetworkLedger } from "../ipam/network-ledger.ts";
import { type Domain, domainKind } from "../kinds/domain.ts";
import { type Endpoint, endpointKind } from "../kinds/endpoint.ts";
import { type Network, networkKind } from "../kinds/network.ts";
import { type Pod, podKind } from "../kinds/pod.ts";
import { translatePod } from "../kubernetes/pod.ts";
import { labPaths } from "../lab/paths.ts";

export interface ApiOptions {
  readonly lab: string;
  readonly kubeconfig?: string;
}

/** Of the kubeconfig given, else of the lab. The caller closes it. */
export function openClient({ lab, kubeconfig }: ApiOptions): ApiClient {
  return new ApiClient(loadKubeconfig(kubeconfig ?? labPaths(lab).kubeconfig), "isobar-ipam");
}

export interface AddressObjects {
  readonly domains: readonly Domain[];
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly pods: readonly Pod[];
}

const pageLength = 500;

/** Pods are read last: of one that is made under way the rest is not known yet, and that shows as a finding that passes. */
export async function fetchAddressObjects(client: ApiClient): Promise<AddressObjects> {
  const listAll = async <T extends KubeObject>(
    kind: Parameters<typeof client.list<T>>[0],
  ): Promise<T[]> => {
    const items: T[] = [];
    let token: string | undefined;
    do {
      const page = await client.list(kind, {
        limit: pageLength,
        ...(token && { continue: token }),
      });
      items.push(...page.items);
      token = page.metadata.continue;
    } while (token);
    return items;
  };
  return {
    domains: await listAll(domainKind),
    networks: await listAll(networkKind),
    endpoints: await listAll(endpointKind),
    pods: await listAll(podKind),
  };
}

export function keyOf({ metadata: { namespace = "", name } }: KubeObject): string {
  return `${namespace}/${name}`;
}

export function auditInputOf(objects: AddressObjects): AuditInput {
  return {
    domains: objects.domains.map(({ metadata, spec }) => ({
      name: metadata.name,
      pools: spec.pools,
    })),
    networks: objects.networks.map((network) => ({
      id: keyOf(network),
      zone: network.metadata.namespace ?? "",
      domain: network.spec.domain,
      cidrs: network.spec.cidrs,
      ledger: NetworkLedger.parse(network.status),
    })),
    endpoints: objects.endpoints.map((endpoint) => {
      const { domain, network, addresses, attachment, keep } = endpoint.spec;
      return {
        id: keyOf(endpoint),
        domain,
        network: network === undefined ? undefined : `${endpoint.metadata.namespace}/${network}`,
        addresses,
        podUid: attachment.kind === "Pod" ? (attachment.uid ?? "") : undefined,
        kept: keep !== undefined,
      };
    }),
    pods: objects.pods
      .filter((pod) => translatePod(pod)?.node !== undefined)
      .map((pod) => ({
        id: keyOf(pod),
        uid: pod.metadata.uid,
        addresses: (pod.status?.podIPs ?? []).map(({ ip }) => ip).filter((ip) => ip !== undefined),
      })),
  };
}
