// core/v1 Service with its discovery.k8s.io/v1 EndpointSlices, as virtual services: one for each port and family. A part that
// cannot be understood, or would take what is another's, is left out and reported: nothing goes there.
import type { Backend, Frontend, TrafficPolicy, VirtualService } from "../model/service.ts";
import {
  type Address,
  type Family,
  type Prefix,
  formatAddress,
  formatPrefix,
  prefixContains,
  tryParseAddress,
  tryParsePrefix,
} from "../net/address.ts";
import { type PortProtocol, isPortProtocol } from "../net/protocol.ts";
import { unroutable } from "../net/unroutable.ts";
import {
  fieldAt,
  fieldOf,
  listOf,
  type Problem,
  quoted,
  stringOf,
  type Translation,
} from "./json.ts";

/** On an EndpointSlice: the name of its Service. */
export const serviceNameLabel = "kubernetes.io/service-name";

const families = [
  { family: 4, type: "IPv4" },
  { family: 6, type: "IPv6" },
] as const satisfies readonly { family: Family; type: string }[];

/** Where a Service is reached, and what else has its addresses there. */
export interface ServiceSurroundings {
  readonly domain: string;
  /** CIDRs of the domain's endpoints, and of its virtual addresses. */
  readonly pools: readonly string[];
  readonly serviceCidrs: readonly string[];
}

/** Above it each node uses a part of a Service's endpoints, another one for each (pipeline/service-feature.ts). */
const manyBackends = 1_000;
/** So many of a kind are named. */
const mostProblems = 8;

/** The same thing about several ports is one problem. */
class Problems {
  readonly #byText = new Map<string, Problem>();

