import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { LabError } from "../errors.ts";

/** Where ip-netns(8) keeps the namespaces. */
export const netnsDirectory = "/run/netns";

export function netnsPath(name: string): string {
  return `${netnsDirectory}/${name}`;
}

const timeoutMs = 30_000;

/** Runs a program to its end, and gives what it printed. @throws {LabError} with what it complained of. */
export async function run(argv: readonly [string, ...string[]], input = ""): Promise<string> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { timeout: timeoutMs, killSignal: "SIGKILL" });
  const exit = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  // A program that fails early does not read its input; its exit code tells all there is.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [output, complaint, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    exit.catch((cause: unknown) => {
      throw new LabError(`cannot run ${program}: ${String(cause)}`, { cause });
    }),
  ]);
  if (code === 0) return output;
  throw new LabError(`${argv.join(" ")}: ${complaint.trim() || `ended with ${code}`}`);
}

/** Runs lines of ip(8) in one process, in the namespace if one is named; stops at the first that fails. */
export async function runIp(lines: readonly string[], netns?: string): Promise<void> {
  const where = netns === undefined ? [] : ["-netns", netns];
  await run(["ip", ...where, "-batch", "-"], `${lines.join("\n")}\n`);
}

/** Runs a script of sh(1) in the namespace; stops at the first command that fails. */
export async function runScript(netns: string, lines: readonly string[]): Promise<void> {
  await run(["nsenter", `--net=${netnsPath(netns)}`, "sh", "-e"], `${lines.join("\n")}\n`);
}
