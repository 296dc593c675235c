// The API server as a process.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { startApiServer } from "../apiserver/api-server.ts";
import { openCertificates } from "../apiserver/certificate-files.ts";
import { writeKubeconfig } from "../apiserver/kubeconfig.ts";
import {
  type ServiceNetwork,
  defaultServiceNetwork,
  firstServiceAddress,
} from "../apiserver/service-pools.ts";
import { openToken } from "../apiserver/token-file.ts";
import { kinds } from "../kinds/kinds.ts";
import { tryParseAddress, tryParsePrefix } from "../net/address.ts";
import { aborted, runService } from "../runtime/lifecycle.ts";
import { createLog, type Log } from "../runtime/log.ts";
import { ProbeServer, parseTcpAddress } from "../runtime/probe-server.ts";
import { readVersion } from "../runtime/version.ts";
import { openMemoryStore } from "../store/memory-store.ts";
import { openSqliteStore } from "../store/sqlite-store.ts";
import type { Store } from "../store/store.ts";

interface Flags {
  readonly data: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly certDir: string;
  readonly kubeconfigOut?: string;
  readonly name: string;
  readonly metricsListen?: string;
  readonly serviceCidr: readonly string[];
  readonly nodePortRange: ServiceNetwork["nodePorts"];
  readonly advertiseAddress?: string;
}

/** By which names and addresses clients may know the server. */
const ownNames = [
  "localhost",
  "127.0.0.1",
  "::1",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/** `host:port`, or `[address]:port` for IPv6. */
function parseListen(text: string): Flags["listen"] {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text);
  const { v6, host = v6, port } = match?.groups ?? {};
  if (host === undefined || Number(port) > 65535) {
    throw new InvalidArgumentError("expected HOST:PORT or [IPV6]:PORT");
  }
  return { host, port: Number(port) };
}

/** One or two CIDRs, of different families, separated by a comma. */
function parseServiceCidrs(text: string): readonly string[] {
  const cidrs = text.split(",").map((each) => each.trim());
  const families = cidrs.map((cidr) => tryParsePrefix(cidr)?.family);
  if (families.includes(undefined) || new Set(families).size < families.length) {
    throw new InvalidArgumentError("expected a CIDR, or one of each family with a comma between");
  }
  return cidrs;
}

function parsePortRange(text: string): ServiceNetwork["nodePorts"] {
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(text)?.map(Number) ?? [];
  if (from === undefined || to === undefined || from < 1 || from > to || to > 65535) {
    throw new InvalidArgumentError("expected FIRST-LAST, both ports from 1 to 65535");
  }
  return { from, to };
}

function parseAdvertised(text: string): string {
  if (tryParseAddress(text) !== undefined) return text;
  throw new InvalidArgumentError("expected an IP address");
}

function openStore(data: string): Store {
  // Seconds since 1970: above whatever an earlier memory store of these clients has counted to.
  if (data === "memory") return openMemoryStore({ firstRevision: Math.floor(Date.now() / 1000) });
  return openSqliteStore(data);
}

async function run(flags: Flags, log: Log, signal: AbortSignal): Promise<void> {
  const { listen, certDir, kubeconfigOut, name } = flags;
  const services = { cidrs: flags.serviceCidr, nodePorts: flags.nodePortRange };
  const advertise = flags.advertiseAddress;
  const certificates = await openCertificates(certDir, [
    ...ownNames,
    firstServiceAddress(services),
    listen.host,
    ...(advertise === undefined ? [] : [advertise]),
  ]);
  const token = openToken(join(certDir, "admin.token"), () =>
    randomBytes(32).toString("base64url"),
  );
  const store = openStore(flags.data);
  const tokens = [{ token, name: "admin", groups: ["system:masters", "system:authenticated"] }];
  const server = await startApiServer({
    kinds,
    store,
    certificates,
    tokens,
    listen,
    services,
    ...(advertise !== undefined && { advertise }),
    log,
  });
  if (kubeconfigOut !== undefined) {
    const authority = certificates.authority.certificate;
    writeKubeconfig(kubeconfigOut, { server: server.url, authority, token, name });
  }
  await using resources = new AsyncDisposableStack();
  if (flags.metricsListen !== undefined) {
    const { metrics } = server;
    metrics.includeProcess();
    const address = parseTcpAddress(flags.metricsListen);
    resources.use(await ProbeServer.listen({ address, metrics, unready: () => [] }));
  }
  await aborted(signal);
  await server.close();
  await store.close();
}

const program = new Command("isobar-apiserver")
  .version(readVersion())
  .description("Serves a Kubernetes-style API with the kinds that Isobar needs.")
  .requiredOption("--data <file>", "SQLite file that keeps the objects, or `memory`")
  .option("--listen <host:port>", "address to serve on; port 0 takes any free one", parseListen, {
    host: "127.0.0.1",
    port: 6443,
  })
  .requiredOption(
    "--cert-dir <directory>",
    "certificates and the administrator's token; made when missing",
  )
  .option("--kubeconfig-out <file>", "write a kubeconfig for the administrator once serving")
  .option(
    "--metrics-listen <host:port>",
    "answer /metrics, /healthz and /readyz there over plain HTTP; nowhere when absent",
  )
  .option(
    "--service-cidr <cidr[,cidr]>",
    "where Services' cluster addresses are from, at most one of each family; the first is the default",
    parseServiceCidrs,
    defaultServiceNetwork.cidrs,
  )
  .option(
    "--node-port-range <first-last>",
    "where Services' node ports are from",
    parsePortRange,
    defaultServiceNetwork.nodePorts,
  )
  .option(
    "--advertise-address <address>",
    "where pods reach this server, for the Service default/kubernetes; they cannot when absent",
    parseAdvertised,
  )
  .option("--name <name>", "name of the cluster in the kubeconfig", "isobar");

const flags = program.parse().opts<Flags>();
const log = createLog({ name: "apiserver" });
await runService({ log, graceMs: 10_000 }, (signal) => run(flags, log, signal));
