import { existsSync } from "node:fs";
import { execInNetns } from "../lab/network/exec.ts";
import { netnsPath } from "../lab/network/command.ts";
import { netnsPrefix, podNetns } from "../lab/network/plan.ts";
import { labPaths } from "../lab/paths.ts";
import { requireLab } from "../lab/start.ts";
import { CliError } from "./errors.ts";
import { resolveLabPods } from "./lab-pods.ts";

/** The command's exit code becomes this process's. @throws {CliError} when there is no such pod or host */
export async function labExec(
  target: string,
  command: readonly string[],
  { lab }: { readonly lab: string },
): Promise<void> {
  const paths = labPaths(lab);
  await requireLab(paths);
  const [program, ...args] = command;
  if (program === undefined) throw new CliError("expected a command after --");
  const [pod] = target.includes("/") ? await resolveLabPods(paths, target) : [];
  const candidates =
    pod === undefined
      ? [`${netnsPrefix(lab)}external.${target}`, `${netnsPrefix(lab)}node.${target}`]
      : [podNetns(lab, pod)];
  const netns = candidates.map(netnsPath).find((path) => existsSync(path));
  if (netns === undefined) throw new CliError(`there is no pod, node or external host ${target}`);
  process.exitCode = await execInNetns(netns, [program, ...args]);
}
