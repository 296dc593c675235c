// core/v1 Service.
import type { KindDefinition } from "../apimachinery/kind.ts";
import { ageColumn, column, formatLabels, nameColumn, orNone, wideColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import {
  type Service,
  type ServicePort,
  type ServiceSpec,
  hasNodePorts,
  isExternallyAccessible,
} from "./service-type.ts";
import { validateService } from "./service-validation.ts";

export type { Service } from "./service-type.ts";

const defaultAffinitySeconds = 10_800;

function applyAffinityDefaults(spec: ServiceSpec): void {
  spec.sessionAffinity ??= "None";
  if (spec.sessionAffinity === "None") delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity !== "ClientIP") return;
  const { timeoutSeconds = defaultAffinitySeconds } = spec.sessionAffinityConfig?.clientIP ?? {};
  spec.sessionAffinityConfig = { clientIP: { timeoutSeconds } };
}

function applyDefaults(service: Service): Service {
  const spec: ServiceSpec = { ...service.spec };
  spec.type ??= "ClusterIP";
  applyAffinityDefaults(spec);
  if (spec.type === "ClusterIP" || hasNodePorts(spec)) spec.internalTrafficPolicy ??= "Cluster";
  if (isExternallyAccessible(spec)) spec.externalTrafficPolicy ||= "Cluster";
  if (spec.type === "LoadBalancer") spec.allocateLoadBalancerNodePorts ??= true;
  for (const port of spec.ports ?? []) {
    port.protocol ??= "TCP";
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === "") {
      port.targetPort = port.port;
    }
  }
  for (const ingress of service.status?.loadBalancer?.ingress ?? []) {
    if (ingress.ip) ingress.ipMode ??= "VIP";
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
  validate: validateService,
};
