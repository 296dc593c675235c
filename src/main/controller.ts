// The controller's executable.
import { Command, InvalidArgumentError, Option } from "commander";
import { ApiClient } from "../client/api-client.ts";
import { defaultConfigPath, loadClientConfig } from "../client/in-cluster.ts";
import { EventRecorder } from "../client/event-recorder.ts";
import { Controller } from "../controller/controller.ts";
import { parseSeconds } from "../ipam/request.ts";
import { Enrolment } from "../controller/enrolment.ts";
import type { SourceAccess } from "../controller/source.ts";
import { StatusServer } from "../controller/status-server.ts";
import { pause, runService } from "../runtime/lifecycle.ts";
import { type Log, type LogLevel, createLog, logLevels } from "../runtime/log.ts";
import { ProbeServer, parseTcpAddress } from "../runtime/probe-server.ts";
import { readVersion } from "../runtime/version.ts";
import {
  type TlsCredentials,
  formatStreamAddress,
  parseStreamAddress,
  readTlsCredentials,
} from "../runtime/stream-address.ts";

interface Flags {
  readonly kubeconfig: readonly string[];
  readonly listen: readonly string[];
  readonly statusSocket?: string;
  readonly namespace?: string;
  readonly agentAccount: string;
  readonly advertise: readonly string[];
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly metricsListen?: string;
  readonly status: boolean;
  readonly addressQuarantine: number;
  readonly networkIdle: number;
  readonly logLevel: LogLevel;
}

const component = "isobar-controller";
const graceMs = 5_000;
/** How often renewed certificates are looked for in the files given. */
const rereadIntervalMs = 10 * 60_000;

/** Where the controller's own certificate comes from, and who else may say hello. */
interface Proof {
  readonly credentials: TlsCredentials;
  readonly nodeOfToken?: (token: string, source: string) => Promise<string>;
  /** Keeps it valid while the controller serves. */
  readonly keep: (controller: Controller, signal: AbortSignal) => Promise<void>;
}

function proofByFiles({ ca, cert, key }: Flags): Proof | undefined {
  if (ca === undefined || cert === undefined || key === undefined) return undefined;
  const files = { ca, certificate: cert, key };
  return {
    credentials: readTlsCredentials(files),
    keep: async (controller, signal) => {
      for (;;) {
        await pause(rereadIntervalMs, signal);
        if (signal.aborted) return;
        controller.renew(readTlsCredentials(files));
      }
    },
  };
}

async function proofByEnrolment(
  flags: Flags,
  sources: readonly SourceAccess[],
  log: Log,
): Promise<Proof | undefined> {
  const { namespace, agentAccount: account, advertise, listen } = flags;
  if (namespace === undefined) return undefined;
  const reachable = listen.map(parseStreamAddress).filter(({ kind }) => kind === "tls");
  const addresses = advertise.length > 0 ? advertise : reachable.map(formatStreamAddress);
  const enrolment = await Enrolment.open({
    sources,
    namespace,
    account,
    advertise: addresses,
    log,
  });
  return {
    credentials: enrolment.credentials,
    nodeOfToken: async (token, source) => await enrolment.nodeOf(token, source),
    keep: async (controller, signal) => {
      await controller.serving;
      await enrolment.run((made) => controller.renew(made), signal);
    },
  };
}

async function run(flags: Flags, log: Log, signal: AbortSignal): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const listen = flags.listen.map(parseStreamAddress);
  const sources = flags.kubeconfig.map((text, index) =>
    openSource(text, { index, resources, log }),
  );
  const proof = proofByFiles(flags) ?? (await proofByEnrolment(flags, sources, log));
  if (proof === undefined && listen.some(({ kind }) => kind === "tls")) {
    throw new RangeError("listening on TCP needs --namespace, or --ca, --cert and --key");
  }
  const { credentials, nodeOfToken } = proof ?? {};
  const controller = new Controller({
    sources,
    listen,
    writesStatus: flags.status ? {} : false,
    addressTimes: {
      quarantineMs: flags.addressQuarantine * 1000,
      emptyMs: flags.networkIdle * 1000,
    },
    log,
    ...(credentials !== undefined && { credentials }),
    ...(nodeOfToken !== undefined && { nodeOfToken }),
  });
  if (flags.metricsListen !== undefined) {
    const { metrics } = controller;
    metrics.includeProcess();
    const address = parseTcpAddress(flags.metricsListen);
    const unready = (): readonly string[] => controller.unready();
    resources.use(await ProbeServer.listen({ address, metrics, unready }));
  }
  if (flags.statusSocket !== undefined) {
    resources.use(await StatusServer.listen(flags.statusSocket, () => controller.status()));
  }
  const { promise: failed, reject } = Promise.withResolvers<never>();
  proof?.keep(controller, signal).catch(reject);
  await Promise.race([controller.run(signal), failed]);
}

