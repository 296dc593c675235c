// Validation of core/v1 Service: k8s.io/kubernetes/pkg/apis/core/validation. What the server fills in may still be missing.
import {
  duplicate,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../apimachinery/field-error.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import { validateLabels } from "../apimachinery/metadata.ts";
import {
  checkDnsLabel,
  checkDnsSubdomain,
  checkPortName,
  checkPortNumber,
  checkQualifiedName,
} from "../apimachinery/names.ts";
import { tryParseAddress } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { tryParsePrefix, validateAddress, validateOrdinaryAddress } from "./address.ts";
import { validateAddressUpdate, validateClusterIps } from "./service-addresses.ts";
import {
  type Service,
  type ServicePort,
  type ServiceSpec,
  isExternallyAccessible,
  isHeadless,
  needsHealthCheck,
} from "./service-type.ts";

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const affinities = ["ClientIP", "None"];
const protocols = Object.keys(protocolNumbers).toSorted();
const trafficPolicies = ["Cluster", "Local"];
const distributions = ["PreferClose", "PreferSameNode", "PreferSameZone"];
const dayInSeconds = 86_400;
/** Where kubelets listen: a load balancer must not open it. */
const kubeletPort = 10_250;

function validateTargetPort(targetPort: ServicePort["targetPort"], path: string): FieldError[] {
  if (targetPort === undefined) return [];
  const messages =
    typeof targetPort === "number" ? checkPortNumber(targetPort) : checkPortName(targetPort);
  return invalidEach(path, targetPort, messages);
}

function validatePort(port: ServicePort, path: string, several: boolean): FieldError[] {
  const { name = "", protocol = "", appProtocol } = port;
  const errors: FieldError[] = [];
  if (several && name === "") errors.push(required(`${path}.name`));
  else if (name !== "") errors.push(...invalidEach(`${path}.name`, name, checkDnsLabel(name)));
  errors.push(...invalidEach(`${path}.port`, port.port, checkPortNumber(port.port)));
  if (!protocols.includes(protocol)) {
    errors.push(notSupported(`${path}.protocol`, protocol, protocols));
  }
  errors.push(...validateTargetPort(port.targetPort, `${path}.targetPort`));
  if (appProtocol !== undefined) {
    const messages = checkQualifiedName(appProtocol);
    errors.push(...invalidEach(`${path}.appProtocol`, appProtocol, messages));
  }
  return errors;
}

function validateNodePort(type: string, { nodePort = 0 }: ServicePort, path: string): FieldError[] {
  if (nodePort === 0) return [];
  if (type === "ClusterIP") {
    return [forbidden(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'")];
  }
  return invalidEach(`${path}.nodePort`, nodePort, checkPortNumber(nodePort));
}

function validatePorts({ type = "", ports = [] }: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    errors.push(...validatePort(port, path, ports.length > 1));
    errors.push(...validateNodePort(type, port, path));
    const { name = "", protocol, nodePort = 0 } = port;
    if (name !== "" && names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    const nodeKey = `${protocol}/${nodePort}`;
    if (nodePort !== 0 && nodePorts.has(nodeKey)) {
      errors.push(duplicate(`${path}.nodePort`, nodePort));
    }
    nodePorts.add(nodeKey);
    const key = `${protocol}/${port.port}`;
    if (numbers.has(key)) errors.push(duplicate(path, { protocol, port: port.port }));
    numbers.add(key);
    if (type === "LoadBalancer" && port.port === kubeletPort) {
      const rule = `may not expose port ${kubeletPort} externally since it is used by kubelet`;
      errors.push(invalid(path, port.port, rule));
    }
  }
  return errors;
}

function validateChoice(
  field: string,
  value: string | undefined,
  supported: readonly string[],
): FieldError[] {
  return value === undefined || supported.includes(value)
    ? []
    : [notSupported(`spec.${field}`, value, supported)];
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: ServiceSpec): FieldError[] {
  const errors = validateChoice("sessionAffinity", sessionAffinity, affinities);
  const path = "spec.sessionAffinityConfig";
  if (sessionAffinity === "None" && sessionAffinityConfig !== undefined) {
    errors.push(forbidden(path, "must not be set when session affinity is None"));
  }
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (sessionAffinity === "ClientIP" && seconds !== undefined) {
    const rule = `must be greater than 0 and less than ${dayInSeconds}`;
    if (seconds <= 0 || seconds > dayInSeconds) {
      errors.push(invalid(`${path}.clientIP.timeoutSeconds`, seconds, rule));
    }
  }
  return errors;
}

function validateExternalName(spec: ServiceSpec): FieldError[] {
  const { externalName = "", clusterIP = "", clusterIPs = [], ipFamilies = [] } = spec;
  const errors =
    externalName === ""
      ? [required("spec.externalName")]
      : // A final dot is allowed: it says that the name is complete.
        invalidEach(
          "spec.externalName",
          externalName,
          checkDnsSubdomain(externalName.replace(/\.$/, "")),
        );
  const rule = "may not be set for ExternalName services";
  if (clusterIP !== "" || clusterIPs.length > 0) errors.push(forbidden("spec.clusterIPs", rule));
  if (ipFamilies.length > 0) errors.push(forbidden("spec.ipFamilies", rule));
  if (spec.ipFamilyPolicy !== undefined) errors.push(forbidden("spec.ipFamilyPolicy", rule));
  return errors;
}

function validateSourceRanges({ type, loadBalancerSourceRanges = [] }: ServiceSpec): FieldError[] {
  const path = "spec.loadBalancerSourceRanges";
  if (loadBalancerSourceRanges.length === 0) return [];
  if (type !== "LoadBalancer") {
    return [forbidden(path, "may only be used when `type` is 'LoadBalancer'")];
  }
  return loadBalancerSourceRanges.flatMap((text, index) =>
    tryParsePrefix(text.trim()) === undefined
      ? [
          invalid(
            `${path}[${index}]`,
            text,
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
          ),
        ]
      : [],
  );
}

function validateLoadBalancer(spec: ServiceSpec): FieldError[] {
  const { type, allocateLoadBalancerNodePorts, loadBalancerClass } = spec;
  const rule = "may only be used when `type` is 'LoadBalancer'";
  const errors = validateSourceRanges(spec);
  if (allocateLoadBalancerNodePorts !== undefined && type !== "LoadBalancer") {
    errors.push(forbidden("spec.allocateLoadBalancerNodePorts", rule));
  }
  if (loadBalancerClass === undefined) return errors;
  const path = "spec.loadBalancerClass";
  if (type !== "LoadBalancer") return [...errors, forbidden(path, rule)];
  return [
    ...errors,
    ...invalidEach(path, loadBalancerClass, checkQualifiedName(loadBalancerClass)),
  ];
}

function validateExternalTraffic(spec: ServiceSpec): FieldError[] {
  const { externalTrafficPolicy, healthCheckNodePort = 0 } = spec;
  const errors: FieldError[] = [];
  const path = "spec.externalTrafficPolicy";
  if (isExternallyAccessible(spec)) {
    errors.push(...validateChoice("externalTrafficPolicy", externalTrafficPolicy, trafficPolicies));
  } else if (externalTrafficPolicy !== undefined && externalTrafficPolicy !== "") {
    const rule = "may only be set for externally-accessible services";
    errors.push(invalid(path, externalTrafficPolicy, rule));
  }
  if (healthCheckNodePort === 0) return errors;
  const healthPath = "spec.healthCheckNodePort";
  if (!needsHealthCheck(spec)) {
    const rule =
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    return [...errors, invalid(healthPath, healthCheckNodePort, rule)];
  }
  return [
    ...errors,
    ...invalidEach(healthPath, healthCheckNodePort, checkPortNumber(healthCheckNodePort)),
  ];
}

function validateSpec(spec: ServiceSpec): FieldError[] {
  const { type = "", ports = [], selector = {} } = spec;
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless(spec) && type !== "ExternalName") {
    errors.push(required("spec.ports"));
  }
  if (isHeadless(spec) && (type === "NodePort" || type === "LoadBalancer")) {
    const rule = `may not be set to 'None' for ${type} services`;
    errors.push(invalid("spec.clusterIPs[0]", "None", rule));
  }
  if (!types.includes(type)) errors.push(notSupported("spec.type", type, types));
  errors.push(...(type === "ExternalName" ? validateExternalName(spec) : validateClusterIps(spec)));
  errors.push(...validatePorts(spec), ...validateLabels(selector, "spec.selector"));
  errors.push(...validateAffinity(spec), ...validateLoadBalancer(spec));
  errors.push(...validateExternalTraffic(spec));
  errors.push(
    ...validateChoice("internalTrafficPolicy", spec.internalTrafficPolicy, trafficPolicies),
    ...validateChoice("trafficDistribution", spec.trafficDistribution, distributions),
  );
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    errors.push(...validateOrdinaryAddress(address, `spec.externalIPs[${index}]`));
  }
  return errors;
}

function validateStatus({ status }: Service): FieldError[] {
  const ingress = status?.loadBalancer?.ingress ?? [];
  return ingress.flatMap(({ ip = "", hostname = "", ipMode }, index) => {
    const path = `status.loadBalancer.ingress[${index}]`;
    const errors = ip === "" ? [] : validateAddress(ip, `${path}.ip`);
    if (ipMode !== undefined && ip === "") {
      errors.push(forbidden(`${path}.ipMode`, "may not be specified when `ip` is not set"));
    }
    if (ipMode !== undefined && !["Proxy", "VIP"].includes(ipMode)) {
      errors.push(notSupported(`${path}.ipMode`, ipMode, ["Proxy", "VIP"]));
    }
    if (hostname === "") return errors;
    if (tryParseAddress(hostname) !== undefined) {
      return [
        ...errors,
        invalid(`${path}.hostname`, hostname, "must be a DNS name, not an IP address"),
      ];
    }
    return [...errors, ...invalidEach(`${path}.hostname`, hostname, checkDnsSubdomain(hostname))];
  });
}

/** A cluster address, once there, stays while the type has one; so do the primary family and what else is given out once. */
function validateUpdate(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  const errors = validateAddressUpdate(spec, old);
  if (needsHealthCheck(spec) && needsHealthCheck(old)) {
    const { healthCheckNodePort = 0 } = spec;
    const before = old.healthCheckNodePort ?? 0;
    if (before !== 0 && healthCheckNodePort !== before) {
      errors.push(invalid("spec.healthCheckNodePort", healthCheckNodePort, "field is immutable"));
    }
  }
  const bothBalanced = spec.type === "LoadBalancer" && old.type === "LoadBalancer";
  if (bothBalanced && spec.loadBalancerClass !== old.loadBalancerClass) {
    const value = spec.loadBalancerClass ?? null;
    errors.push(invalid("spec.loadBalancerClass", value, "may not change once set"));
  }
  return errors;
}

export function validateService(service: Service, old?: Service): FieldError[] {
  const { spec = {} } = service;
  return [
    ...validateSpec(spec),
    ...validateStatus(service),
    ...(old?.spec ? validateUpdate(spec, old.spec) : []),
  ];
}
