import type { Family } from "../net/address.ts";
import { tryParseAddress } from "../net/address.ts";
import { resolvePods } from "../lab/ends.ts";
import { request } from "../lab/lab-client.ts";
import { type End, endsOf, formatPort, parsePort, probesBetween } from "../lab/matrix.ts";
import { labPaths } from "../lab/paths.ts";
import type { ProbeResult, ProbeSpec } from "../lab/protocol.ts";
import { requireLab } from "../lab/start.ts";
import { CliError } from "./errors.ts";
import { fetchPods } from "./lab-pods.ts";
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
  pods: readonly unknown[],
): End[] {
  if (names.length === 0) return [...ends];
  return names.flatMap((name) => {
    if (tryParseAddress(name) !== undefined) return [{ name, ports: [] }];
    const found = new Set([name, ...resolvePods(pods, name)]);
    const chosen = ends.filter((end) => found.has(end.name));
    if (chosen.length === 0) throw new CliError(`there is no running pod or external host ${name}`);
    return chosen;
  });
}

function parsePorts(texts: readonly string[]): ReturnType<typeof parsePort>[] {
  return texts.map((text) => {
    const port = parsePort(text);
    if (port === undefined) throw new CliError(`expected a port such as tcp/80, got "${text}"`);
    return port;
  });
}

export async function labProbe(options: LabProbeOptions): Promise<void> {
  const paths = labPaths(options.lab);
  const ports = parsePorts(options.port).filter((port) => port !== undefined);
  const { externalHosts } = await requireLab(paths);
  const pods = await fetchPods(paths);
  const ends = endsOf(pods, externalHosts);
  const sources = chooseEnds(options.from, ends, pods);
  const targets = chooseEnds(options.to, ends, pods).map((end) =>
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
        result.message ?? "",
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
