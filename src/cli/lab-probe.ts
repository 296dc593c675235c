import type { Family } from "../net/address.ts";
import { tryParseAddress } from "../net/address.ts";
import { fieldOf } from "../kubernetes/json.ts";
import { resolvePods } from "../lab/ends.ts";
import { request } from "../lab/lab-client.ts";
import { type End, endsOf, formatPort, parsePort, probesBetween } from "../lab/matrix.ts";
import { labPaths } from "../lab/paths.ts";
import type { ProbeResult, ProbeSpec } from "../lab/protocol.ts";
import {
  type ServiceTarget,
  findService,
  isServiceName,
  parseServiceTarget,
  serviceEnd,
} from "../lab/service-target.ts";
import { requireLab } from "../lab/start.ts";
import { CliError } from "./errors.ts";
import { fetchPodsAndServices } from "./lab-pods.ts";
import { type OutputFormat, formatTable, print } from "./output.ts";

export interface LabProbeOptions {
  readonly lab: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly port: readonly string[];
  readonly family: Family;
  readonly output: OutputFormat;
}

function keyOf(probe: ProbeSpec): string {
  return `${probe.from} ${probe.to} ${formatPort(probe)} ${probe.family}`;
}

/** Opens the connections; results come in the order of the probes. */
export async function runProbes(
  socket: string,
  probes: readonly ProbeSpec[],
): Promise<ProbeResult[]> {
  const results = new Map<string, ProbeResult[]>();
  await request(socket, { type: "probe", probes }, (reply) => {
    if (reply.type !== "probe-result") return;
    const key = keyOf(reply.result);
    const equal = results.get(key) ?? [];
    results.set(key, [...equal, reply.result]);
  });
  return probes
    .map((probe) => results.get(keyOf(probe))?.shift())
    .filter((result) => result !== undefined);
}

/** The ends that the names on the command line mean; all when there are no names. @throws {CliError} */
function chooseEnds(
  names: readonly string[],
  ends: readonly End[],
  objects: readonly unknown[],
): End[] {
  if (names.length === 0) return [...ends];
  return names.flatMap((name) => {
    if (tryParseAddress(name) !== undefined) return [{ name, ports: [] }];
    const target = parseServiceTarget(name);
    if (target !== undefined) return [chooseService(target, objects)];
    const found = new Set([name, ...resolvePods(objects, name)]);
    const chosen = ends.filter((end) => found.has(end.name));
    if (chosen.length === 0) throw new CliError(`there is no running pod or external host ${name}`);
    return chosen;
  });
}

/** @throws {CliError} */
function chooseService(target: ServiceTarget, objects: readonly unknown[]): End {
  const service = findService(objects, target);
  const name = `${target.namespace}/${target.name}`;
  if (service === undefined) throw new CliError(`there is no Service ${name}`);
  const end = serviceEnd(service, target);
  if (end.ports.length > 0) return end;
  throw new CliError(`Service ${name} has no port ${target.port ?? "at all"}`);
}

function parsePorts(texts: readonly string[]): ReturnType<typeof parsePort>[] {
  return texts.map((text) => {
    const port = parsePort(text);
    if (port === undefined) throw new CliError(`expected a port such as tcp/80, got "${text}"`);
    return port;
  });
}

/** Who has answered for a Service: elsewhere it is no news. */
function answererOf({ to, answeredBy }: ProbeResult): string {
  return isServiceName(to) && answeredBy !== undefined ? `answered by ${answeredBy}` : "";
}

export async function labProbe(options: LabProbeOptions): Promise<void> {
  const paths = labPaths(options.lab);
  const ports = parsePorts(options.port).filter((port) => port !== undefined);
  const { externalHosts } = await requireLab(paths);
  const objects = await fetchPodsAndServices(paths);
  const pods = objects.filter((object) => fieldOf(object, "kind") === "Pod");
  const ends = endsOf(pods, externalHosts);
  const sources = chooseEnds(options.from, ends, pods);
  const targets = chooseEnds(options.to, ends, objects).map((end) =>
    ports.length === 0 ? end : { ...end, ports },
  );
  const probes = probesBetween(sources, targets, options.family);
  if (probes.length === 0) {
    throw new CliError("nothing to probe: no destination with a declared port; --port names one");
  }
  const results = await runProbes(paths.socket, probes);
  const rows = (): string =>
    formatTable(
      ["FROM", "TO", "PORT", "VERDICT", "MS", ""],
      results.map((result) => [
        result.from,
        result.to,
        formatPort(result),
        result.verdict,
        String(Math.round(result.milliseconds)),
        result.message ?? answererOf(result),
      ]),
    );
  const records = results.map(({ protocol, port, ...result }) => ({
    from: result.from,
    to: result.to,
    port: formatPort({ protocol, port }),
    verdict: result.verdict,
    milliseconds: Math.round(result.milliseconds),
    ...(result.answeredBy === undefined ? {} : { answeredBy: result.answeredBy }),
    ...(result.message === undefined ? {} : { message: result.message }),
  }));
  print(options.output, records, rows);
}
