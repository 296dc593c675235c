// Removing a lab, also one whose creator was killed: everything of it is found by name, namespace or record.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { LabError } from "../errors.ts";
import { labPaths } from "../paths.ts";
import { runCommand } from "../../runtime/command.ts";
import { netnsDirectory, netnsPath } from "./command.ts";
import { netnsPrefix } from "./plan.ts";
import { endProcesses, processesIn, recordedProcesses } from "./processes.ts";

export interface CleanupReport {
  /** Commands of the processes that were ended. */
  readonly processes: readonly string[];
  /** Names of the network namespaces that were removed. */
  readonly netns: readonly string[];
  readonly directories: readonly string[];
}

/** Names of the network namespaces that belong to a lab, now. */
export function netnsOf(lab: string): string[] {
  if (!existsSync(netnsDirectory)) return [];
  return readdirSync(netnsDirectory).filter((name) => name.startsWith(netnsPrefix(lab)));
}

/**
 * Ends the lab's processes, namely those in its network namespaces and the recorded ones, and removes its network
 * namespaces and its folder. Does nothing where nothing is left. The calling process is spared.
 * @throws {LabError} when something could not be removed.
 */
export async function cleanup(name: string, root?: string): Promise<CleanupReport> {
  const { directory } = labPaths(name, root);
  const netns = netnsOf(name);
  const processes = [...processesIn(netns.map(netnsPath)), ...recordedProcesses(directory)];
  await endProcesses(processes);
  if (netns.length > 0) {
    // Forced: goes on behind one that cannot be removed.
    const lines = netns.map((one) => `netns delete ${one}\n`).join("");
    await runCommand(["ip", "-force", "-batch", "-"], lines).catch((cause: unknown) => {
      if (netnsOf(name).length > 0) throw new LabError(`cannot remove lab ${name}`, { cause });
    });
  }
  const directories = existsSync(directory) ? [directory] : [];
  rmSync(directory, { recursive: true, force: true });
  return { processes: processes.map(({ command }) => command), netns, directories };
}
