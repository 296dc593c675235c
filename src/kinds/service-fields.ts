// What an update of a Service means for the fields that its client has left alone: values that were given out stay, and what
// the new type has no use for goes (k8s.io/kubernetes/pkg/registry/core/service/strategy and storage).
import { equalJson } from "../apimachinery/json.ts";
import {
  type ServiceSpec,
  allocatesNodePorts,
  hasClusterIp,
  hasNodePorts,
  isExternallyAccessible,
  needsHealthCheck,
  nodePortsOf,
  sameClusterIps,
} from "./service-type.ts";

/** `""`, `0` and `[]` are how clients without optional fields write that there is nothing. */
function dropEmpty(spec: ServiceSpec): void {
  if (spec.clusterIP === "") delete spec.clusterIP;
  if (spec.clusterIPs?.length === 0) delete spec.clusterIPs;
  if (spec.ipFamilies?.length === 0) delete spec.ipFamilies;
  if (spec.healthCheckNodePort === 0) delete spec.healthCheckNodePort;
  if (spec.externalTrafficPolicy === "") delete spec.externalTrafficPolicy;
  for (const port of spec.ports ?? []) if (port.nodePort === 0) delete port.nodePort;
}

/** A client that sends its own manifest again does not name what was given out, and means it all the same. */
function keepNodePorts(spec: ServiceSpec, old: ServiceSpec): void {
  const asked = new Set(nodePortsOf(spec));
  const used = new Set(nodePortsOf(old).filter((port) => asked.has(port)));
  const byName = new Map((old.ports ?? []).map(({ name = "", nodePort }) => [name, nodePort]));
  for (const port of spec.ports ?? []) {
    const before = byName.get(port.name ?? "");
    if (port.nodePort !== undefined || before === undefined || used.has(before)) continue;
    port.nodePort = before;
    used.add(before);
  }
}

function keepAllocated(spec: ServiceSpec, old: ServiceSpec): void {
  if (hasClusterIp(spec) && hasClusterIp(old)) {
    if (spec.clusterIP === undefined && old.clusterIP !== undefined) {
      spec.clusterIP = old.clusterIP;
    }
    if (spec.clusterIPs === undefined && spec.clusterIP === old.clusterIP && old.clusterIPs) {
      spec.clusterIPs = [...old.clusterIPs];
    }
  }
  if (allocatesNodePorts(spec) && allocatesNodePorts(old)) keepNodePorts(spec, old);
  if (needsHealthCheck(spec) && needsHealthCheck(old) && old.healthCheckNodePort !== undefined) {
    spec.healthCheckNodePort ??= old.healthCheckNodePort;
  }
}

/** The singular field and the list say the same: who changes one of them means both. */
function joinClusterIps(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (old === undefined) {
    if (spec.clusterIP !== undefined) spec.clusterIPs ??= [spec.clusterIP];
    return;
  }
  if (spec.clusterIP === old.clusterIP) return;
  if (!equalJson(spec.clusterIPs ?? [], old.clusterIPs ?? [])) return;
  if (spec.clusterIP === undefined) delete spec.clusterIPs;
  else spec.clusterIPs = [spec.clusterIP];
}

/** Fields that the type has no use for any more go, if the client has not changed them: else validation refuses them. */
function dropUseless(spec: ServiceSpec, old: ServiceSpec): void {
  if (hasClusterIp(old) && !hasClusterIp(spec)) {
    if (sameClusterIps(spec, old)) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    if (equalJson(spec.ipFamilies ?? [], old.ipFamilies ?? [])) delete spec.ipFamilies;
    if (spec.ipFamilyPolicy === old.ipFamilyPolicy) delete spec.ipFamilyPolicy;
  }
  if (hasNodePorts(old) && !hasNodePorts(spec)) {
    const before = new Set(nodePortsOf(old));
    if (nodePortsOf(spec).every((port) => before.has(port))) {
      for (const port of spec.ports ?? []) delete port.nodePort;
    }
  }
  const drop = (field: keyof ServiceSpec): void => {
    if (spec[field] === old[field]) delete spec[field];
  };
  if (needsHealthCheck(old) && !needsHealthCheck(spec)) drop("healthCheckNodePort");
  if (old.type === "LoadBalancer" && spec.type !== "LoadBalancer") {
    drop("allocateLoadBalancerNodePorts");
    drop("loadBalancerClass");
  }
  if (isExternallyAccessible(old) && !isExternallyAccessible(spec)) drop("externalTrafficPolicy");
}

/** Before anything is given out. Changes `spec`, which has its defaults. */
export function settleFields(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  dropEmpty(spec);
  if (old !== undefined) keepAllocated(spec, old);
  joinClusterIps(spec, old);
  if (old !== undefined) dropUseless(spec, old);
}
