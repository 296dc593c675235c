// core/v1 Service. Validation: k8s.io/kubernetes/pkg/apis/core/validation, without what concerns cloud load balancers.
import type { V1Service } from "@kubernetes/client-node/dist/gen/models/V1Service.js";
import {
  duplicate,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../apimachinery/field-error.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { validateLabels } from "../apimachinery/metadata.ts";
import {
  checkDnsLabel,
  checkDnsSubdomain,
  checkInRange,
  checkPortName,
  checkPortNumber,
} from "../apimachinery/names.ts";
import { tryParseAddress } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { validateAddress } from "./address.ts";
import { ageColumn, column, formatLabels, nameColumn, orNone, wideColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type Service = ObjectOf<V1Service>;
type ServiceSpec = NonNullable<Service["spec"]>;
type ServicePort = NonNullable<ServiceSpec["ports"]>[number];

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const affinities = ["ClientIP", "None"];
const protocols = Object.keys(protocolNumbers).toSorted();
const families = ["IPv4", "IPv6"];
const familyPolicies = ["SingleStack", "PreferDualStack", "RequireDualStack"];
const trafficPolicies = ["Cluster", "Local"];
const defaultAffinitySeconds = 10_800;
const dayInSeconds = 86_400;

function validateTargetPort(targetPort: ServicePort["targetPort"], path: string): FieldError[] {
  if (targetPort === undefined) return [];
  const messages =
    typeof targetPort === "number" ? checkPortNumber(targetPort) : checkPortName(targetPort);
  return invalidEach(path, targetPort, messages);
}

function validatePort(port: ServicePort, path: string, several: boolean): FieldError[] {
  const { name = "", protocol = "" } = port;
  const errors: FieldError[] = [];
  if (several && name === "") errors.push(required(`${path}.name`));
  else if (name !== "") errors.push(...invalidEach(`${path}.name`, name, checkDnsLabel(name)));
  errors.push(...invalidEach(`${path}.port`, port.port, checkPortNumber(port.port)));
  if (!protocols.includes(protocol)) {
    errors.push(notSupported(`${path}.protocol`, protocol, protocols));
  }
  return [...errors, ...validateTargetPort(port.targetPort, `${path}.targetPort`)];
}

function validatePorts(ports: readonly ServicePort[]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    errors.push(...validatePort(port, path, ports.length > 1));
    const { name = "", protocol } = port;
    if (name !== "" && names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    const key = `${protocol}/${port.port}`;
    if (numbers.has(key)) errors.push(duplicate(path, { protocol, port: port.port }));
    numbers.add(key);
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
    const messages = checkInRange(seconds, 1, dayInSeconds);
    errors.push(...invalidEach(`${path}.clientIP.timeoutSeconds`, seconds, messages));
  }
  return errors;
}

function validateClusterIps(spec: ServiceSpec): FieldError[] {
  const { clusterIP = "", clusterIPs = [] } = spec;
  const errors: FieldError[] = [];
  if (clusterIP !== "" && clusterIP !== "None") {
    errors.push(...validateAddress(clusterIP, "spec.clusterIP"));
  }
  if (clusterIPs.length > 0 && clusterIPs[0] !== clusterIP) {
    errors.push(invalid("spec.clusterIPs", clusterIPs, "first value must match `clusterIP`"));
  }
  for (const [index, address] of clusterIPs.entries()) {
    if (address === "None" && index === 0) continue;
    errors.push(...validateAddress(address, `spec.clusterIPs[${index}]`));
  }
  const usedFamilies = clusterIPs.map((address) => tryParseAddress(address)?.family);
  if (clusterIPs.length > 2 || (clusterIPs.length === 2 && usedFamilies[0] === usedFamilies[1])) {
    const rule = "may only hold up to 2 values, one of each IP family";
    errors.push(invalid("spec.clusterIPs", clusterIPs, rule));
  }
  return errors;
}

function validateExternalName(spec: ServiceSpec): FieldError[] {
  const { externalName = "", clusterIP = "" } = spec;
  const errors =
    externalName === ""
      ? [required("spec.externalName")]
      : // A final dot is allowed: it says that the name is complete.
        invalidEach(
          "spec.externalName",
          externalName,
          checkDnsSubdomain(externalName.replace(/\.$/, "")),
        );
  if (clusterIP !== "") {
    errors.push(forbidden("spec.clusterIP", "may not be set for ExternalName services"));
  }
  return errors;
}

function validateSpec(spec: ServiceSpec): FieldError[] {
  const { type = "", ports = [], selector = {}, clusterIP } = spec;
  const errors: FieldError[] = [];
  const headless = clusterIP === "None";
  if (ports.length === 0 && !headless && type !== "ExternalName") {
    errors.push(required("spec.ports"));
  }
  if (headless && (type === "NodePort" || type === "LoadBalancer")) {
    const rule = "may not be set to 'None' for NodePort and LoadBalancer services";
    errors.push(invalid("spec.clusterIP", clusterIP, rule));
  }
  if (!types.includes(type)) errors.push(notSupported("spec.type", type, types));
  errors.push(...(type === "ExternalName" ? validateExternalName(spec) : validateClusterIps(spec)));
  errors.push(...validatePorts(ports), ...validateLabels(selector, "spec.selector"));
  errors.push(...validateAffinity(spec));
  errors.push(...validateChoice("ipFamilyPolicy", spec.ipFamilyPolicy, familyPolicies));
  errors.push(
    ...validateChoice("externalTrafficPolicy", spec.externalTrafficPolicy, trafficPolicies),
  );
  errors.push(
    ...validateChoice("internalTrafficPolicy", spec.internalTrafficPolicy, trafficPolicies),
  );
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    errors.push(...validateChoice(`ipFamilies[${index}]`, family, families));
  }
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    errors.push(...validateAddress(address, `spec.externalIPs[${index}]`));
  }
  return errors;
}

