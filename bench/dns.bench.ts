// DNS of the node beside unbound and dnsmasq, in one run: 10,000 Services as upstream's scale test has them, and names of another
// server that are kept. dnsperf asks, over loopback; each server has one thread. `--quick` asks for a second at a time.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DnsAnswers } from "../src/agent/dns/answers.ts";
import { DnsMetrics } from "../src/agent/dns/metrics.ts";
import { Resolver } from "../src/agent/dns/resolver.ts";
import { DnsServer } from "../src/agent/dns/server.ts";
import { Upstreams } from "../src/agent/dns/upstream.ts";
import { Authority } from "../src/dns/authority.ts";
import { ServiceZone } from "../src/dns/service-zone.ts";
import { runCommand } from "../src/runtime/command.ts";
import { createLog } from "../src/runtime/log.ts";
import { Metrics } from "../src/runtime/metrics.ts";

const serviceCount = 10_000;
const keptCount = 1_000;
const seconds = process.argv.includes("--quick") ? 1 : 5;
const address = "127.0.0.1";

function serviceName(index: number): string {
  return `svc-${index}.performancedns-${index % 2}.svc.cluster.local`;
}

function serviceAddress(index: number): string {
  return `10.96.${index >> 8}.${index & 255}`;
}

function keptName(index: number): string {
  return `host-${index}.example.com`;
}

/** Runs until its input ends. */
async function serve(port: number, upstreamPort: number): Promise<void> {
  const zone = new ServiceZone();
  for (let index = 0; index < serviceCount; index++) {
    const id = `performancedns-${index % 2}/svc-${index}`;
    zone.setService(id, { id, domain: "default", addresses: [serviceAddress(index)], ports: [] });
  }
  const authority = new Authority(zone, {
    zone: "cluster.local",
    networks: [],
    serverAddresses: [],
    ttlSeconds: 5,
    serial: 1,
  });
  const readings = { listening: true, names: serviceCount, cachedAnswers: 0 };
  const metrics = new DnsMetrics(new Metrics("agent"), () => readings);
  const upstreams = new Upstreams({
    timeoutsMs: [800],
    budgetMs: 800,
    limit: 1_000,
    onExchange: () => undefined,
  });
  const resolver = new Resolver({
    upstreams,
    serversFor: () => [{ address, port: upstreamPort }],
    now: () => performance.now(),
  });
  const answers = new DnsAnswers({ authority: () => authority, resolver, metrics });
  const log = createLog({ name: "dns", level: "fatal" });
  await using server = new DnsServer({ port, answers, log });
  await server.listen([address]);
  process.stdin.resume();
  await once(process.stdin, "end");
}

interface Contender {
  readonly name: string;
  readonly port: number;
}

interface Figures {
  readonly perSecond: number;
  readonly meanMs: number;
  readonly lostPercent: number;
}

/** One run of dnsperf. */
async function ask(port: number, file: string, options: readonly string[]): Promise<Figures> {
  const text = await runCommand([
    "dnsperf",
    "-s",
    address,
    "-p",
    String(port),
    "-d",
    file,
    ...options,
  ]);
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  return {
    perSecond: number(/Queries per second:\s+([\d.]+)/),
    meanMs: 1_000 * number(/Average Latency \(s\):\s+([\d.]+)/),
    lostPercent: number(/Queries lost:\s+\d+ \(([\d.]+)%\)/),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, address);
  await once(server, "listening");
  const found = server.address();
  server.close();
  if (found === null || typeof found === "string") throw new Error("no free port");
  return found.port;
}

function unboundConfig(port: number, upstreamPort: number): string {
  const records = Array.from(
    { length: serviceCount },
    (_, index) => `  local-data: "${serviceName(index)}. 5 IN A ${serviceAddress(index)}"`,
  );
  return `server:
  interface: ${address}
  port: ${port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  verbosity: 0
  num-threads: 1
  incoming-num-tcp: 100
  module-config: "iterator"
  local-zone: "cluster.local." static
${records.join("\n")}
forward-zone:
  name: "."
  forward-addr: ${address}@${upstreamPort}
`;
}

