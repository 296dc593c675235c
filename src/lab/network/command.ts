import { runCommand } from "../../runtime/command.ts";

/** Where ip-netns(8) keeps the namespaces. */
export const netnsDirectory = "/run/netns";

export function netnsPath(name: string): string {
  return `${netnsDirectory}/${name}`;
}

/** Runs a script of sh(1) in the namespace; stops at the first command that fails. @throws {CommandError} */
export async function runScript(netns: string, lines: readonly string[]): Promise<void> {
  await runCommand(["nsenter", `--net=${netnsPath(netns)}`, "sh", "-e"], `${lines.join("\n")}\n`);
}
