// Keeps the lab's own processes running, as a kubelet would: what dies is started again.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

export interface ProcessSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly logFile: string;
  /**
   * Runs when a process has started, with its id: the place to record it for cleaning up after a crash. When it fails the
   * process is ended.
   */
  readonly onStart?: (pid: number) => void;
}

export interface ProcessStatus {
  readonly name: string;
  readonly pid: number | undefined;
  readonly restarts: number;
}

/** How long a process must have run for the next restart to come at once again. */
const steadyMs = 5_000;
const firstDelayMs = 50;
const longestDelayMs = 2_000;
const stopTimeoutMs = 4_000;

class Supervised {
  readonly spec: ProcessSpec;
  restarts = 0;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = firstDelayMs;
  #stopping = false;
  #exited: Promise<void> = Promise.resolve();

  constructor(spec: ProcessSpec) {
    this.spec = spec;
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null
      ? this.#child.pid
      : undefined;
  }

  /** @throws {Error} when the log cannot be opened, or `onStart` has failed */
  start(): void {
    const [program, ...args] = this.spec.command;
    const log = openSync(this.spec.logFile, "a", 0o600);
    const child = spawn(program, args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    const startedAt = Date.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#exited = promise;
    const ended = (): void => {
      resolve();
      if (this.#child === child) this.#ended(startedAt);
    };
    child.once("error", ended);
    child.once("exit", ended);
    try {
      if (child.pid !== undefined) this.spec.onStart?.(child.pid);
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
  }

  /** A start that fails, as on a full disk, is a process that has died at once. */
  #restart(): void {
    this.#timer = undefined;
    this.restarts += 1;
    const startedAt = Date.now();
    try {
      this.start();
    } catch {
      this.#ended(startedAt);
    }
  }

  #ended(startedAt: number): void {
    if (this.#stopping || this.#timer) return;
    this.#delayMs =
      Date.now() - startedAt > steadyMs
        ? firstDelayMs
        : Math.min(this.#delayMs * 2, longestDelayMs);
    this.#timer = setTimeout(() => this.#restart(), this.#delayMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#child?.kill("SIGTERM");
    const kill = setTimeout(() => this.#child?.kill("SIGKILL"), stopTimeoutMs);
    await this.#exited;
    clearTimeout(kill);
  }
}

export class Supervisor {
  readonly #processes = new Map<string, Supervised>();

  start(spec: ProcessSpec): void {
    const supervised = new Supervised(spec);
    this.#processes.set(spec.name, supervised);
    supervised.start();
  }

  status(): ProcessStatus[] {
    return [...this.#processes.values()].map(({ spec, pid, restarts }) => ({
      name: spec.name,
      pid,
      restarts,
    }));
  }

  /** In the reverse of the starting order, with SIGTERM and, after 4 s, SIGKILL. */
  async stop(): Promise<void> {
    for (const supervised of [...this.#processes.values()].toReversed()) await supervised.stop();
    this.#processes.clear();
  }
}
