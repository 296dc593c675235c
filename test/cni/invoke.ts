// Runs a CNI executable as a container runtime does.
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

export interface CniRun {
  readonly code: number | null;
  /** Standard output as it is. */
  readonly output: string;
}

interface CniPlace {
  /** Path of the network namespace that the runtime is in. */
  readonly netns?: string;
  /** Kills the executable. */
  readonly signal?: AbortSignal;
}

/** Rejects when it is killed. */
export async function invokeCni(
  executable: string,
  environment: Readonly<Record<string, string>>,
  input: string,
  { netns, signal }: CniPlace = {},
): Promise<CniRun> {
  const argv = netns === undefined ? [executable] : ["nsenter", `--net=${netns}`, executable];
  // Of the environment only what is given: nsenter must be found nevertheless.
  const env =
    netns === undefined ? environment : { PATH: process.env["PATH"] ?? "", ...environment };
  const child = spawn(argv[0]!, argv.slice(1), {
    env,
    stdio: ["pipe", "pipe", "inherit"],
    killSignal: "SIGKILL",
    ...(signal === undefined ? {} : { signal }),
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [output, code] = await Promise.all([text(child.stdout), exit]);
  return { code, output };
}
