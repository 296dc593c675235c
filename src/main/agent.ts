// The node agent's executable. One runs on each node, in the node's network namespace, as root.
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { Agent } from "../agent/agent.ts";
import { type AgentConfig, type ControllerAccess, detectDatapathType } from "../agent/config.ts";
import { parseChainedPlugin } from "../agent/attach/cni-installer.ts";
import { ApiClient } from "../client/api-client.ts";
import { loadInCluster } from "../client/in-cluster.ts";
import { pathOf } from "../client/object-path.ts";
import { type ConfigMap, configMapKind } from "../kinds/config-map.ts";
import { uninstall } from "../agent/node/uninstall.ts";
import { qualifiedName, sourceOf } from "../model/source-name.ts";
import { formatPrefix, parsePrefix, prefixContains, tryParsePrefix } from "../net/address.ts";
import { runService } from "../runtime/lifecycle.ts";
import { type Log, type LogLevel, createLog, logLevels } from "../runtime/log.ts";
import { ProbeServer, parseTcpAddress } from "../runtime/probe-server.ts";
import { parseStreamAddress } from "../runtime/stream-address.ts";
import { readVersion } from "../runtime/version.ts";

interface Flags {
  readonly node: string;
  readonly controller: readonly string[];
  readonly controllersDir?: string;
  readonly controllersConfigmap?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly ovsdb?: string;
  readonly rundir: string;
  readonly bridge: string;
  readonly datapathType: "auto" | AgentConfig["datapathType"];
  readonly stateDir: string;
  readonly socket: string;
  readonly underlayAddress: readonly string[];
  readonly cniBinDir?: string;
  readonly cniConfDir?: string;
  readonly cniConfFile: string;
  readonly cniChain: readonly string[];
  readonly cniAttachTimeout?: string;
  readonly gatewayDomain: string;
  readonly tunnelUdpPort: string;
  readonly dnsServer: readonly string[];
  readonly dnsMinimumTtl: string;
  readonly linkLocal: readonly string[];
  readonly nodePorts: boolean;
  readonly metricsListen?: string;
  readonly logLevel: LogLevel;
  readonly uninstall: boolean;
}

/** Time to stop in; what is in progress then is finished or undone at the next start. */
const graceMs = 10_000;

function option(flags: string, description: string): Option {
  const made = new Option(flags, description);
  return made.env(`ISOBAR_${made.name().replaceAll("-", "_").toUpperCase()}`);
}

/** Repeatable; in the environment a list separated by commas. */
function listOption(flags: string, description: string): Option {
  return option(flags, description)
    .default([])
    .argParser((text: string, before: readonly string[]) => [...before, ...text.split(",")]);
}

/** @throws {RangeError} */
function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new RangeError(`--tunnel-udp-port: expected a port, 1 to 65535, got "${text}"`);
}

const linkLocalNetwork = parsePrefix("169.254.0.0/16");

/** @throws {RangeError} */
function linkLocalPrefix(text: string): string {
  const prefix = tryParsePrefix(text);
  if (prefix !== undefined && prefixContains(linkLocalNetwork, prefix)) return formatPrefix(prefix);
  throw new RangeError(
    `--link-local: expected a CIDR of 169.254.0.0/16 such as 169.254.169.254/32, got "${text}"`,
  );
}

/** @throws {RangeError} */
function cniOf(flags: Flags): Pick<AgentConfig, "cni"> {
  const { cniBinDir, cniConfDir, cniConfFile, cniChain, cniAttachTimeout, socket } = flags;
  if (cniBinDir === undefined && cniConfDir === undefined) return {};
  if (cniBinDir === undefined || cniConfDir === undefined) {
    throw new RangeError("--cni-bin-dir and --cni-conf-dir belong together");
  }
  const executable = fileURLToPath(new URL("../../build/isobar-cni", import.meta.url));
  const timeout =
    cniAttachTimeout === undefined ? {} : { attachTimeoutSeconds: attachSeconds(cniAttachTimeout) };
  return {
    cni: {
      binDir: cniBinDir,
      confDir: cniConfDir,
      confFile: confFileName(cniConfFile),
      executable,
      chain: cniChain.map(parseChainedPlugin),
      socket,
      ...timeout,
    },
  };
}