/** Has the Services, and is the other server of the rest. */
function dnsmasqConfig(port: number): string {
  const hosts = [
    ...Array.from(
      { length: serviceCount },
      (_, i) => `host-record=${serviceName(i)},${serviceAddress(i)},5`,
    ),
    ...Array.from(
      { length: keptCount },
      (_, i) => `host-record=${keptName(i)},192.0.2.${i & 255},3600`,
    ),
  ];
  return `port=${port}
listen-address=${address}
bind-interfaces
no-resolv
no-hosts
keep-in-foreground
pid-file=
user=root
${hosts.join("\n")}
`;
}

/** Installs Debian's packages when they are missing. @throws {Error} when that is not possible. */
function installServers(): void {
  const packages = ["dnsperf", "unbound", "dnsmasq-base"];
  const programs = ["/usr/bin/dnsperf", "/usr/sbin/unbound", "/usr/sbin/dnsmasq"];
  if (programs.every((program) => existsSync(program))) return;
  console.log(`installing Debian packages: ${packages.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...packages];
  execFileSync("apt-get", install, { env, stdio: ["ignore", "ignore", "inherit"] });
}

async function main(): Promise<void> {
  installServers();
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "isobar-dns-"));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const start = (program: string, ...args: readonly string[]): void => {
    const child: ChildProcess = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
    stack.defer(async () => {
      if (child.exitCode !== null) return;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    });
  };
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const [dnsmasq, unbound, isobar] = [await freePort(), await freePort(), await freePort()];
  start("dnsmasq", `--conf-file=${write("dnsmasq.conf", dnsmasqConfig(dnsmasq))}`);
  start("unbound", "-c", write("unbound.conf", unboundConfig(unbound, dnsmasq)));
  start(process.execPath, import.meta.filename, "--serve", String(isobar), String(dnsmasq));
  await sleep(3_000);
  const lines = (count: number, line: (index: number) => string): string =>
    Array.from({ length: count }, (_, index) => line(index)).join("\n");
  const services = write(
    "services",
    lines(serviceCount, (i) => `${serviceName((i * 7919) % serviceCount)} A`),
  );
  const missing = write(
    "missing",
    lines(serviceCount, (i) => `${serviceName(i)}.cluster.local A`),
  );
  const kept = write(
    "kept",
    lines(keptCount, (i) => `${keptName(i)} A`),
  );
  const contenders: readonly Contender[] = [
    { name: "isobar", port: isobar },
    { name: "unbound", port: unbound },
    { name: "dnsmasq", port: dnsmasq },
  ];
  const shared = contenders.filter(({ name }) => name !== "dnsmasq");
  const timed = ["-l", String(seconds)];
  const all = [
    ["UDP, 100 under way", [...timed, "-q", "100"]],
    ["UDP, one after the other", [...timed, "-q", "1", "-c", "1", "-T", "1"]],
    ["TCP, 20 connections", [...timed, "-m", "tcp", "-q", "100", "-c", "20"]],
  ] as const;
  const cold = [["each asked for the first time, 20 under way", ["-n", "1", "-q", "20"]]] as const;
  for (const [what, file, ways, who] of [
    [`${serviceCount} Services`, services, all, contenders],
    ["names of a search path that are not there", missing, all, contenders],
    [`${keptCount} names of another server`, kept, cold, shared],
    [`${keptCount} names of another server, kept`, kept, all, shared],
  ] as const) {
    for (const [how, options] of ways) {
      console.log(`${what}; ${how}`);
      for (const { name, port } of who) {
        const { perSecond, meanMs, lostPercent } = await ask(port, file, options);
        const figures = `${Math.round(perSecond)}/s, ${meanMs.toFixed(3)} ms, ${lostPercent} % lost`;
        console.log(`  ${name.padEnd(8)} ${figures}`);
      }
    }
  }
}

const at = process.argv.indexOf("--serve");
if (at < 0) await main();
else await serve(Number(process.argv[at + 1]), Number(process.argv[at + 2]));
