// The kinds that the API serves.
import type { KindDefinition } from "../apimachinery/kind.ts";
import { clusterNetworkPolicyKind } from "./cluster-network-policy.ts";
import { configMapKind } from "./config-map.ts";
import { deploymentKind } from "./deployment.ts";
import { domainKind } from "./domain.ts";
import { endpointKind } from "./endpoint.ts";
import { endpointSliceKind } from "./endpoint-slice.ts";
import { eventKind, eventsEventKind } from "./event.ts";
import { leaseKind } from "./lease.ts";
import { loadBalancerAddressKind } from "./load-balancer-address.ts";
import { loadBalancerPoolKind } from "./load-balancer-pool.ts";
import { loadBalancerKind } from "./load-balancer.ts";
import { namespaceKind } from "./namespace.ts";
import { networkKind } from "./network.ts";
import { networkPolicyKind } from "./network-policy.ts";
import { nodeKind } from "./node.ts";
import { podKind } from "./pod.ts";
import { secretKind } from "./secret.ts";
import { serviceAccountKind } from "./service-account.ts";
import { serviceKind } from "./service.ts";

/** Group by group, the core group first: the order of discovery. */
export const kinds: readonly KindDefinition[] = [
  configMapKind,
  eventKind,
  namespaceKind,
  nodeKind,
  podKind,
  secretKind,
  serviceAccountKind,
  serviceKind,
  deploymentKind,
  leaseKind,
  endpointSliceKind,
  eventsEventKind,
  networkPolicyKind,
  clusterNetworkPolicyKind,
  domainKind,
  endpointKind,
  loadBalancerKind,
  loadBalancerAddressKind,
  loadBalancerPoolKind,
  networkKind,
];
