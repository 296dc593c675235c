// The command as users run it, on labs that are gone when the test is, whatever it died of.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { netnsOf } from "../../src/lab/network/cleanup.ts";
import { recordedProcesses } from "../../src/lab/network/processes.ts";
import { labPaths } from "../../src/lab/paths.ts";

const program = fileURLToPath(new URL("../../isobar", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Settles when standard error matches. @throws {Error} when the command has ended without that */
  readonly said: (pattern: RegExp) => Promise<void>;
}

/** Begins a command in a process group of its own, as a shell does. */
export function start(argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  const [file = "", ...args] = argv;
  const env = { ...process.env, ISOBAR_LAB: undefined, ...environment };
  const child = spawn(file, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], env });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => (stderr += part));
  const finish = async (): Promise<Finished> => {
    const [stdout] = await Promise.all([text(child.stdout), once(child, "close")]);
    return { code: child.exitCode, stdout, stderr };
  };
  const finished = finish();
  const said = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(stderr)) {
      const ended = await Promise.race([once(child.stderr, "data"), finished]);
      if ("code" in ended && !pattern.test(stderr)) throw new Error(`only said: ${stderr}`);
    }
  };
  return { child, finished, said };
}

export function startIsobar(...args: readonly string[]): Running {
  return start([program, ...args]);
}

export async function isobar(...args: readonly string[]): Promise<Finished> {
  return await startIsobar(...args).finished;
}

/** Standard output of a command that must succeed. @throws {Error} with all that it said */
export async function outputOf(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await isobar(...args);
  if (code === 0) return stdout;
  throw new Error(`isobar ${args.join(" ")} ended with ${code}: ${stderr}${stdout}`);
}

/** What there is of a lab on the machine: nothing when it is down. */
export function remains(lab: string): string[] {
  const { directory } = labPaths(lab);
  const processes = existsSync(directory) ? recordedProcesses(directory) : [];
  return [
    ...netnsOf(lab),
    ...(existsSync(directory) ? [directory] : []),
    ...processes.map(({ command }) => command),
  ];
}

/** Takes labs down when it is disposed of, or this process dies. */
export class LabGuard implements AsyncDisposable {
  readonly #children: ChildProcess[];

  constructor(labs: readonly string[]) {
    const script = 'cat >/dev/null; exec "$@" >/dev/null';
    this.#children = labs.map((lab) =>
      spawn("sh", ["-c", script, "sh", program, "lab", "down", "--lab", lab], {
        detached: true,
        stdio: ["pipe", "ignore", "ignore"],
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = this.#children.map(async (child) => {
      const end = once(child, "exit");
      child.stdin?.end();
      await end;
    });
    await Promise.all(ends);
  }
}

/** A file of this folder's `fixtures`. */
export function fixture(name: string): string {
  return join(import.meta.dirname, "fixtures", name);
}