/** @throws {RangeError} */
function confFileName(text: string): string {
  if (/^[\w-][\w.-]*\.conflist$/.test(text)) return text;
  throw new RangeError(
    `--cni-conf-file: expected a name such as 10-isobar.conflist, got "${text}"`,
  );
}

/** @throws {RangeError} */
function attachSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds >= 1 && seconds <= 300) return seconds;
  throw new RangeError(`--cni-attach-timeout: expected 1 to 300 seconds, got "${text}"`);
}

/** @throws {RangeError} */
function serverPrefix(text: string): string {
  const prefix = tryParsePrefix(text);
  if (prefix !== undefined) return formatPrefix(prefix);
  throw new RangeError(`--dns-server: expected a CIDR such as 10.96.0.10/32, got "${text}"`);
}

/** @throws {RangeError} */
function ttlSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds <= 86_400) return seconds;
  throw new RangeError(`--dns-minimum-ttl: expected 0 to 86400 seconds, got "${text}"`);
}

/** Asks the API server as the pod's service account. @throws {RangeError} */
function askConfigMap(text: string): NonNullable<ControllerAccess["ask"]> {
  const [namespace, name, ...rest] = text.split("/");
  if (!namespace || !name || rest.length > 0) {
    throw new RangeError(`--controllers-configmap: expected NAMESPACE/NAME, got "${text}"`);
  }
  const path = pathOf(configMapKind, { namespace, name });
  let client: ApiClient | undefined;
  return async (signal) => {
    client ??= new ApiClient(loadInCluster(), "isobar-agent");
    // As the API server has it in memory: every agent may ask at once.
    const query = { resourceVersion: "0" };
    const { data = {} } = await client.json<ConfigMap>("GET", path, { query, signal });
    return data;
  };
}

/** @throws {RangeError} when there is a controller that the agent could not prove itself to */
function accessOf(flags: Flags): ControllerAccess {
  const { controller, controllersDir, controllersConfigmap, ca, cert, key, token } = flags;
  const controllers = controller.map(parseStreamAddress);
  const published = controllersDir ?? controllersConfigmap;
  const overTls = published !== undefined || controllers.some(({ kind }) => kind === "tls");
  const proves = token !== undefined || (cert !== undefined && key !== undefined);
  if (overTls && !(proves && (ca ?? published) !== undefined)) {
    throw new RangeError(
      "controllers over TCP need --token, or --cert and --key; and --ca, or where they publish it",
    );
  }
  return {
    controllers,
    ...(controllersDir !== undefined && { directory: controllersDir }),
    ...(controllersConfigmap !== undefined && { ask: askConfigMap(controllersConfigmap) }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { certificate: cert }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { tokenFile: token }),
  };
}

function configOf(flags: Flags): AgentConfig {
  const { rundir, datapathType } = flags;
  return {
    node: flags.node,
    access: accessOf(flags),
    ovsdbSocket: flags.ovsdb ?? `${rundir}/db.sock`,
    rundir,
    bridge: flags.bridge,
    datapathType: datapathType === "auto" ? detectDatapathType() : datapathType,
    stateDir: flags.stateDir,
    socket: flags.socket,
    underlayAddresses: flags.underlayAddress,
    ...cniOf(flags),
    gatewayDomain: qualifiedName(sourceOf(flags.node), flags.gatewayDomain),
    tunnelUdpPort: portNumber(flags.tunnelUdpPort),
    dnsServers: flags.dnsServer.map(serverPrefix),
    dnsMinimumTtlSeconds: ttlSeconds(flags.dnsMinimumTtl),
    linkLocal: flags.linkLocal.map(linkLocalPrefix),
    nodePorts: flags.nodePorts,
  };
}

interface RunOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Where metrics and probes are answered. */
  readonly listen: string | undefined;
}

async function runAgent(config: AgentConfig, { log, signal, listen }: RunOptions): Promise<void> {
  const agent = new Agent(config, log);
  await using resources = new AsyncDisposableStack();
  if (listen !== undefined) {
    agent.metrics.includeProcess();
    const address = parseTcpAddress(listen);
    const { metrics } = agent;
    resources.use(await ProbeServer.listen({ address, metrics, unready: () => agent.unready() }));
  }
  await agent.run(signal);
}

