// The controller's executable.
import { Command, Option } from "commander";
import { ApiClient } from "../client/api-client.ts";
import { defaultConfigPath, loadClientConfig } from "../client/in-cluster.ts";
import { EventRecorder } from "../client/event-recorder.ts";
import { Controller } from "../controller/controller.ts";
import type { SourceAccess } from "../controller/source.ts";
import { StatusServer } from "../controller/status-server.ts";
import { runService } from "../runtime/lifecycle.ts";
import { type Log, type LogLevel, createLog, logLevels } from "../runtime/log.ts";
import { parseStreamAddress, readTlsCredentials } from "../runtime/stream-address.ts";

interface Flags {
  readonly kubeconfig: readonly string[];
  readonly listen: readonly string[];
  readonly statusSocket?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly logLevel: LogLevel;
}

const component = "isobar-controller";
const graceMs = 5_000;

async function run(flags: Flags, log: Log, signal: AbortSignal): Promise<void> {
  const { ca, cert, key } = flags;
  const credentials =
    ca !== undefined && cert !== undefined && key !== undefined
      ? readTlsCredentials({ ca, certificate: cert, key })
      : undefined;
  const listen = flags.listen.map(parseStreamAddress);
  if (credentials === undefined && listen.some(({ kind }) => kind === "tls")) {
    throw new RangeError("listening on TCP needs --ca, --cert and --key");
  }
  await using resources = new AsyncDisposableStack();
  const controller = new Controller({
    sources: flags.kubeconfig.map((text, index) => openSource(text, { index, resources, log })),
    listen,
    log,
    ...(credentials === undefined ? {} : { credentials }),
  });
  if (flags.statusSocket !== undefined) {
    resources.use(await StatusServer.listen(flags.statusSocket, () => controller.status()));
  }
  await controller.run(signal);
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

const program = new Command(component)
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
  .option("--ca <file>", "PEM certificate that signs controllers and agents")
  .option("--cert <file>", "PEM certificate of this controller")
  .option("--key <file>", "PEM key of this controller")
  .addOption(
    new Option("--log-level <level>", "least severe to log")
      .choices([...logLevels])
      .default("info"),
  );

const flags = program.parse().opts<Flags>();
const log = createLog({ name: "controller", level: flags.logLevel });
await runService({ log, graceMs }, async (signal) => await run(flags, log, signal));