/** `FILE`, or `NAME=FILE` for further sources. */
function openSource(
  text: string,
  { index, resources, log }: { index: number; resources: AsyncDisposableStack; log: Log },
): SourceAccess {
  const { name = "", path = text } = /^(?<name>[^/=]*)=(?<path>.*)$/.exec(text)?.groups ?? {};
  if (index > 0 && name === "") {
    throw new RangeError(`sources after the first need a name, as in east=${text}`);
  }
  const client = new ApiClient(loadClientConfig(path), component);
  resources.defer(() => client.close());
  const onLost = (error: Error, reports: number): void =>
    log.warn({ err: error, reports, source: name }, "events could not be written");
  const events = resources.use(new EventRecorder({ client, component, onLost }));
  return { name, client, events };
}

function parseTime(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds === undefined) {
    throw new InvalidArgumentError("expected a time such as 0s, 90s, 10m or 24h");
  }
  return seconds;
}

const program = new Command(component)
  .version(readVersion())
  .description("Computes what each node must know and tells the agents.")
  .addOption(
    new Option(
      "--kubeconfig <[name=]file...>",
      "how to reach the API server, in-cluster for the pod's service account; further ones with names: east=FILE",
    ).default([defaultConfigPath()], "$KUBECONFIG, else the service account, else ~/.kube/config"),
  )
  .addOption(
    new Option("--listen <address...>", "Unix socket or HOST:PORT for agents; may be repeated")
      .env("ISOBAR_LISTEN")
      .default(["/run/isobar/controller.sock"]),
  )
  .option("--status-socket <path>", "answer with the controller's status on this Unix socket")
  .addOption(
    new Option(
      "--namespace <name>",
      "make certificates of the controllers' own, publish them with the addresses here, and let agents in by their tokens",
    ).env("ISOBAR_NAMESPACE"),
  )
  .option("--agent-account <name>", "service account of the agents", "isobar-agent")
  .addOption(
    new Option("--advertise <address...>", "HOST:PORT that agents are told; --listen when absent")
      .env("ISOBAR_ADVERTISE")
      .default([]),
  )
  .option("--no-status", "write nothing on policies and nodes of what has come of them")
  .option("--ca <file>", "PEM certificate that signs controllers and agents")
  .option("--cert <file>", "PEM certificate of this controller")
  .option("--key <file>", "PEM key of this controller")
  .addOption(
    new Option(
      "--metrics-listen <host:port>",
      "answer /metrics, /healthz and /readyz there over plain HTTP; nowhere when absent",
    ).env("ISOBAR_METRICS_LISTEN"),
  )
  .addOption(
    new Option("--address-quarantine <time>", "how long an address rests before it is used again")
      .env("ISOBAR_ADDRESS_QUARANTINE")
      .argParser(parseTime)
      .default(60, "60s"),
  )
  .addOption(
    new Option("--network-idle <time>", "how long a network may be empty before it is removed")
      .env("ISOBAR_NETWORK_IDLE")
      .argParser(parseTime)
      .default(600, "10m"),
  )
  .addOption(
    new Option("--log-level <level>", "least severe to log")
      .choices([...logLevels])
      .default("info"),
  );

const flags = program.parse().opts<Flags>();
const log = createLog({ name: "controller", level: flags.logLevel });
await runService({ log, graceMs }, async (signal) => await run(flags, log, signal));
