// Why a connection to a Service opens or not: which backends it may go to, and what the policies say of each.
import { translateCluster } from "../kubernetes/cluster.ts";
import { backendsFor, type ClientPlace } from "../kubernetes/service-choice.ts";
import { fieldAt, fieldOf, type Problem, stringOf } from "../kubernetes/json.ts";
import { serviceNameLabel, translateService } from "../kubernetes/service.ts";
import {
  findService,
  parseServiceTarget,
  serviceEndName,
  type ServiceTarget,
} from "../lab/service-target.ts";
import type { VirtualService } from "../model/service.ts";
import { tryParseAddress } from "../net/address.ts";
import { type Explanation, explain } from "../policy/explain.ts";
import type { Packet, PacketEnd } from "../policy/packet.ts";
import { PolicyModel } from "../policy/policy-model.ts";
import { CliError } from "./errors.ts";

interface BackendExplanation {
  readonly address: string;
  readonly port: number;
  /** `NAMESPACE/POD`, where it is one. */
  readonly pod?: string;
  readonly node?: string;
  readonly ready: boolean;
  readonly explanation: Explanation;
}

export interface ServiceExplanation {
  /** `NAMESPACE/NAME`. */
  readonly service: string;
  /** Empty where the port has no name. */
  readonly portName: string;
  /** `part`: it depends on the backend that is chosen. */
  readonly verdict: "allow" | "deny" | "part";
  /** One sentence each. */
  readonly text: readonly string[];
  /** Those that this client's connections may go to. */
  readonly backends: readonly BackendExplanation[];
}

interface Query {
  readonly source: PacketEnd;
  readonly service: Pick<Packet, "protocol" | "destinationPort">;
}

/** The Service that a destination means: by name, or by an address of its own. */
export function serviceTargetOf(
  objects: readonly unknown[],
  destination: string,
): ServiceTarget | undefined {
  const named = parseServiceTarget(destination);
  if (named !== undefined) {
    if (findService(objects, named) !== undefined) return named;
    throw new CliError(`there is no Service ${named.namespace}/${named.name}`);
  }
  if (tryParseAddress(destination) === undefined) return undefined;
  const found = objects
    .filter((object) => fieldOf(object, "kind") === "Service")
    .map((object) => ({
      namespace: stringOf(fieldAt(object, "metadata", "namespace")) ?? "",
      name: stringOf(fieldAt(object, "metadata", "name")) ?? "",
    }))
    .find((target) =>
      translated(objects, target).services.some(({ frontends }) =>
        frontends.some(({ address }) => address === destination),
      ),
    );
  return found;
}

function translated(
  objects: readonly unknown[],
  target: ServiceTarget,
): { readonly services: readonly VirtualService[]; readonly problems: readonly Problem[] } {
  const slices = objects.filter(
    (object) =>
      fieldOf(object, "kind") === "EndpointSlice" &&
      fieldAt(object, "metadata", "namespace") === target.namespace &&
      fieldAt(object, "metadata", "labels", serviceNameLabel) === target.name,
  );
  const surroundings = { domain: "default", pools: [], serviceCidrs: [] };
  const { value, problems } = translateService(findService(objects, target), slices, surroundings);
  return { services: value, problems };
}

function placeOf(objects: readonly unknown[], source: PacketEnd): ClientPlace {
  const { nodes } = translateCluster(objects.filter((each) => fieldOf(each, "kind") === "Node"));
  const nodeOf = (): string | undefined => {
    if (source.kind === "node") return source.name;
    if (source.kind === "address") {
      return nodes.find(({ addresses }) => addresses.includes(source.address))?.name;
    }
    const pod = objects.find(
      (object) =>
        fieldOf(object, "kind") === "Pod" &&
        `${String(fieldAt(object, "metadata", "namespace"))}/${String(fieldAt(object, "metadata", "name"))}` ===
          source.id,
    );
    return stringOf(fieldAt(pod, "spec", "nodeName"));
  };
  const node = nodeOf();
  const zone = nodes.find(({ name }) => name === node)?.zone;
  return { node, zone, isOutside: source.kind === "address" && node === undefined };
}

function familiesOf(objects: readonly unknown[], source: PacketEnd): readonly number[] {
  if (source.kind === "address") {
    const family = tryParseAddress(source.address)?.family;
    return family === undefined ? [] : [family];
  }
  if (source.kind === "node") return [4, 6];
  const { endpoints } = translateCluster(objects);
  const own = endpoints.find(({ id }) => id === source.id)?.addresses ?? [];
  return own.map((address) => tryParseAddress(address)?.family ?? 0);
}

