// Every connection that could be opened between the ends of a lab, what the policies say of each, and the picture of it.
import { translateCluster } from "../kubernetes/cluster.ts";
import { fieldAt, fieldOf, listOf, stringOf } from "../kubernetes/json.ts";
import { type Family, tryParseAddress } from "../net/address.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { PacketEnd } from "../policy/packet.ts";
import { PolicyModel } from "../policy/policy-model.ts";
import type { ExternalHost, ProbeProtocol, ProbeResult, ProbeSpec } from "./protocol.ts";

export interface DeclaredPort {
  readonly protocol: ProbeProtocol;
  readonly port: number;
}

/** A pod (`namespace/name`) or an external host (its name) with the ports that it listens on. */
export interface End {
  readonly name: string;
  readonly ports: readonly DeclaredPort[];
}

const protocols: Readonly<Record<string, ProbeProtocol>> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

/** `tcp/80` and the like. `undefined` for what is none. */
export function parsePort(text: string): DeclaredPort | undefined {
  const match = /^(tcp|udp|sctp)\/(\d{1,5})$/.exec(text.toLowerCase());
  const protocol = protocols[match?.[1]?.toUpperCase() ?? ""];
  const port = Number(match?.[2]);
  return protocol !== undefined && port >= 1 && port <= 65_535 ? { protocol, port } : undefined;
}

export function formatPort({ protocol, port }: DeclaredPort): string {
  return `${protocol}/${port}`;
}

/** Container ports of a pod, without repetition, in the order of the manifest. */
export function declaredPorts(pod: unknown): DeclaredPort[] {
  const ports = new Map<string, DeclaredPort>();
  for (const container of listOf(fieldAt(pod, "spec", "containers")) ?? []) {
    for (const declared of listOf(fieldOf(container, "ports")) ?? []) {
      const protocol = protocols[stringOf(fieldOf(declared, "protocol")) ?? "TCP"];
      const port = fieldOf(declared, "containerPort");
      if (protocol === undefined || typeof port !== "number") continue;
      ports.set(formatPort({ protocol, port }), { protocol, port });
    }
  }
  return [...ports.values()];
}

/** Running pods by name, then the external hosts. */
export function endsOf(pods: readonly unknown[], externalHosts: readonly ExternalHost[]): End[] {
  const running = pods.filter((pod) => fieldAt(pod, "status", "phase") === "Running");
  const inside = running.map((pod) => ({
    name: `${String(fieldAt(pod, "metadata", "namespace"))}/${String(fieldAt(pod, "metadata", "name"))}`,
    ports: declaredPorts(pod),
  }));
  const outside = externalHosts.map(({ name, ports }) => ({
    name,
    ports: ports.map(parsePort).filter((port) => port !== undefined),
  }));
  return [...inside.toSorted((a, b) => (a.name < b.name ? -1 : 1)), ...outside];
}

/**
 * From every source to every port of every other target. Connections between two ends outside the lab's pods are nobody's
 * business.
 */
export function probesBetween(
  sources: readonly End[],
  targets: readonly End[],
  family: Family,
): ProbeSpec[] {
  const isPod = ({ name }: End): boolean => name.includes("/");
  return sources.flatMap((from) =>
    targets
      .filter((to) => to.name !== from.name && (isPod(from) || isPod(to)))
      .flatMap((to) =>
        to.ports.map(({ protocol, port }) => ({
          from: from.name,
          to: to.name,
          protocol,
          port,
          family,
        })),
      ),
  );
}

/** What the evaluator says of each probe, from the objects alone. */
export class Expectation {
  readonly #model: PolicyModel;
  readonly #addresses: ReadonlyMap<string, readonly string[]>;

  constructor(objects: readonly unknown[], externalHosts: readonly ExternalHost[]) {
    this.#model = new PolicyModel(translateCluster(objects));
    this.#addresses = new Map(externalHosts.map(({ name, addresses }) => [name, addresses]));
  }

  verdictOf({ from, to, protocol, port, family }: ProbeSpec): "allowed" | "denied" {
    const { verdict } = evaluate(this.#model, {
      source: this.#end(from, family),
      destination: this.#end(to, family),
      protocol: protocol === "tcp" ? "TCP" : protocol === "udp" ? "UDP" : "SCTP",
      destinationPort: port,
      family,
    });
    return verdict === "allow" ? "allowed" : "denied";
  }

  #end(name: string, family: Family): PacketEnd {
    const known = this.#addresses.get(name);
    if (known === undefined && tryParseAddress(name) === undefined) {
      return { kind: "endpoint", id: name };
    }
    const address = known?.find((text) => tryParseAddress(text)?.family === family) ?? name;
    return { kind: "address", address };
  }
}

/** Rows are destinations, columns sources by number; the legend names them. `●` got through, `·` did not. */
export function renderMatrix(results: readonly ProbeResult[]): string {
  const sources = [...new Set(results.map(({ from }) => from))];
  const rows = Map.groupBy(
    results,
    ({ to, protocol, port }) => `${to} ${formatPort({ protocol, port })}`,
  );
  const corner = "to \\ from";
  const width = Math.max(corner.length, ...[...rows.keys()].map((row) => row.length));
  const cell = Math.max(2, String(sources.length).length) + 1;
  const head = sources.map((_, index) => String(index + 1).padStart(cell)).join("");
  const lines = [...rows].map(([row, inRow]) => {
    const bySource = new Map(inRow.map((result) => [result.from, result.verdict]));
    const cells = sources.map((source) => symbolOf(bySource.get(source)).padStart(cell));
    return `${row.padEnd(width)} ${cells.join("")}`;
  });
  const legend = sources.map((source, index) => `${String(index + 1).padStart(4)} ${source}`);
  return [`${corner.padEnd(width)} ${head}`, ...lines, "", ...inColumns(legend)].join("\n");
}

function symbolOf(verdict: ProbeResult["verdict"] | undefined): string {
  switch (verdict) {
    case "allowed":
      return "●";
    case "denied":
      return "·";
    case "refused":
      return "r";
    case "error":
      return "!";
    case undefined:
      return " ";
  }
}

function inColumns(items: readonly string[]): string[] {
  const width = Math.max(0, ...items.map((item) => item.length)) + 2;
  const columns = Math.max(1, Math.floor(100 / width));
  const height = Math.ceil(items.length / columns);
  return Array.from({ length: height }, (_, row) =>
    items
      .filter((_item, index) => index % height === row)
      .map((item) => item.padEnd(width))
      .join("")
      .trimEnd(),
  );
}
