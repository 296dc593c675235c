// EndpointSlices of a Service with a selector: one for each family that its pods have, up to 1,000 endpoints in each.
import type { EndpointSlice } from "../../kinds/endpoint-slice.ts";
import type { Pod } from "../../kinds/pod.ts";
import type { Service } from "../../kinds/service.ts";
import { tryParseAddress } from "../../net/address.ts";
import { isDone, isReady, isTerminating } from "./pod-state.ts";

type SlicePort = NonNullable<EndpointSlice["ports"]>[number];
type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

function isSelected(service: Service, pod: Pod): boolean {
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
    return [{ name: wanted.name ?? "", protocol: wanted.protocol ?? "TCP", port }];
  });
}

function endpointOf(pod: Pod, address: string): EndpointSlice["endpoints"][number] {
  const { namespace, name, uid } = pod.metadata;
  const node = pod.spec?.nodeName;
  const ready = isReady(pod);
  return {
    addresses: [address],
    conditions: { ready, serving: ready, terminating: isTerminating(pod) },
    ...(node === undefined ? {} : { nodeName: node }),
    targetRef: { kind: "Pod", name, uid, ...(namespace === undefined ? {} : { namespace }) },
  };
}

/** Pods that listen on different numbers for one name go to different slices, as EndpointSlice requires. */
export function endpointSlicesOf(service: Service, pods: Iterable<Pod>): EndpointSlice[] {
  const slices = new Map<string, EndpointSlice>();
  const { name, namespace, uid } = service.metadata;
  for (const pod of pods) {
    if (!isSelected(service, pod) || isDone(pod)) continue;
    const ports = portsFor(service, pod);
    for (const { ip } of pod.status?.podIPs ?? []) {
      const family = ip === undefined ? undefined : tryParseAddress(ip)?.family;
      if (ip === undefined || family === undefined) continue;
      const key = `${family} ${JSON.stringify(ports)}`;
      const slice = slices.get(key) ?? {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          name: `${name}-${slices.size}`,
          uid: "",
          resourceVersion: "",
          creationTimestamp: "",
          ...(namespace === undefined ? {} : { namespace }),
          labels: { "kubernetes.io/service-name": name },
          ownerReferences: [
            {
              apiVersion: "v1",
              kind: "Service",
              name,
              uid,
              controller: true,
              blockOwnerDeletion: true,
            },
          ],
        },
        addressType: family === 4 ? "IPv4" : "IPv6",
        endpoints: [],
        ports,
      };
      slice.endpoints.push(endpointOf(pod, ip));
      slices.set(key, slice);
    }
  }
  return [...slices.values()];
}