const command = new Command("isobar-agent")
  .version(readVersion())
  .description("Enforces Isobar's policies on the Open vSwitch of this node.")
  .addOption(option("--node <name>", "this node's name").default(hostname(), "host name"))
  .addOption(listOption("--controller <address>", "Unix socket or HOST:PORT; may be repeated"))
  .addOption(
    option(
      "--controllers-dir <dir>",
      "folder with the controllers' addresses and CA, as they publish them in a ConfigMap",
    ),
  )
  .addOption(
    option(
      "--controllers-configmap <namespace/name>",
      "that ConfigMap, asked for in the API server when no controller is reached",
    ),
  )
  .addOption(option("--token <file>", "token of the agent's service account, as its proof"))
  .addOption(option("--ca <file>", "PEM certificate that signs controllers and agents"))
  .addOption(option("--cert <file>", "PEM certificate of this agent"))
  .addOption(option("--key <file>", "PEM key of this agent"))
  .addOption(option("--rundir <dir>", "Open vSwitch's run directory").default("/run/openvswitch"))
  .addOption(
    option("--ovsdb <socket>", "socket of Open vSwitch's database (default: db.sock in --rundir)"),
  )
  .addOption(option("--bridge <name>", "bridge to make and own").default("br-int"))
  .addOption(
    option("--datapath-type <type>", "auto takes system where the kernel module is loaded")
      .choices(["auto", "system", "netdev", "dummy"])
      .default("auto"),
  )
  .addOption(
    option("--state-dir <dir>", "where the agent keeps what it knows").default("/var/lib/isobar"),
  )
  .addOption(option("--socket <path>", "the agent's own socket").default("/run/isobar/agent.sock"))
  .addOption(option("--cni-bin-dir <dir>", "install the CNI executable there, e.g. /opt/cni/bin"))
  .addOption(
    option(
      "--cni-conf-dir <dir>",
      "write the CNI configuration there, e.g. /etc/cni/net.d, once ready",
    ),
  )
  .addOption(
    option(
      "--cni-conf-file <name>",
      "name of the CNI configuration; runtimes take the first",
    ).default("10-isobar.conflist"),
  )
  .addOption(
    option(
      "--cni-chain <plugin>",
      "plugin to chain behind, by name or as its configuration in JSON; may be repeated",
    )
      .default([])
      .argParser((text: string, before: readonly string[]) => [
        ...before,
        ...(text.startsWith("{") ? [text] : text.split(",")),
      ]),
  )
  .addOption(
    option(
      "--cni-attach-timeout <seconds>",
      "how long a container waits for its policies, 1 to 300 (default: 30)",
    ),
  )
  .addOption(
    listOption(
      "--underlay-address <address>",
      "this node's address between nodes; may be repeated",
    ),
  )
  .addOption(
    option(
      "--gateway-domain <name>",
      "domain of the node's source that this node itself takes part in",
    ).default("default"),
  )
  .addOption(
    option("--tunnel-udp-port <port>", "UDP port of VXLAN, the same on all nodes").default("4789"),
  )
  .addOption(
    listOption(
      "--dns-server <cidr>",
      "resolvers whose answers count for policies that name domain names; may be repeated (default: all that pods may ask)",
    ),
  )
  .addOption(
    option(
      "--dns-minimum-ttl <seconds>",
      "how long a looked-up address counts for policies, at least",
    ).default("60"),
  )
  .addOption(
    listOption(
      "--link-local <cidr>",
      "link-local addresses beyond this node that pods may reach, e.g. 169.254.169.254/32; may be repeated",
    ),
  )
  .addOption(
    option(
      "--node-ports",
      "take what comes to services' node ports and external addresses at this node; not beside another that does",
    ).default(false),
  )
  .addOption(
    option(
      "--metrics-listen <host:port>",
      "answer /metrics, /healthz and /readyz there over plain HTTP; nowhere when absent",
    ),
  )
  .addOption(
    option("--log-level <level>", "least severe to log")
      .choices([...logLevels])
      .default("info"),
  )
  .option("--uninstall", "remove what the agent has made on this node, and end", false)
  .action(async () => {
    const flags = command.opts<Flags>();
    const log = createLog({ name: "agent", level: flags.logLevel });
    await runService({ log, graceMs }, async (signal) => {
      const config = configOf(flags);
      if (flags.uninstall) await uninstall(config, log);
      else await runAgent(config, { log, signal, listen: flags.metricsListen });
    });
  });

await command.parseAsync();
