// The traffic of forwarding.bench.ts: iperf3 and sockperf of Debian's packages, and connections that open and end.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Host, Path } from "./forwarding-path.ts";

const run = promisify(execFile);
const sockperfPort = 11_111;
export const connectionPort = 11_112;
const connectionProgram = `${import.meta.dirname}/forwarding-connections.ts`;

/** Installs Debian's packages when they are missing. @throws {Error} when that is not possible. */
export function installTraffic(): void {
  if (existsSync("/usr/bin/iperf3") && existsSync("/usr/bin/sockperf")) return;
  console.log("installing Debian packages: iperf3 sockperf");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const install = ["install", "-y", "-qq", "--no-install-recommends", "iperf3", "sockperf"];
  execFileSync("apt-get", install, { env, stdio: ["ignore", "ignore", "inherit"] });
}

function enter({ netns }: Host, ...command: readonly string[]): [string, string[]] {
  return ["nsenter", [`--net=${netns}`, ...command]];
}

function startIn(host: Host, ...command: readonly string[]): ChildProcess {
  const [program, args] = enter(host, "setpriv", "--pdeathsig", "KILL", ...command);
  return spawn(program, args, { stdio: "ignore" });
}

async function output(host: Host, ...command: readonly string[]): Promise<string> {
  const [program, args] = enter(host, ...command);
  const { stdout } = await run(program, args, { timeout: 60_000, maxBuffer: 1 << 24 });
  return stdout;
}

/** Starts what answers on the servers; it ends with the stack. */
export async function startServers(
  paths: readonly Path[],
  stack: AsyncDisposableStack,
): Promise<void> {
  const servers = new Map(paths.map(({ server }) => [server.netns, server]));
  for (const server of servers.values()) {
    const children = [
      startIn(server, "iperf3", "--server"),
      startIn(server, "sockperf", "server", "--tcp", "--port", String(sockperfPort)),
      startIn(server, process.execPath, connectionProgram, "serve"),
    ];
    for (const child of children) stack.defer(() => void child.kill("SIGKILL"));
  }
  await sleep(2_000);
}

interface IperfReport {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: {
      readonly packets: number;
      readonly lost_packets: number;
      readonly seconds: number;
    };
  };
}

async function iperf({ client, server }: Path, ...args: readonly string[]): Promise<IperfReport> {
  const text = await output(client, "iperf3", "--json", "--client", server.address, ...args);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Of a version that is known.
  return JSON.parse(text) as IperfReport;
}

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Whether more is better. */
  readonly more: boolean;
  /** Measures for so many seconds. */
  readonly run: (path: Path, seconds: number) => Promise<number>;
}

async function measureTcp(path: Path, seconds: number): Promise<number> {
  const { end } = await iperf(path, "--time", String(seconds));
  return (end.sum_received?.bits_per_second ?? 0) / 1e9;
}

/** Datagrams of 64 bytes that arrive while more are sent than can. */
async function measureUdp(path: Path, seconds: number): Promise<number> {
  const flags = ["--udp", "--length", "64", "--bitrate", "0", "--time", String(seconds)];
  const { end } = await iperf(path, ...flags);
  const {
    packets,
    lost_packets: lost,
    seconds: took,
  } = end.sum ?? { packets: 0, lost_packets: 0, seconds: 1 };
  return (packets - lost) / took / 1e3;
}

async function measureRoundTrip({ client, server }: Path, seconds: number): Promise<number> {
  const to = ["--ip", server.address, "--port", String(sockperfPort)];
  const flags = ["--tcp", "--msg-size", "64", "--time", String(seconds), "--full-rtt"];
  const text = await output(client, "sockperf", "ping-pong", ...to, ...flags);
  const found = /percentile 50\.000 =\s+([\d.]+)/.exec(text)?.[1];
  if (found === undefined) throw new Error(`expected sockperf's percentiles, got ${text}`);
  return Number(found);
}

async function measureConnections({ client, server }: Path, seconds: number): Promise<number> {
  const command = [process.execPath, connectionProgram, "connect", server.address, String(seconds)];
  return Number(await output(client, ...command)) / 1e3;
}

export const measures: readonly Measure[] = [
  { name: "TCP", unit: "Gbit/s", more: true, run: measureTcp },
  { name: "UDP, 64 bytes", unit: "1000/s", more: true, run: measureUdp },
  { name: "round trip", unit: "us", more: false, run: measureRoundTrip },
  { name: "connections", unit: "1000/s", more: true, run: measureConnections },
];
