// An Open vSwitch for realisation.bench.ts, with the ports of all endpoints, and processes beside it.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { roleKey } from "../src/agent/switch-database.ts";
import { OvsBridge } from "../src/switch/ovs-bridge.ts";
import { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OpenVswitch } from "../test/ovs/open-vswitch.ts";

export interface DaemonOptions {
  /** For the log, `<name>.log`. */
  readonly folder: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process that dies with this one, whatever this one dies of. */
export class Daemon implements AsyncDisposable {
  readonly #name: string;
  readonly #log: string;
  readonly #child: ChildProcess;

  constructor(name: string, command: readonly string[], { folder, env = {} }: DaemonOptions) {
    this.#name = name;
    this.#log = join(folder, `${name}.log`);
    const output = openSync(this.#log, "a");
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], {
      stdio: ["ignore", output, output],
      env: { ...process.env, ...env },
    });
    closeSync(output);
  }

  /** True. @throws {Error} with the end of its log when the process has ended. */
  get running(): true {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return true;
    const log = readFileSync(this.#log, "utf8").slice(-1000);
    throw new Error(`${this.#name} has ended (${exitCode ?? signalCode}): ${log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

/** Settles when `reached` gives something. @throws {Error} after a minute. */
export async function until<Result>(
  what: string,
  reached: () => Result | undefined | Promise<Result | undefined>,
): Promise<Result> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const result = await reached();
    if (result !== undefined) return result;
    if (performance.now() > deadline) throw new Error(`${what}: not within a minute`);
    await sleep(20);
  }
}

/** Makes the bridge with one port for each set of labels. */
export async function addPorts(
  ovs: OpenVswitch,
  labels: readonly Readonly<Record<string, string>>[],
): Promise<void> {
  const client = new OvsdbClient({ address: { path: ovs.databaseSocket } });
  try {
    await client.connected(10_000);
    // The mark lets an agent of Isobar have it; to OVN it says nothing.
    const externalIds = { [roleKey]: "integration" };
    const options = { name: "br-int", datapathType: "dummy", externalIds };
    const bridge = await OvsBridge.open(client, options);
    await bridge.ensure();
    const ports = labels.map((own, n) => ({ name: `port${n}`, externalIds: own }));
    await bridge.addPorts(ports, 120_000);
  } finally {
    await client.close();
  }
}

export function countFlows(ovs: OpenVswitch): number {
  const bridge = `unix:${ovs.rundir}/br-int.mgmt`;
  const text = execFileSync("ovs-ofctl", ["-O", "OpenFlow15", "dump-aggregate", bridge], {
    encoding: "utf8",
  });
  const count = /flow_count=(\d+)/.exec(text)?.[1];
  if (count === undefined) throw new Error(`expected a count of flows, got ${text}`);
  return Number(count);
}

/** Processes that this one has started and that run. */
export function childProcesses(): ReadonlySet<string> {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return new Set(processes.filter((pid) => parentOf(pid) === process.pid));
}

function parentOf(pid: string): number | undefined {
  try {
    // proc(5): the command's name, which may hold anything, ends at the last parenthesis.
    const [, parent] = /.*\) \S (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return Number(parent);
  } catch {
    return undefined;
  }
}

/** Processor time that all threads of the processes have had, in ms. */
export function processorMs(processes: ReadonlySet<string>): number {
  let nanoseconds = 0;
  for (const pid of processes) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number.parseInt(
        readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"),
        10,
      );
    }
  }
  return nanoseconds / 1e6;
}
