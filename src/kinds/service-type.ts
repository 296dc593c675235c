// core/v1 Service as a type, and what its type says of its other fields.
import type { V1Service } from "@kubernetes/client-node/dist/gen/models/V1Service.js";
import { equalJson } from "../apimachinery/json.ts";
import type { ObjectOf } from "./object-type.ts";

export type Service = ObjectOf<V1Service>;
export type ServiceSpec = NonNullable<Service["spec"]>;
export type ServicePort = NonNullable<ServiceSpec["ports"]>[number];

/** Names only: `None` is the whole list of its cluster addresses. */
export function isHeadless({ clusterIP }: ServiceSpec): boolean {
  return clusterIP === "None";
}

/** Whether it has cluster addresses; `None` counts as one. */
export function hasClusterIp({ type }: ServiceSpec): boolean {
  return type !== "ExternalName";
}

export function hasNodePorts({ type }: ServiceSpec): boolean {
  return type === "NodePort" || type === "LoadBalancer";
}

/** Whether ports without a node port get one. */
export function allocatesNodePorts({ type, allocateLoadBalancerNodePorts }: ServiceSpec): boolean {
  return (
    type === "NodePort" || (type === "LoadBalancer" && allocateLoadBalancerNodePorts !== false)
  );
}

export function isExternallyAccessible({ type, externalIPs = [] }: ServiceSpec): boolean {
  return (
    type === "NodePort" ||
    type === "LoadBalancer" ||
    (type === "ClusterIP" && externalIPs.length > 0)
  );
}

/** Whether each node says on a port of its own if it has an endpoint. */
export function needsHealthCheck({ type, externalTrafficPolicy }: ServiceSpec): boolean {
  return type === "LoadBalancer" && externalTrafficPolicy === "Local";
}

export function sameClusterIps(a: ServiceSpec, b: ServiceSpec): boolean {
  return a.clusterIP === b.clusterIP && equalJson(a.clusterIPs ?? [], b.clusterIPs ?? []);
}

export function nodePortsOf({ ports = [] }: ServiceSpec): number[] {
  return ports.map(({ nodePort = 0 }) => nodePort).filter((port) => port !== 0);
}
