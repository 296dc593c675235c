// Starting and stopping a lab from outside: its daemon is a process of its own, which outlives the command that began it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ConnectionError } from "../runtime/errors.ts";
import { aborted } from "../runtime/lifecycle.ts";
import { LabError } from "./errors.ts";
import { request, requestStatus } from "./lab-client.ts";
import { type CleanupReport, cleanup } from "./network/cleanup.ts";
import { type LabPaths, defaultLabName } from "./paths.ts";
import type { LabStatus } from "./protocol.ts";

/** The daemon gives its own processes 4 s each. */
const stopTimeoutMs = 30_000;

export interface StartOptions {
  readonly nodes: number;
  /** A sentence about what goes on. */
  readonly onProgress: (text: string) => void;
  /** Aborting tears down what was begun. */
  readonly signal: AbortSignal;
}

/** The running lab's status, `undefined` when there is none. */
export async function findLab(paths: LabPaths): Promise<LabStatus | undefined> {
  try {
    return await requestStatus(paths.socket);
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
}

/** @throws {LabError} when there is no such lab, saying how to have one */
export async function requireLab(paths: LabPaths): Promise<LabStatus> {
  const status = await findLab(paths);
  if (status !== undefined) return status;
  throw notUp(paths.name);
}

export function notUp(name: string): LabError {
  const option = name === defaultLabName ? "" : ` --lab ${name}`;
  return new LabError(`lab "${name}" is not up; ./isobar lab up${option} brings it up`);
}

/** Removes what a lab that crashed has left. Says what it was. */
async function removeLeftovers(paths: LabPaths, onProgress: (text: string) => void): Promise<void> {
  const removed = describe(await cleanup(paths.name, paths.root));
  if (removed.length === 0) return;
  onProgress(`cleaned up after an earlier lab of this name: ${removed.join(", ")}`);
}

/** Brings the lab up. @throws {LabError} with the end of the daemon's log when that fails; then nothing is left */
export async function startLab(paths: LabPaths, options: StartOptions): Promise<LabStatus> {
  const { nodes, onProgress, signal } = options;
  await removeLeftovers(paths, onProgress);
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const daemon = spawnDaemon(paths, nodes);
  try {
    const status = await Promise.race([
      untilUp(paths, daemon, onProgress),
      aborted(signal).then(() => {
        throw new LabError("interrupted");
      }),
    ]);
    daemon.unref();
    return status;
  } catch (error) {
    await killDaemon(daemon);
    await cleanup(paths.name, paths.root);
    throw error;
  }
}

/** Tears the lab down, whatever state it is in. @returns what there was to remove after the daemon had ended */
export async function stopLab(paths: LabPaths): Promise<{ wasUp: boolean; removed: string[] }> {
  let wasUp = false;
  try {
    wasUp = await Promise.race([
      request(paths.socket, { type: "stop" }).then(() => true),
      // A daemon that hangs is ended with the rest.
      sleep(stopTimeoutMs, false, { ref: false }),
    ]);
  } catch (error) {
    if (!(error instanceof ConnectionError || error instanceof LabError)) throw error;
  }
  return { wasUp, removed: describe(await cleanup(paths.name, paths.root)) };
}

function counted(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}`];
}

function describe({ processes, netns, directories }: CleanupReport): string[] {
  return [
    ...counted(processes.length, `processes (${[...new Set(processes)].join(", ")})`),
    ...counted(netns.length, "network namespaces"),
    ...directories,
  ];
}

function spawnDaemon(paths: LabPaths, nodes: number): ReturnType<typeof spawn> {
  const program = fileURLToPath(new URL("../main/lab.ts", import.meta.url));
  const log = openSync(paths.log, "a", 0o600);
  const args = [program, "--name", paths.name, "--root", paths.root, "--nodes", String(nodes)];
  // A process group of its own, so that Ctrl-C at the command does not reach it.
  const daemon = spawn(process.execPath, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  return daemon;
}

/** @throws {LabError} when the daemon ends instead */
async function untilUp(
  paths: LabPaths,
  daemon: ReturnType<typeof spawn>,
  onProgress: (text: string) => void,
): Promise<LabStatus> {
  while (daemon.exitCode === null && daemon.signalCode === null) {
    const status = await waitUntilUp(paths, onProgress);
    if (status !== undefined) return status;
    await sleep(20);
  }
  throw new LabError(`the lab did not start:\n${logTail(paths)}`);
}

async function waitUntilUp(
  paths: LabPaths,
  onProgress: (text: string) => void,
): Promise<LabStatus | undefined> {
  let status: LabStatus | undefined;
  try {
    await request(paths.socket, { type: "wait-until-up" }, (reply) => {
      if (reply.type === "progress") onProgress(reply.text);
      else if (reply.type === "status") status = reply.status;
    });
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
  return status;
}

/**
 * Kills the daemon with all that it has begun, which is in its process group. Asked, it would first finish the start; and
 * `cleanup` removes what killed ones leave.
 */
async function killDaemon(daemon: ReturnType<typeof spawn>): Promise<void> {
  if (daemon.pid === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exit = once(daemon, "exit");
  process.kill(-daemon.pid, "SIGKILL");
  await exit;
}

function logTail(paths: LabPaths): string {
  const lines = readFileSync(paths.log, "utf8").trimEnd().split("\n");
  return lines.slice(-15).join("\n");
}
