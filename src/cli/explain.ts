import { ApiClient } from "../client/api-client.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { translateCluster } from "../kubernetes/cluster.ts";
import { resolvePods } from "../lab/ends.ts";
import { labPaths } from "../lab/paths.ts";
import type { ExternalHost } from "../lab/protocol.ts";
import { isServiceName } from "../lab/service-target.ts";
import { requireLab } from "../lab/start.ts";
import { tryParseAddress } from "../net/address.ts";
import type { Protocol } from "../net/protocol.ts";
import { type Explanation, explain as explainPacket } from "../policy/explain.ts";
import type { Packet, PacketEnd } from "../policy/packet.ts";
import { PolicyModel } from "../policy/policy-model.ts";
import { CliError } from "./errors.ts";
import { explainService, formatServiceExplanation, serviceTargetOf } from "./explain-service.ts";
import { type OutputFormat, print } from "./output.ts";
import { fetchPolicyObjects } from "./policy-objects.ts";

export interface ExplainOptions {
  readonly source: string;
  readonly destination: string;
  readonly port: string;
  readonly lab: string;
  readonly kubeconfig?: string;
  readonly output: OutputFormat;
}

const protocols: Readonly<Record<string, Protocol>> = {
  tcp: "TCP",
  udp: "UDP",
  sctp: "SCTP",
  icmp: "ICMP",
};

/** @throws {CliError} */
export function parseService(text: string): Pick<Packet, "protocol" | "destinationPort"> {
  const [name = "", port, ...rest] = text.toLowerCase().split("/");
  const protocol = protocols[name];
  const number = Number(port);
  if (protocol === "ICMP" && port === undefined) return { protocol };
  const valid = /^\d{1,5}$/.test(port ?? "") && number >= 1 && number <= 65_535;
  if (protocol !== undefined && protocol !== "ICMP" && valid && rest.length === 0) {
    return { protocol, destinationPort: number };
  }
  throw new CliError(`expected a port such as tcp/80, udp/53, sctp/36412 or icmp, got "${text}"`);
}

/** @throws {CliError} */
function parseEnd(text: string, objects: readonly unknown[]): PacketEnd {
  if (tryParseAddress(text) !== undefined) return { kind: "address", address: text };
  if (!text.includes("/")) {
    throw new CliError(
      `expected NAMESPACE/POD, svc/NAMESPACE/NAME, an address or an external host of the lab, got "${text}"`,
    );
  }
  if (isServiceName(text)) {
    throw new CliError(`expected svc/NAMESPACE/NAME as destination, got "${text}"`);
  }
  const [pod] = resolvePods(objects, text);
  if (pod === undefined) throw new CliError(`there is no pod ${text}`);
  return { kind: "endpoint", id: pod };
}

/** What the command prints for people. */
export function formatExplanation(
  { source, destination, port }: Pick<ExplainOptions, "source" | "destination" | "port">,
  { verdict, egress, ingress }: Explanation,
): string {
  const head = `${verdict === "allow" ? "ALLOWED" : "DENIED"}  ${source} -> ${destination} ${port}`;
  const lines = [egress, ingress].flatMap(({ text: [decision = "", ...nearMisses] }) => [
    `  ${decision}`,
    ...nearMisses.slice(0, 3).map((nearMiss) => `    nearest: ${nearMiss}`),
  ]);
  return [head, ...lines].join("\n");
}

/** Explains one connection from objects alone. @throws {CliError} */
export function explainConnection(
  objects: readonly unknown[],
  { source, destination, port }: Pick<ExplainOptions, "source" | "destination" | "port">,
): Explanation {
  return explainPacket(new PolicyModel(translateCluster(objects)), {
    source: parseEnd(source, objects),
    destination: parseEnd(destination, objects),
    ...parseService(port),
  });
}

/** The first address of an external host of a lab; other names as they are. */
export function addressOf(hosts: readonly ExternalHost[], name: string): string {
  return hosts.find((host) => host.name === name)?.addresses[0] ?? name;
}

export async function explain(options: ExplainOptions): Promise<void> {
  const { source, destination, port, lab } = options;
  const running = options.kubeconfig === undefined ? await requireLab(labPaths(lab)) : undefined;
  const hosts = running?.externalHosts ?? [];
  const query = {
    source: addressOf(hosts, source),
    destination: addressOf(hosts, destination),
    port,
  };
  const path = options.kubeconfig ?? labPaths(lab).kubeconfig;
  const client = new ApiClient(loadKubeconfig(path), "isobar-explain");
  try {
    const objects = await fetchPolicyObjects(client);
    const target = serviceTargetOf(objects, query.destination);
    if (target !== undefined) {
      const asked = { source: parseEnd(query.source, objects), service: parseService(port) };
      const explanation = explainService(objects, target, asked);
      print(options.output, explanation, () => formatServiceExplanation(options, explanation));
      return;
    }
    const explanation = explainConnection(objects, query);
    print(options.output, explanation, () => formatExplanation(options, explanation));
  } finally {
    await client.close();
  }
}
