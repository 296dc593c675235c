// The controller's executable.
import { Command, Option } from "commander";
import { ApiClient } from "../client/api-client.ts";
import { defaultConfigPath, loadClientConfig } from "../client/in-cluster.ts";
import { EventRecorder } from "../client/event-recorder.ts";
import { Controller } from "../controller/controller.ts";
import { StatusServer } from "../controller/status-server.ts";
import { runService } from "../runtime/lifecycle.ts";
import { type Log, type LogLevel, createLog, logLevels } from "../runtime/log.ts";
import { parseStreamAddress, readTlsCredentials } from "../runtime/stream-address.ts";

interface Flags {
  readonly kubeconfig: string;
  readonly listen: readonly string[];
  readonly statusSocket?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly logLevel: LogLevel;
}

const graceMs = 5_000;

async function run(flags: Flags, log: Log, signal: AbortSignal): Promise<void> {
  const { ca, cert, key } = flags;
  const credentials =
    ca !== undefined && cert !== undefined && key !== undefined
      ? readTlsCredentials({ ca, certificate: cert, key })
      : undefined;
  const client = new ApiClient(loadClientConfig(flags.kubeconfig), "isobar-controller");
  const listen = flags.listen.map(parseStreamAddress);
  if (credentials === undefined && listen.some(({ kind }) => kind === "tls")) {
    throw new RangeError("listening on TCP needs --ca, --cert and --key");
  }
  await using resources = new AsyncDisposableStack();
  resources.defer(() => client.close());
  const component = "isobar-controller";
  const onLost = (error: Error, reports: number): void =>
    log.warn({ err: error, reports }, "events could not be written");
  const events = resources.use(new EventRecorder({ client, component, onLost }));
  const controller = new Controller({
    client,
    events,
    listen,
    log,
    ...(credentials === undefined ? {} : { credentials }),
  });
  if (flags.statusSocket !== undefined) {
    resources.use(await StatusServer.listen(flags.statusSocket, () => controller.status()));
  }
  await controller.run(signal);
}

const program = new Command("isobar-controller")
  .description("Computes what each node must know and tells the agents.")
  .addOption(
    new Option(
      "--kubeconfig <file>",
      "how to reach the API server; in-cluster for the pod's service account",
    ).default(defaultConfigPath(), "$KUBECONFIG, else the service account, else ~/.kube/config"),
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