  add(field: string, message: string): void {
    if (this.#byText.size < mostProblems)
      this.#byText.set(`${field} ${message}`, { field, message });
  }

  get all(): readonly Problem[] {
    return [...this.#byText.values()];
  }
}

interface Ground {
  readonly pools: readonly Prefix[];
  readonly serviceCidrs: readonly Prefix[];
}

function prefixesIn(texts: readonly string[]): readonly Prefix[] {
  return texts.map(tryParsePrefix).filter((prefix) => prefix !== undefined);
}

function groundOf({ pools, serviceCidrs }: ServiceSurroundings): Ground {
  return { pools: prefixesIn(pools), serviceCidrs: prefixesIn(serviceCidrs) };
}

function isIn(prefixes: readonly Prefix[], address: Address): boolean {
  return prefixes.some((prefix) => prefixContains(prefix, address));
}

/** Why nobody may be reached at the address from outside; `undefined` where somebody may. */
function refusalOfExternal({ pools, serviceCidrs }: Ground, address: Address): string | undefined {
  if (isIn(unroutable, address)) return "leads nowhere";
  if (isIn(pools, address)) return "is in the domain's pools, and may be an endpoint's";
  return isIn(serviceCidrs, address) ? "is in the domain's serviceCidrs" : undefined;
}

/** A Service behind a Service would be translated once only, and then be nobody. */
function refusalOfBackend({ serviceCidrs }: Ground, address: Address): string | undefined {
  if (isIn(unroutable, address)) return "leads nowhere";
  return isIn(serviceCidrs, address) ? "is in the domain's serviceCidrs" : undefined;
}

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

/** How long a client's connections go to one backend where the Service does not say (core/v1 ClientIPConfig). */
const defaultAffinitySeconds = 10_800;

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

/** For whom the endpoint is meant; one without hints is for all. */
function hintsOf(endpoint: unknown): Pick<Backend, "zones" | "nodes"> {
  const named = (field: string): readonly string[] =>
    (listOf(fieldAt(endpoint, "hints", field)) ?? [])
      .map((each) => stringOf(fieldOf(each, "name")))
      .filter((name) => name !== undefined);
  const zones = named("forZones");
  const nodes = named("forNodes");
  return { ...(zones.length > 0 && { zones }), ...(nodes.length > 0 && { nodes }) };
}

interface Reader {
  readonly ground: Ground;
  readonly problems: Problems;
}

/** The first of the endpoint's addresses: all of them are the same thing, and consumers use the first (EndpointSlice API). */
function backendAddressOf(
  endpoint: unknown,
  family: Family,
  { ground, problems }: Reader,
): string | undefined {
  const [text] = listOf(fieldOf(endpoint, "addresses")) ?? [];
  const address = typeof text === "string" ? tryParseAddress(text) : undefined;
  if (address?.family !== family) {
    problems.add("endpoints", `${quoted(text)} is no IPv${family} address`);
    return undefined;
  }
  const refusal = refusalOfBackend(ground, address);
  if (refusal === undefined) return formatAddress(address);
  problems.add("endpoints", `${quoted(text)} ${refusal}`);
  return undefined;
}

function backendsOf(
  slices: Iterable<unknown>,
  port: ServicePort,
  { family, type }: (typeof families)[number],
  reader: Reader,
): readonly Backend[] {
  const backends = new Map<string, Backend>();
  for (const slice of slices) {
    const target = targetOf(slice, port);
    if (fieldOf(slice, "addressType") !== type || target === undefined) continue;
    for (const endpoint of listOf(fieldOf(slice, "endpoints")) ?? []) {
      const readiness = readinessOf(endpoint);
      if (readiness === "none") continue;
      const address = backendAddressOf(endpoint, family, reader);
      if (address === undefined) continue;
      const node = stringOf(fieldOf(endpoint, "nodeName"));
      const ready = readiness === "ready";
      const key = `${address} ${target}`;
      // Slices overlap while an endpoint moves from one to another: what is ready in either is.
      if (!ready && backends.has(key)) continue;
      backends.set(key, { address, port: target, node, ready, ...hintsOf(endpoint) });
    }
  }
  if (backends.size > manyBackends) {
    const rule = `each node spreads its connections over some ${manyBackends} of them`;
    reader.problems.add("endpoints", `there are ${backends.size}: ${rule}`);
  }
  return [...backends].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}

function frontendsOf(
  service: unknown,
  { port }: ServicePort,
  family: Family,
  { ground, problems }: Reader,
): Frontend[] {
  const own = addressesOf(clusterAddressesOf(service), family);
  // A Service is reached only by the families that it has an address of its own in, as kube-proxy has it.
  if (own.length === 0) return [];
  const outer = addressesOf(externalAddressesOf(service), family).filter((text) => {
    const address = tryParseAddress(text);
    const refusal = address && refusalOfExternal(ground, address);
    if (refusal !== undefined) problems.add("externalIPs", `${text} ${refusal}`);
    return address !== undefined && refusal === undefined && !own.includes(text);
  });
  return [
    ...own.map((address) => ({ address, port, scope: "cluster" as const })),
    ...outer.map((address) => ({ address, port, scope: "external" as const })),
  ];
}

function policyOf(value: unknown): TrafficPolicy {
  return value === "Local" ? "Local" : "Cluster";
}

function affinityOf(service: unknown): Pick<VirtualService, "affinitySeconds"> {
  if (fieldAt(service, "spec", "sessionAffinity") !== "ClientIP") return {};
  const seconds = fieldAt(service, "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds");
  const isUsable = typeof seconds === "number" && Number.isInteger(seconds) && seconds > 0;
  return { affinitySeconds: isUsable ? seconds : defaultAffinitySeconds };
}

/** What all ports of the Service have in common. */
function commonOf(
  service: unknown,
): Pick<
  VirtualService,
  "internalPolicy" | "externalPolicy" | "affinitySeconds" | "healthCheckNodePort"
> {
  const healthCheckNodePort = portNumberOf(fieldAt(service, "spec", "healthCheckNodePort"));
  return {
    internalPolicy: policyOf(fieldAt(service, "spec", "internalTrafficPolicy")),
    externalPolicy: policyOf(fieldAt(service, "spec", "externalTrafficPolicy")),
    ...affinityOf(service),
    ...(healthCheckNodePort !== undefined && { healthCheckNodePort }),
  };
}

/** CIDRs of the family; one that cannot be read admits nobody. */
function sourceRangesOf(service: unknown, family: Family): Pick<VirtualService, "sourceRanges"> {
  const listed = listOf(fieldAt(service, "spec", "loadBalancerSourceRanges")) ?? [];
  if (listed.length === 0) return {};
  const prefixes = listed.map((text) =>
    typeof text === "string" ? tryParsePrefix(text.trim()) : undefined,
  );
  const own = prefixes.filter((prefix) => prefix?.family === family);
  return {
    sourceRanges: own
      .map((prefix) => prefix && formatPrefix(prefix))
      .filter((text) => text !== undefined),
  };
}

function reportSlices(slices: readonly unknown[], problems: Problems): void {
  for (const slice of slices) {
    const type = fieldOf(slice, "addressType");
    if (families.some((each) => each.type === type)) continue;
    const name = stringOf(fieldAt(slice, "metadata", "name")) ?? "";
    problems.add("endpoints", `slice ${name} has addresses of type ${quoted(type)}`);
  }
}

/** Labels that keep a Service from kube-proxy and whoever stands in for it: another proxy has it, or it is a name only. */
const leftToOthers = [
  "service.kubernetes.io/service-proxy-name",
  "service.kubernetes.io/headless",
] as const;

function isLeftToOthers(service: unknown): boolean {
  return leftToOthers.some((label) => fieldAt(service, "metadata", "labels", label) !== undefined);
}

/** No virtual service for a Service that is a name only (ExternalName, headless) or could not be understood. */
export function translateService(
  service: unknown,
  slices: readonly unknown[],
  surroundings: ServiceSurroundings,
): Translation<readonly VirtualService[]> {
  const name = stringOf(fieldAt(service, "metadata", "name"));
  const namespace = stringOf(fieldAt(service, "metadata", "namespace"));
  const type = fieldAt(service, "spec", "type") ?? "ClusterIP";
  const found: VirtualService[] = [];
  const problems = new Problems();
  const isName = type === "ExternalName" || isLeftToOthers(service);
  if (name === undefined || namespace === undefined || isName) {
    return { value: found, problems: problems.all };
  }
  const reader = { ground: groundOf(surroundings), problems };
  const common = {
    name: `${namespace}/${name}`,
    domain: surroundings.domain,
    ...commonOf(service),
  };
  for (const [index, value] of (listOf(fieldAt(service, "spec", "ports")) ?? []).entries()) {
    const port = portOf(value);
    if (port === undefined) {
      problems.add(`spec.ports[${index}]`, `${quoted(value)} is no port`);
      continue;
    }
    const nodePort = portNumberOf(fieldOf(value, "nodePort"));
    for (const each of families) {
      const frontends = frontendsOf(service, port, each.family, reader);
      if (frontends.length === 0) continue;
      found.push({
        id: `${common.name} ${port.protocol}/${port.port} ${each.type}`,
        portName: port.name,
        protocol: port.protocol,
        family: each.family,
        frontends,
        ...(nodePort !== undefined && { nodePort }),
        ...common,
        ...sourceRangesOf(service, each.family),
        backends: backendsOf(slices, port, each, reader),
      });
    }
  }
  if (found.length > 0) reportSlices(slices, problems);
  return { value: found, problems: problems.all };
}
