import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Runs one of the repository's own programs with this Node and takes its exit code over. */
export async function runTool(file: string, args: readonly string[]): Promise<void> {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { cwd: root, stdio: "inherit" });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGINT", forward);
  process.on("SIGTERM", forward);
  const [code]: unknown[] = await once(child, "exit");
  process.exitCode = typeof code === "number" ? code : 1;
  process.off("SIGINT", forward);
  process.off("SIGTERM", forward);
}
