import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApiClient } from "../client/api-client.ts";
import { applyManifest } from "../client/apply-manifest.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import type { Manifest } from "../client/manifest.ts";
import { kinds } from "../kinds/kinds.ts";
import { request } from "../lab/lab-client.ts";
import { type LabPaths, labPaths } from "../lab/paths.ts";
import type { LabStatus } from "../lab/protocol.ts";
import { findLab, startLab, stopLab } from "../lab/start.ts";
import { Interrupt } from "./interrupt.ts";
import { readManifests } from "./manifest-files.ts";
import { Progress } from "./progress.ts";

/** The command, as the user called it, for the hints that are printed. */
export const command = process.env["ISOBAR_COMMAND"] ?? "./isobar";

export interface LabUpOptions {
  readonly lab: string;
  readonly filename: readonly string[];
  readonly nodes: number;
}

/** Resolves with the lab's status. A new one is torn down when the signal is aborted meanwhile, and not afterwards. */
export async function bringUp(
  paths: LabPaths,
  nodes: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ readonly status: LabStatus; readonly isNew: boolean }> {
  const running = await findLab(paths);
  if (running !== undefined) return { status: running, isNew: false };
  const sayInterrupted = (): void => progress.say("interrupted: tearing down what was begun");
  signal.addEventListener("abort", sayInterrupted, { once: true });
  const onProgress = (text: string): void => {
    if (!signal.aborted) progress.say(text);
  };
  return { status: await startLab(paths, { nodes, onProgress, signal }), isNew: true };
}

/** Applies manifests in order. @returns how many came to what, e.g. `12 created, 1 unchanged` */
export async function applyAll(paths: LabPaths, manifests: readonly Manifest[]): Promise<string> {
  const client = new ApiClient(loadKubeconfig(paths.kubeconfig), "isobar-lab");
  const counts = { created: 0, configured: 0, unchanged: 0 };
  try {
    for (const manifest of manifests) {
      counts[(await applyManifest(client, kinds, manifest)).outcome] += 1;
    }
    return Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([outcome, count]) => `${count} ${outcome}`)
      .join(", ");
  } finally {
    await client.close();
  }
}

/** Waits until every pod runs and every node has confirmed all that was applied. @throws {LabError} */
export async function settle(paths: LabPaths, progress: Progress): Promise<void> {
  await request(paths.socket, { type: "settle", timeoutMs: 60_000 }, (reply) => {
    if (reply.type === "progress") progress.say(reply.text);
  });
}

export async function labUp({ lab, filename, nodes }: LabUpOptions): Promise<void> {
  const paths = labPaths(lab);
  // Files are read before anything is made, so that a mistake in one costs nothing.
  const manifests = readManifests(filename);
  const progress = new Progress();
  using interrupt = new Interrupt();
  const { status, isNew } = await bringUp(paths, nodes, progress, interrupt.signal);
  if (!isNew) progress.say(`lab "${lab}" is up already, with ${status.nodes.length} nodes`);
  if (manifests.length > 0) {
    try {
      await interrupt.orThrow(applyAndSettle(paths, manifests, progress));
    } finally {
      if (isNew && interrupt.signal.aborted) await stopLab(paths);
    }
  }
  progress.say(`lab "${lab}" is up`);
  console.log(nextCommands(lab));
}

async function applyAndSettle(
  paths: LabPaths,
  manifests: readonly Manifest[],
  progress: Progress,
): Promise<void> {
  progress.say(`applying ${manifests.length} objects`);
  progress.say(`objects: ${await applyAll(paths, manifests)}`);
  await settle(paths, progress);
}

export function nextCommands(lab: string): string {
  const option = lab === "lab" ? "" : ` --lab ${lab}`;
  return [
    "",
    "Next:",
    ...(hasKubectl()
      ? []
      : ["  apt-get install kubernetes-client    # kubectl, which is missing here"]),
    `  export KUBECONFIG=$(${command} lab kubeconfig${option})`,
    "  kubectl get pods -A -o wide",
    `  ${command} lab status${option}`,
    `  ${command} lab probe${option}`,
    `  ${command} lab down${option}`,
  ].join("\n");
}

function hasKubectl(): boolean {
  const directories = (process.env["PATH"] ?? "").split(":");
  return directories.some((directory) => existsSync(join(directory, "kubectl")));
}
