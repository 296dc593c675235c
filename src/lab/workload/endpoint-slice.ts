// Which endpoints a Service with a selector has, by family and ports, as upstream's EndpointSlice controller finds them
// (k8s.io/endpointslice). How they are put into slices is slice-plan.ts's part.
import type { EndpointSlice } from "../../kinds/endpoint-slice.ts";
import type { Node } from "../../kinds/node.ts";
import type { Pod } from "../../kinds/pod.ts";
import type { Service } from "../../kinds/service.ts";
import { tryParseAddress } from "../../net/address.ts";
import { isDone, isServing, isTerminating } from "./pod-state.ts";
import { addHints, zoneLabel } from "./topology-hints.ts";

type SlicePort = NonNullable<EndpointSlice["ports"]>[number];
export type SliceEndpoint = EndpointSlice["endpoints"][number];
type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

/** Endpoints of one family with the same ports: they may share a slice. */
export interface EndpointSet {
  readonly addressType: "IPv4" | "IPv6";
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export function isSelected(service: Service, pod: Pod): boolean {
  const labels = pod.metadata.labels ?? {};
  const selector = Object.entries(service.spec?.selector ?? {});
  return (
    selector.length > 0 &&
    pod.metadata.namespace === service.metadata.namespace &&
    selector.every(([key, value]) => labels[key] === value)
  );
}

/** The number that the pod listens on for a Service's port; `undefined` when the pod has no port of that name. */
function targetOf(
  pod: Pod,
  { targetPort, port, protocol = "TCP" }: ServicePort,
): number | undefined {
  if (typeof targetPort === "number") return targetPort;
  if (targetPort === undefined) return port;
  return (pod.spec?.containers ?? [])
    .flatMap((container) => container.ports ?? [])
    .find(({ name, protocol: own = "TCP" }) => name === targetPort && own === protocol)
    ?.containerPort;
}

function portsFor(service: Service, pod: Pod): SlicePort[] {
  return (service.spec?.ports ?? []).flatMap((wanted) => {
    const port = targetOf(pod, wanted);
    if (port === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = wanted;
    return [{ name, protocol, port, ...(appProtocol !== undefined && { appProtocol }) }];
  });
}

/** A pod's own host name is a name under its Service's, if it says that it belongs to it (pod.spec.subdomain). */
function hostnameOf(service: Service, { spec }: Pod): { hostname?: string } {
  const { hostname, subdomain } = spec ?? {};
  return hostname && subdomain === service.metadata.name ? { hostname } : {};
}

function endpointOf(
  service: Service,
  pod: Pod,
  { address, zone }: { readonly address: string; readonly zone: string | undefined },
): SliceEndpoint {
  const { namespace, name, uid } = pod.metadata;
  const nodeName = pod.spec?.nodeName;
  const serving = isServing(pod);
  const terminating = isTerminating(pod);
  const publishes = service.spec?.publishNotReadyAddresses === true;
  return {
    addresses: [address],
    conditions: { ready: publishes || (serving && !terminating), serving, terminating },
    ...hostnameOf(service, pod),
    ...(nodeName !== undefined && { nodeName }),
    ...(zone !== undefined && { zone }),
    targetRef: { kind: "Pod", name, uid, ...(namespace !== undefined && { namespace }) },
  };
}

function compareEndpoints(a: SliceEndpoint, b: SliceEndpoint): number {
  return (a.targetRef?.name ?? "") < (b.targetRef?.name ?? "") ? -1 : 1;
}

/** Pods that listen on different numbers for one name are in different sets, as EndpointSlice requires. */
export function endpointSetsOf(
  service: Service,
  pods: Iterable<Pod>,
  nodes: ReadonlyMap<string, Node>,
): readonly EndpointSet[] {
  const sets = new Map<
    string,
    { addressType: "IPv4" | "IPv6"; ports: SlicePort[]; endpoints: SliceEndpoint[] }
  >();
  const families = service.spec?.ipFamilies;
  for (const pod of pods) {
    if (!isSelected(service, pod) || isDone(pod)) continue;
    const ports = portsFor(service, pod);
    const zone = nodes.get(pod.spec?.nodeName ?? "")?.metadata.labels?.[zoneLabel];
    for (const { ip } of pod.status?.podIPs ?? []) {
      const family = ip === undefined ? undefined : tryParseAddress(ip)?.family;
      if (ip === undefined || family === undefined) continue;
      const addressType = family === 4 ? "IPv4" : "IPv6";
      if (families !== undefined && !families.includes(addressType)) continue;
      const key = `${addressType} ${JSON.stringify(ports)}`;
      const set = sets.get(key) ?? { addressType, ports, endpoints: [] };
      set.endpoints.push(endpointOf(service, pod, { address: ip, zone }));
      sets.set(key, set);
    }
  }
  return [...sets.values()].map((set) => ({
    ...set,
    endpoints: addHints(service, set.endpoints.toSorted(compareEndpoints), nodes.values()),
  }));
}
