import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { CommandError } from "./errors.ts";

const timeoutMs = 30_000;

/** Runs a program with `input` on its standard input to its end, and gives what it printed. @throws {CommandError} */
export async function runCommand(
  argv: readonly [string, ...string[]],
  input = "",
): Promise<string> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { timeout: timeoutMs, killSignal: "SIGKILL" });
  const exit = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  // A program that fails early does not read its input; its exit code tells all there is.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  try {
    const [output, complaint, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      exit,
    ]);
    if (code === 0) return output;
    throw new CommandError(`${argv.join(" ")}: ${complaint.trim() || `ended with ${code}`}`);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot run ${program}: ${String(error)}`, { cause: error });
  }
}

/**
 * Runs commands of ip(8), one a line, in one process, in the named network namespace if one is given. Stops at the first
 * that fails. @throws {CommandError}
 */
export async function runIp(lines: readonly string[], netns?: string): Promise<void> {
  const where = netns === undefined ? [] : ["-netns", netns];
  if (lines.length > 0) await runCommand(["ip", ...where, "-batch", "-"], `${lines.join("\n")}\n`);
}
