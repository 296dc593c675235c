import { spawn } from "node:child_process";
import { constants } from "node:os";
import { LabError } from "../errors.ts";

/** The terminal sends these to the program as well, which decides what they mean. */
const terminalSignals = ["SIGINT", "SIGQUIT"] as const;

function ignore(): void {}

/** In a mount namespace of its own, with another resolv.conf. */
const withResolver = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';

/**
 * Runs a program in the network namespace with this process's terminal.
 * @returns its exit code; 128 and the signal's number when a signal ended it.
 * @param resolverFile takes the place of /etc/resolv.conf for the program.
 * @throws {LabError} when it cannot be started.
 */
export async function execInNetns(
  netns: string,
  command: readonly [string, ...string[]],
  { resolverFile }: { readonly resolverFile?: string } = {},
): Promise<number> {
  const resolver =
    resolverFile === undefined
      ? []
      : ["unshare", "--mount", "sh", "-c", withResolver, resolverFile];
  const argv = [`--net=${netns}`, "--", ...resolver, ...command];
  const child = spawn("nsenter", argv, { stdio: "inherit" });
  for (const name of terminalSignals) process.on(name, ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (cause) => reject(new LabError("cannot run nsenter", { cause })));
      child.once("exit", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    for (const name of terminalSignals) process.off(name, ignore);
  }
}