/** A cluster address, once there, stays while the type has one. */
function validateUpdate(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  if (spec.type === "ExternalName" || old.type === "ExternalName") return [];
  if (!old.clusterIP || equalJson(spec.clusterIP, old.clusterIP)) return [];
  return [invalid("spec.clusterIP", spec.clusterIP, "field is immutable")];
}

function applyDefaults(service: Service): Service {
  const spec: ServiceSpec = { ...service.spec };
  spec.type ??= "ClusterIP";
  spec.sessionAffinity ??= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  else spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: defaultAffinitySeconds } };
  if (spec.type !== "ExternalName") spec.internalTrafficPolicy ??= "Cluster";
  if (spec.type === "NodePort" || spec.type === "LoadBalancer") {
    spec.externalTrafficPolicy ??= "Cluster";
  }
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  for (const port of spec.ports ?? []) {
    port.protocol ??= "TCP";
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "") {
      port.targetPort = port.port;
    }
  }
  service.spec = spec;
  return service;
}

function formatExternal({ spec, status }: Service): string {
  const external = spec?.externalIPs ?? [];
  if (spec?.type === "ExternalName") return spec.externalName ?? "";
  if (spec?.type !== "LoadBalancer") return orNone(external.join(","));
  const ingress = (status?.loadBalancer?.ingress ?? []).map(
    ({ ip, hostname }) => ip ?? hostname ?? "",
  );
  return [...ingress, ...external].join(",") || "<pending>";
}

function formatPort({ port, nodePort, protocol = "TCP" }: ServicePort): string {
  return nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`;
}

export const serviceKind: KindDefinition<Service> = {
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  singular: "service",
  shortNames: ["svc"],
  categories: ["all"],
  namespaced: true,
  schema: kubernetesSchema("core.Service"),
  nameRule: "label-1035",
  hasStatus: true,
  initialStatus: () => ({ loadBalancer: {} }),
  columns: [
    nameColumn,
    column("Type", "How the service is reached.", ({ spec }) => spec?.type ?? ""),
    column("Cluster-IP", "The service's address inside.", ({ spec }) => orNone(spec?.clusterIP)),
    column("External-IP", "The service's addresses outside.", formatExternal),
    column("Port(s)", "The service's ports.", ({ spec }) =>
      orNone((spec?.ports ?? []).map(formatPort).join(",")),
    ),
    ageColumn,
    wideColumn("Selector", "Labels of the pods behind it.", ({ spec }) =>
      formatLabels(spec?.selector),
    ),
  ],
  selectableFields: {
    "spec.clusterIP": ({ spec }) => spec?.clusterIP ?? "",
    "spec.type": ({ spec }) => spec?.type ?? "",
  },
  applyDefaults,
  validate: ({ spec = {} }, old) => [
    ...validateSpec(spec),
    ...(old?.spec ? validateUpdate(spec, old.spec) : []),
  ],
};
