import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { CommandError } from "./errors.ts";

const timeoutMs = 20_000;

/** Runs a program with `input` on its standard input, and gives its standard output. @throws {CommandError} */
export async function runCommand(
  argv: readonly [string, ...string[]],
  input = "",
): Promise<string> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { timeout: timeoutMs, killSignal: "SIGKILL" });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
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
    throw new CommandError(`${argv.join(" ")}: ${complaint.trim() || `exit code ${code}`}`);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`cannot run ${program}: ${String(error)}`, { cause: error });
  }
}

/** Runs commands of ip(8), one a line, in one process. Stops at the first that fails. @throws {CommandError} */
export async function runIpBatch(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await runCommand(["ip", "-batch", "-"], `${lines.join("\n")}\n`);
}
