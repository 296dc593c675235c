// What a controller takes of memory and time for a large cluster: a real API server over a store that was filled beforehand, a
// real controller that lists it by pages, until it would serve agents.
//
//   node bench/controller-memory.bench.ts [--quick]
//
// Resident memory is the process's, measured when it has stood still; the first row, with next to no pods, is what every
// controller takes. The heap is what is left of it after garbage was collected.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connectStream } from "../src/runtime/message-stream.ts";
import { openSqliteStore } from "../src/store/sqlite-store.ts";
import { podsPerNamespace, writeClusterState } from "./cluster-state.ts";

interface Figures {
  readonly objects: number;
  readonly syncMs: number;
  /** The controller's processor time until then. */
  readonly cpuMs: number;
  readonly residentMb: number;
  readonly peakMb: number;
}

const limits = { maxMessageSize: 16 << 20, maxQueuedSize: 1 << 20 } as const;
const timeoutMs = 300_000;

function start(
  file: string,
  flags: Readonly<Record<string, string>>,
): ChildProcess & AsyncDisposable {
  const main = new URL(`../src/main/${file}.ts`, import.meta.url).pathname;
  const options = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(process.execPath, [main, ...options], { stdio: "ignore" });
  return Object.assign(child, {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, "exit");
    },
  });
}

/** A field of /proc/PID/status in MB. */
function memoryOf(process: ChildProcess, field: "VmRSS" | "VmHWM"): number {
  const text = readFileSync(`/proc/${process.pid}/status`, "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1] ?? Number.NaN) / 1024;
}

/** In ms, of /proc/PID/stat: fields 14 and 15 are ticks of 10 ms. */
function processorTimeOf(process: ChildProcess): number {
  const stat = readFileSync(`/proc/${process.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function isServing(path: string): Promise<boolean> {
  try {
    const address = { kind: "unix", path } as const;
    const stream = await connectStream({ ...limits, address, timeoutMs: 2_000 });
    stream.close();
    return true;
  } catch {
    return false;
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come in ${timeoutMs} ms`);
    await sleep(20);
  }
}

async function measure(pods: number): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), "isobar-bench-"));
  try {
    const data = join(directory, "objects.db");
    const store = openSqliteStore(data);
    const nodes = Math.min(1_000, Math.max(1, pods / 100));
    const objects = await writeClusterState(store, { pods, nodes });
    await store.close();
    const kubeconfig = join(directory, "kubeconfig");
    await using server = start("apiserver", {
      data,
      listen: "127.0.0.1:0",
      "cert-dir": directory,
      "kubeconfig-out": kubeconfig,
    });
    await until("the API server", () => existsSync(kubeconfig) || server.exitCode !== null);
    const socket = join(directory, "controller.sock");
    const startedMs = performance.now();
    await using controller = start("controller", {
      kubeconfig,
      listen: socket,
      "log-level": "error",
    });
    await until("the controller", async () => await isServing(socket));
    const syncMs = performance.now() - startedMs;
    const cpuMs = processorTimeOf(controller);
    await sleep(15_000);
    return {
      objects,
      syncMs,
      cpuMs,
      residentMb: memoryOf(controller, "VmRSS"),
      peakMb: memoryOf(controller, "VmHWM"),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const sizes = values.quick ? [podsPerNamespace, 10_000] : [podsPerNamespace, 10_000, 100_000];
const format = (value: number): string => value.toFixed(0).padStart(10);
console.log("      pods   objects   sync ms    CPU ms    rss MB   peak MB  MB per 10,000 pods");
let base: Figures | undefined;
for (const pods of sizes) {
  const figures = await measure(pods);
  base ??= figures;
  const { objects, syncMs, cpuMs, residentMb, peakMb } = figures;
  const per10k = pods === podsPerNamespace ? "" : ((residentMb - base.residentMb) / pods) * 1e4;
  const cells = [pods, objects, syncMs, cpuMs, residentMb, peakMb].map(format).join("");
  console.log(cells + (per10k === "" ? "" : per10k.toFixed(1).padStart(20)));
}