function describeChoice(
  service: VirtualService,
  client: ClientPlace,
  backends: readonly BackendExplanation[],
): string[] {
  const { name, portName, protocol, frontends, affinitySeconds } = service;
  const at = frontends.map(({ address, port }) => `${address} port ${port}`).join(", ");
  const port = portName === "" ? protocol : `${portName} (${protocol})`;
  const head = `Service ${name}, port ${port} at ${at}`;
  const all = service.backends.length;
  const policy = client.isOutside ? service.externalPolicy : service.internalPolicy;
  const only =
    policy === "Local" ? `, of which those on ${client.node ?? "the node it comes to"} count` : "";
  const lines = [`${head}: ${all} ${all === 1 ? "endpoint" : "endpoints"}${only}`];
  const [first] = backends;
  if (first === undefined) lines.push("none of them is for this client, so nothing answers");
  else if (backends.length === 1) lines.push(`every connection goes to ${nameOf(first)}`);
  else if (affinitySeconds === undefined) {
    lines.push(`each connection goes to one of ${backends.length}, about as often to each`);
  } else {
    const what = `all connections of the client's address go to one of ${backends.length}`;
    lines.push(`${what}, until it has opened none for ${affinitySeconds} s`);
  }
  return lines;
}

function nameOf({ pod, address, port }: BackendExplanation): string {
  return pod === undefined ? `${address} port ${port}` : `${pod} (${address} port ${port})`;
}

function verdictOf(backends: readonly BackendExplanation[]): ServiceExplanation["verdict"] {
  const allowed = backends.filter(({ explanation }) => explanation.verdict === "allow").length;
  if (allowed === 0) return "deny";
  return allowed === backends.length ? "allow" : "part";
}

function explainBackends(
  objects: readonly unknown[],
  service: VirtualService,
  { source, client }: { readonly source: PacketEnd; readonly client: ClientPlace },
): readonly BackendExplanation[] {
  const cluster = translateCluster(objects);
  const model = new PolicyModel(cluster);
  return backendsFor(service, client).map(({ address, port, node, ready }) => {
    const pod = cluster.endpoints.find(({ addresses }) => addresses.includes(address))?.id;
    const destination: PacketEnd =
      pod === undefined ? { kind: "address", address } : { kind: "endpoint", id: pod };
    const { protocol, family } = service;
    const packet = { source, destination, protocol, destinationPort: port, family };
    return {
      address,
      port,
      ready,
      ...(pod !== undefined && { pod }),
      ...(node !== undefined && { node }),
      explanation: explain(model, packet),
    };
  });
}

function portOf({ frontends }: VirtualService): number | undefined {
  return frontends[0]?.port;
}

/** @throws {CliError} for a port that the Service has not */
export function explainService(
  objects: readonly unknown[],
  target: ServiceTarget,
  { source, service: asked }: Query,
): ServiceExplanation {
  const { services, problems } = translated(objects, target);
  const name = serviceEndName(target).slice("svc/".length);
  const ofPort = services.filter(
    (each) => each.protocol === asked.protocol && portOf(each) === asked.destinationPort,
  );
  const families = familiesOf(objects, source);
  const service = ofPort.find(({ family }) => families.includes(family)) ?? ofPort[0];
  if (service === undefined) {
    const ports = services.map((each) => `${each.protocol.toLowerCase()}/${portOf(each)}`);
    const has = ports.length === 0 ? "no address" : `only ${[...new Set(ports)].join(", ")}`;
    throw new CliError(`Service ${name} has ${has}`);
  }
  const client = placeOf(objects, source);
  const backends = explainBackends(objects, service, { source, client });
  const reported = problems.map(({ field, message }) => `left out: ${field}: ${message}`);
  return {
    service: service.name,
    portName: service.portName,
    verdict: verdictOf(backends),
    text: [...describeChoice(service, client, backends), ...reported],
    backends,
  };
}

const words = { allow: "ALLOWED", deny: "DENIED", part: "ALLOWED IN PART" } as const;
/** So many backends are explained to people; programs get all. */
const mostShown = 10;

/** What the command prints for people. */
export function formatServiceExplanation(
  { source, destination, port }: { source: string; destination: string; port: string },
  { verdict, text, backends }: ServiceExplanation,
): string {
  const lines = [`${words[verdict]}  ${source} -> ${destination} ${port}`];
  lines.push(...text.map((line) => `  ${line}`));
  for (const backend of backends.slice(0, mostShown)) {
    const { explanation, node } = backend;
    const where = node === undefined ? "" : ` on ${node}`;
    lines.push(`  ${words[explanation.verdict]}  ${nameOf(backend)}${where}`);
    for (const { text: said } of [explanation.egress, explanation.ingress]) {
      const [decision = "", ...nearMisses] = said;
      lines.push(
        `    ${decision}`,
        ...nearMisses.slice(0, 3).map((each) => `      nearest: ${each}`),
      );
    }
  }
  if (backends.length > mostShown) lines.push(`  and ${backends.length - mostShown} more`);
  return lines.join("\n");
}
