// For which zones and nodes an endpoint is meant: what spec.trafficDistribution and the annotation
// service.kubernetes.io/topology-mode ask for (KEP-4444, KEP-3015, KEP-2433).
import type { EndpointSlice } from "../../kinds/endpoint-slice.ts";
import type { Node } from "../../kinds/node.ts";
import type { Service } from "../../kinds/service.ts";

type Endpoint = EndpointSlice["endpoints"][number];

/** On a Node: the zone that it stands in. */
export const zoneLabel = "topology.kubernetes.io/zone";
const modeAnnotation = "service.kubernetes.io/topology-mode";
/** With fewer endpoints for each zone, one that fails would be felt by its whole zone. */
const fewestForEachZone = 3;

function isAuto({ metadata }: Service): boolean {
  return metadata.annotations?.[modeAnnotation]?.toLowerCase() === "auto";
}

function near(endpoint: Endpoint, toNode: boolean): Endpoint {
  const { zone, nodeName, conditions } = endpoint;
  if (conditions?.ready !== true) return endpoint;
  const hints = {
    ...(zone !== undefined && { forZones: [{ name: zone }] }),
    ...(toNode && nodeName !== undefined && { forNodes: [{ name: nodeName }] }),
  };
  return Object.keys(hints).length === 0 ? endpoint : { ...endpoint, hints };
}

/** How many of the endpoints each zone is to have, by its share of the nodes: they add up to all. */
function sharesOf(nodesByZone: ReadonlyMap<string, number>, total: number): Map<string, number> {
  const nodes = [...nodesByZone.values()].reduce((sum, count) => sum + count, 0);
  const exact = [...nodesByZone].map(([zone, count]) => ({
    zone,
    wanted: (total * count) / nodes,
  }));
  const shares = new Map(exact.map(({ zone, wanted }) => [zone, Math.floor(wanted)]));
  const byRest = exact.toSorted((a, b) => (b.wanted % 1) - (a.wanted % 1));
  let left = total - [...shares.values()].reduce((sum, count) => sum + count, 0);
  for (const { zone } of byRest) {
    if (left-- <= 0) break;
    shares.set(zone, (shares.get(zone) ?? 0) + 1);
  }
  return shares;
}

/** Spreads the endpoints over the zones by their shares of the nodes; none get hints where that cannot be sensible. */
function spread(endpoints: readonly Endpoint[], nodes: Iterable<Node>): readonly Endpoint[] {
  const nodesByZone = new Map<string, number>();
  for (const { metadata } of nodes) {
    const zone = metadata.labels?.[zoneLabel];
    if (zone === undefined) return endpoints;
    nodesByZone.set(zone, (nodesByZone.get(zone) ?? 0) + 1);
  }
  const ready = endpoints.filter(({ conditions }) => conditions?.ready === true);
  if (nodesByZone.size < 2 || ready.length < fewestForEachZone * nodesByZone.size) return endpoints;
  if (ready.some(({ zone }) => zone === undefined || !nodesByZone.has(zone))) return endpoints;
  const open = sharesOf(nodesByZone, ready.length);
  const zoneOf = new Map<Endpoint, string>();
  const take = (endpoint: Endpoint, zone: string): void => {
    open.set(zone, (open.get(zone) ?? 0) - 1);
    zoneOf.set(endpoint, zone);
  };
  for (const endpoint of ready) {
    if ((open.get(endpoint.zone ?? "") ?? 0) > 0) take(endpoint, endpoint.zone ?? "");
  }
  for (const endpoint of ready) {
    const zone = [...open].find(([, count]) => count > 0)?.[0];
    if (!zoneOf.has(endpoint) && zone !== undefined) take(endpoint, zone);
  }
  return endpoints.map((endpoint) => {
    const name = zoneOf.get(endpoint);
    return name === undefined ? endpoint : { ...endpoint, hints: { forZones: [{ name }] } };
  });
}

export function addHints(
  service: Service,
  endpoints: readonly Endpoint[],
  nodes: Iterable<Node>,
): readonly Endpoint[] {
  // The annotation comes first, as upstream has it.
  if (isAuto(service)) return spread(endpoints, nodes);
  const { trafficDistribution = "" } = service.spec ?? {};
  const isNear = ["PreferClose", "PreferSameZone", "PreferSameNode"].includes(trafficDistribution);
  if (!isNear) return endpoints;
  return endpoints.map((endpoint) => near(endpoint, trafficDistribution === "PreferSameNode"));
}
