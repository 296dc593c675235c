// Which processes belong to a lab, so that they can be ended when whoever started them is gone.
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A process, told from a later one with the same number by when it started. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks after the start of the machine: proc(5), /proc/pid/stat field 22. */
  readonly startTime: string;
  readonly command: string;
}

/** `undefined` when there is no such process, or only what is left of one that ended. */
export function readProcess(pid: number): ProcessId | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The command may hold anything, also brackets and blanks; fields are counted from behind it.
  const nameEnd = stat.lastIndexOf(")");
  const fields = stat.slice(nameEnd + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  if (state === "Z" || state === "X" || startTime === undefined) return undefined;
  return { pid, startTime, command: stat.slice(stat.indexOf("(") + 1, nameEnd) };
}

function isRunning(process: ProcessId): boolean {
  return readProcess(process.pid)?.startTime === process.startTime;
}

/** Notes a process that `cleanup` shall end. Processes inside the lab's network namespaces need no note. */
export function recordProcess(directory: string, pid: number): void {
  const id = readProcess(pid);
  if (id === undefined) return;
  const folder = join(directory, "processes");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, String(pid)), `${id.startTime}\n`);
}

/** The recorded processes that still run. */
export function recordedProcesses(directory: string): ProcessId[] {
  const folder = join(directory, "processes");
  return listOf(folder).flatMap((name) => {
    const running = readProcess(Number(name));
    const startTime = readFileSync(join(folder, name), "utf8").trim();
    return running?.startTime === startTime ? [running] : [];
  });
}

/** Processes that live in the network namespaces, whoever started them. The caller's own namespace is left alone. */
export function processesIn(netnsPaths: readonly string[]): ProcessId[] {
  const wanted = new Set(netnsPaths.flatMap((path) => namespaceOf(path) ?? []));
  wanted.delete(namespaceLink("self"));
  return listOf("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || !wanted.has(namespaceLink(name))) return [];
    return readProcess(Number(name)) ?? [];
  });
}

function namespaceOf(path: string): string | undefined {
  try {
    return `net:[${statSync(path).ino}]`;
  } catch {
    return undefined;
  }
}

function namespaceLink(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return "";
  }
}

function listOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function signal(processes: readonly ProcessId[], name: NodeJS.Signals): void {
  for (const one of processes.filter(isRunning)) {
    try {
      process.kill(one.pid, name);
    } catch {
      // It ended in between.
    }
  }
}

/** Ends the processes: asks them, and after `graceMs` forces them. Settles when none runs. */
export async function endProcesses(
  processes: readonly ProcessId[],
  graceMs = 2_000,
): Promise<void> {
  const others = processes.filter(({ pid }) => pid !== process.pid);
  signal(others, "SIGTERM");
  for (let waitedMs = 0; others.some(isRunning); waitedMs += 10) {
    // What does not go even then hangs in the kernel, and nothing more can be done about it.
    if (waitedMs >= graceMs + 2_000) return;
    if (waitedMs >= graceMs) signal(others, "SIGKILL");
    await sleep(10);
  }
}
