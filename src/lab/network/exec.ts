import { spawn } from "node:child_process";
import { constants } from "node:os";
import { LabError } from "../errors.ts";

/** The terminal sends these to the program as well, which decides what they mean. */
const terminalSignals = ["SIGINT", "SIGQUIT"] as const;

function ignore(): void {}

/**
 * Runs a program in the network namespace with this process's terminal.
 * @returns its exit code; 128 and the signal's number when a signal ended it.
 * @throws {LabError} when it cannot be started.
 */
export async function execInNetns(
  netns: string,
  command: readonly [string, ...string[]],
): Promise<number> {
  const child = spawn("nsenter", [`--net=${netns}`, "--", ...command], { stdio: "inherit" });
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
