// core/v1 Service with its discovery.k8s.io/v1 EndpointSlices, as virtual services: one for each port and family, and one
// more for the addresses by which it is reached from outside. A part that cannot be understood is left out: nothing goes there.
import type { Backend, Frontend, VirtualService } from "../model/service.ts";
import { type Family, formatAddress, tryParseAddress } from "../net/address.ts";
import { type PortProtocol, isPortProtocol } from "../net/protocol.ts";
import { fieldAt, fieldOf, listOf, stringOf } from "./json.ts";

/** On an EndpointSlice: the name of its Service. */
export const serviceNameLabel = "kubernetes.io/service-name";

const families = [
  { family: 4, type: "IPv4" },
  { family: 6, type: "IPv6" },
] as const satisfies readonly { family: Family; type: string }[];

interface ServicePort {
  /** Empty where it has none. */
  readonly name: string;
  readonly protocol: PortProtocol;
  readonly port: number;
}

function portNumberOf(value: unknown): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value)) return undefined;
  return value >= 1 && value <= 65535 ? value : undefined;
}

function protocolOf(value: unknown): PortProtocol | undefined {
  const text = value ?? "TCP";
  return typeof text === "string" && isPortProtocol(text) ? text : undefined;
}

function portOf(value: unknown): ServicePort | undefined {
  const port = portNumberOf(fieldOf(value, "port"));
  const protocol = protocolOf(fieldOf(value, "protocol"));
  if (port === undefined || protocol === undefined) return undefined;
  return { name: stringOf(fieldOf(value, "name")) ?? "", protocol, port };
}

/** Addresses of the family, each once, in the order given. */
function addressesOf(values: readonly unknown[], family: Family): readonly string[] {
  const parsed = values.map((value) =>
    typeof value === "string" ? tryParseAddress(value) : undefined,
  );
  const own = parsed.filter((address) => address?.family === family);
  return [...new Set(own.map((address) => address && formatAddress(address)))].filter(
    (text) => text !== undefined,
  );
}

/** Empty for a headless Service, and for one that has none yet. */
function clusterAddressesOf(service: unknown): readonly unknown[] {
  const several = listOf(fieldAt(service, "spec", "clusterIPs")) ?? [];
  return several.length > 0 ? several : [fieldAt(service, "spec", "clusterIP")];
}

/** By which it is reached from outside; from inside they are a short way to the same backends. */
function externalAddressesOf(service: unknown): readonly unknown[] {
  const ingress = listOf(fieldAt(service, "status", "loadBalancer", "ingress")) ?? [];
  // A load balancer that is a proxy must see the packets itself.
  const virtual = ingress.filter((each) => fieldOf(each, "ipMode") !== "Proxy");
  return [
    ...(listOf(fieldAt(service, "spec", "externalIPs")) ?? []),
    ...virtual.map((each) => fieldOf(each, "ip")),
  ];
}

/** The number at which the slice's endpoints serve the port. */
function targetOf(slice: unknown, { name, protocol }: ServicePort): number | undefined {
  const found = (listOf(fieldOf(slice, "ports")) ?? []).find(
    (each) =>
      (fieldOf(each, "name") ?? "") === name && protocolOf(fieldOf(each, "protocol")) === protocol,
  );
  return portNumberOf(fieldOf(found, "port"));
}

/** What is not known counts as ready (EndpointConditions of discovery.k8s.io/v1). */
function readinessOf(endpoint: unknown): "ready" | "ending" | "none" {
  const conditions = fieldOf(endpoint, "conditions");
  if (fieldOf(conditions, "ready") !== false) return "ready";
  const ending = fieldOf(conditions, "terminating") === true;
  return ending && fieldOf(conditions, "serving") !== false ? "ending" : "none";
}

function backendsOf(
  slices: Iterable<unknown>,
  port: ServicePort,
  { family, type }: (typeof families)[number],
): readonly Backend[] {
  const backends = new Map<string, Backend>();
  for (const slice of slices) {
    const target = targetOf(slice, port);
    if (fieldOf(slice, "addressType") !== type || target === undefined) continue;
    for (const endpoint of listOf(fieldOf(slice, "endpoints")) ?? []) {
      const readiness = readinessOf(endpoint);
      // All addresses of an endpoint are the same thing; consumers use the first (EndpointSlice API).
      const [address] = addressesOf(
        (listOf(fieldOf(endpoint, "addresses")) ?? []).slice(0, 1),
        family,
      );
      if (readiness === "none" || address === undefined) continue;
      const node = stringOf(fieldOf(endpoint, "nodeName"));
      const ready = readiness === "ready";
      const key = `${address} ${target}`;
      // Slices overlap while an endpoint moves from one to another: what is ready in either is.
      if (ready || !backends.has(key)) backends.set(key, { address, port: target, node, ready });
    }
  }
  return [...backends].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}

function frontendsOf(addresses: readonly string[], { port }: ServicePort): readonly Frontend[] {
  return addresses.map((address) => ({ address, port }));
}

/** None for a Service that is a name only (ExternalName, headless) or could not be understood. */
export function translateService(
  service: unknown,
  slices: readonly unknown[],
  domain: string,
): readonly VirtualService[] {
  const name = stringOf(fieldAt(service, "metadata", "name"));
  const namespace = stringOf(fieldAt(service, "metadata", "namespace"));
  const type = fieldAt(service, "spec", "type") ?? "ClusterIP";
  if (name === undefined || namespace === undefined || type === "ExternalName") return [];
  const sticky = fieldAt(service, "spec", "sessionAffinity") === "ClientIP";
  const localOnly = fieldAt(service, "spec", "internalTrafficPolicy") === "Local";
  const found: VirtualService[] = [];
  for (const value of listOf(fieldAt(service, "spec", "ports")) ?? []) {
    const port = portOf(value);
    if (port === undefined) continue;
    for (const each of families) {
      const own = addressesOf(clusterAddressesOf(service), each.family);
      const outer = addressesOf(externalAddressesOf(service), each.family);
      const places = [
        { suffix: "", addresses: own, localOnly },
        { suffix: " external", addresses: outer, localOnly: false },
      ].filter(({ addresses }) => addresses.length > 0);
      if (places.length === 0) continue;
      const backends = backendsOf(slices, port, each);
      for (const place of places) {
        found.push({
          id: `${namespace}/${name} ${port.protocol}/${port.port} ${each.type}${place.suffix}`,
          domain,
          protocol: port.protocol,
          frontends: frontendsOf(place.addresses, port),
          localOnly: place.localOnly,
          sticky,
          backends,
        });
      }
    }
  }
  return found;
}
