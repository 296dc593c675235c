// Endpoints into slices of at most 100, each endpoint staying in the slice that has it: a change is told in one slice, however
// many there are.
import { equalJson } from "../../apimachinery/json.ts";
import type { EndpointSlice } from "../../kinds/endpoint-slice.ts";
import type { Service } from "../../kinds/service.ts";
import type { EndpointSet, SliceEndpoint } from "./endpoint-slice.ts";

const serviceNameLabel = "kubernetes.io/service-name";
const managedByLabel = "endpointslice.kubernetes.io/managed-by";
const headlessLabel = "service.kubernetes.io/headless";
const manager = "endpointslice-controller.k8s.io";

/** As upstream's controller has it by default (--max-endpoints-per-slice). */
const mostEndpoints = 100;

export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

function labelsFor({ metadata, spec }: Service): Record<string, string> {
  return {
    [serviceNameLabel]: metadata.name,
    [managedByLabel]: manager,
    ...(spec?.clusterIP === "None" && { [headlessLabel]: "" }),
  };
}

/** Whether it is of this plan's making, and not of somebody who made slices for the Service by hand. */
export function isOwnSlice(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.[managedByLabel] === manager;
}

/** The Service that the slice is of, `NAMESPACE/NAME`. */
export function serviceOf({ metadata }: EndpointSlice): string {
  return `${metadata.namespace ?? ""}/${metadata.labels?.[serviceNameLabel] ?? ""}`;
}

function newSlice(service: Service, set: EndpointSet, endpoints: SliceEndpoint[]): EndpointSlice {
  const { name, namespace, uid } = service.metadata;
  const owner = { apiVersion: "v1", kind: "Service", name, uid, controller: true };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "",
      generateName: `${name}-`,
      uid: "",
      resourceVersion: "",
      creationTimestamp: "",
      ...(namespace !== undefined && { namespace }),
      labels: labelsFor(service),
      ownerReferences: [{ ...owner, blockOwnerDeletion: true }],
    },
    addressType: set.addressType,
    endpoints,
    ports: [...set.ports],
  };
}

function keyOf({ targetRef, addresses }: SliceEndpoint): string {
  return `${targetRef?.uid ?? ""} ${addresses[0] ?? ""}`;
}

function setKeyOf({ addressType, ports }: Pick<EndpointSlice, "addressType" | "ports">): string {
  const listed = (ports ?? []).map(({ name = "", protocol = "TCP", port, appProtocol }) => [
    name,
    protocol,
    port,
    appProtocol,
  ]);
  return `${addressType} ${JSON.stringify(listed)}`;
}

/** One set into the slices that it has already, and new ones for what does not fit. */
function planSet(
  service: Service,
  set: EndpointSet,
  existing: readonly EndpointSlice[],
): SlicePlan {
  const labels = labelsFor(service);
  const left = new Map(set.endpoints.map((endpoint) => [keyOf(endpoint), endpoint]));
  const kept = existing.map((slice) => {
    const endpoints: SliceEndpoint[] = [];
    for (const old of slice.endpoints) {
      const endpoint = left.get(keyOf(old));
      if (endpoint === undefined || endpoints.length === mostEndpoints) continue;
      endpoints.push(endpoint);
      left.delete(keyOf(old));
    }
    return { slice, endpoints };
  });
  const fresh = [...left.values()];
  for (const { endpoints } of kept) {
    endpoints.push(...fresh.splice(0, mostEndpoints - endpoints.length));
  }
  const create: EndpointSlice[] = [];
  while (fresh.length > 0) {
    create.push(newSlice(service, set, fresh.splice(0, mostEndpoints)));
  }
  const isChanged = ({ slice, endpoints }: (typeof kept)[number]): boolean =>
    !equalJson(slice.endpoints, endpoints) || !equalJson(slice.metadata.labels ?? {}, labels);
  return {
    create,
    update: kept
      .filter((each) => each.endpoints.length > 0 && isChanged(each))
      .map(({ slice, endpoints }) => ({
        ...slice,
        metadata: { ...slice.metadata, labels },
        endpoints,
      })),
    remove: kept.filter(({ endpoints }) => endpoints.length === 0).map(({ slice }) => slice),
  };
}

/** `existing` are the Service's own slices. */
export function planSlices(
  service: Service,
  sets: readonly EndpointSet[],
  existing: readonly EndpointSlice[],
): SlicePlan {
  const bySet = new Map<string, EndpointSlice[]>();
  for (const slice of existing) {
    const key = setKeyOf(slice);
    bySet.set(key, [...(bySet.get(key) ?? []), slice]);
  }
  const plans = sets.map((set) => {
    const key = setKeyOf({ addressType: set.addressType, ports: [...set.ports] });
    const own = bySet.get(key) ?? [];
    bySet.delete(key);
    return planSet(service, set, own);
  });
  return {
    create: plans.flatMap(({ create }) => create),
    update: plans.flatMap(({ update }) => update),
    remove: [...plans.flatMap(({ remove }) => remove), ...[...bySet.values()].flat()],
  };
}
