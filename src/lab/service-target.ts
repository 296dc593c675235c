// `svc/NAMESPACE/NAME[:PORT]` on the command line: a Service, and one of its ports by name or number.
import { fieldAt, fieldOf, listOf, stringOf } from "../kubernetes/json.ts";
import type { Family } from "../net/address.ts";
import { tryParseAddress } from "../net/address.ts";
import type { DeclaredPort, End } from "./matrix.ts";
import type { ProbeProtocol } from "./protocol.ts";

const prefix = "svc/";

export interface ServiceTarget {
  readonly namespace: string;
  readonly name: string;
  /** Absent: all of them. */
  readonly port?: string;
}

/** `undefined` for what names no Service. */
export function parseServiceTarget(text: string): ServiceTarget | undefined {
  const match = /^svc\/([^/:]+)\/([^/:]+)(?::([^/:]+))?$/.exec(text);
  const [, namespace, name, port] = match ?? [];
  if (namespace === undefined || name === undefined) return undefined;
  return { namespace, name, ...(port !== undefined && { port }) };
}

export function serviceEndName({ namespace, name }: ServiceTarget): string {
  return `${prefix}${namespace}/${name}`;
}

export function isServiceName(text: string): boolean {
  return text.startsWith(prefix);
}

/** The Service among objects of any kind. */
export function findService(objects: readonly unknown[], target: ServiceTarget): unknown {
  return objects.find(
    (object) =>
      fieldOf(object, "kind") === "Service" &&
      fieldAt(object, "metadata", "namespace") === target.namespace &&
      fieldAt(object, "metadata", "name") === target.name,
  );
}

const protocols: Readonly<Record<string, ProbeProtocol>> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

/** The Service as an end of probes: its ports, or the one that is named. No ports where it has none of that name. */
export function serviceEnd(service: unknown, target: ServiceTarget): End {
  const ports: DeclaredPort[] = [];
  for (const each of listOf(fieldAt(service, "spec", "ports")) ?? []) {
    const port = fieldOf(each, "port");
    const protocol = protocols[stringOf(fieldOf(each, "protocol")) ?? "TCP"];
    if (typeof port !== "number" || protocol === undefined) continue;
    const names = [String(port), fieldOf(each, "name")];
    if (target.port === undefined || names.includes(target.port)) ports.push({ protocol, port });
  }
  return { name: serviceEndName(target), ports };
}

/** The Service's cluster address of the family. */
export function serviceAddressOf(service: unknown, family: Family): string | undefined {
  const addresses = listOf(fieldAt(service, "spec", "clusterIPs")) ?? [];
  return addresses
    .filter((address) => typeof address === "string")
    .find((address) => tryParseAddress(address)?.family === family);
}
