// An agent as a process of its own, as it runs on a node.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectStream } from "../../src/runtime/message-stream.ts";
import type { AgentStatus, LocalReply, LocalRequest } from "../../src/southbound/attachment.ts";

const main = join(import.meta.dirname, "../../src/main/agent.ts");
const limits = { maxMessageSize: 1024 * 1024, maxQueuedSize: 1024 * 1024 };

export interface AgentProcessOptions {
  readonly node: string;
  /** Folder for state and socket. */
  readonly folder: string;
  readonly controllers: readonly string[];
  readonly ovsdb: string;
  readonly rundir: string;
  readonly datapathType: string;
  readonly arguments?: readonly string[];
  /** Path of a network namespace to run in. */
  readonly netns?: string;
}

export class AgentProcess implements AsyncDisposable {
  readonly socket: string;
  readonly stateFile: string;
  /** What it has logged, parsed. */
  readonly log: Record<string, unknown>[] = [];
  readonly options: AgentProcessOptions;
  #child: ChildProcess | undefined;

  constructor(options: AgentProcessOptions) {
    this.options = options;
    this.socket = join(options.folder, "agent.sock");
    this.stateFile = join(options.folder, "state", "agent.db");
  }

  /** Settles when the agent answers on its socket. */
  async start(): Promise<void> {
    this.spawn();
    const child = this.#child;
    for (let waitedMs = 0; !(await this.#answers()); waitedMs += 10) {
      const gone = child?.exitCode !== null || child.signalCode !== null;
      if (gone || waitedMs > 10_000) {
        throw new Error(`the agent did not start: ${JSON.stringify(this.log.slice(-5))}`);
      }
      await sleep(10);
    }
  }

  /** Starts the process and does not wait. */
  spawn(): void {
    const { node, folder, controllers, ovsdb, rundir, datapathType, netns } = this.options;
    const inNamespace = netns === undefined ? [] : ["nsenter", `--net=${netns}`];
    const argv = [
      ...inNamespace,
      "setpriv",
      "--pdeathsig",
      "KILL",
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      main,
      `--node=${node}`,
      ...controllers.map((path) => `--controller=${path}`),
      `--ovsdb=${ovsdb}`,
      `--rundir=${rundir}`,
      `--datapath-type=${datapathType}`,
      `--state-dir=${join(folder, "state")}`,
      `--socket=${this.socket}`,
      ...(this.options.arguments ?? []),
    ];
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", "inherit", "pipe"] });
    this.#child = child;
    let rest = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.log.push(parseLine(line));
    });
  }

  /** Exit code of a process that ends by itself. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null) await once(child, "close");
    return child?.exitCode ?? null;
  }

  /** @throws {Error} when it has not been started. */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the agent has not been started");
    return pid;
  }

  /** Of a process that has ended by itself. */
  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  async request(request: LocalRequest, timeoutMs = 30_000): Promise<LocalReply> {
    const address = { kind: "unix", path: this.socket } as const;
    const stream = await connectStream({ address, ...limits, timeoutMs: 5_000 });
    const { promise, resolve, reject } = Promise.withResolvers<LocalReply>();
    const timer = setTimeout(() => reject(new Error("the agent does not answer")), timeoutMs);
    stream.start({
      onMessage: (reply) => {
        if (isReply(reply)) resolve(reply);
        else reject(new Error(`not a reply: ${JSON.stringify(reply)}`));
      },
      onClose: (reason) => reject(reason ?? new Error("closed")),
    });
    stream.send(request);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      stream.close();
    }
  }

  async status(): Promise<AgentStatus> {
    const reply = await this.request({ type: "status" });
    if (reply.type !== "status") throw new Error(JSON.stringify(reply));
    return reply;
  }

  /** Settles when the status is as `expected` says. */
  async until(expected: (status: AgentStatus) => boolean): Promise<AgentStatus> {
    for (let waitedMs = 0; ; waitedMs += 10) {
      const status = await this.status();
      if (expected(status)) return status;
      if (waitedMs > 10_000) {
        const log = JSON.stringify(this.log.slice(-5));
        throw new Error(`expected another status than ${JSON.stringify(status)}; ${log}`);
      }
      await sleep(10);
    }
  }

  async stop(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    child.kill(signal);
    await once(child, "exit");
    return child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #answers(): Promise<boolean> {
    if (!existsSync(this.socket)) return false;
    return await this.status().then(
      () => true,
      () => false,
    );
  }
}

/** The agent is of the same checkout: that it is a reply at all is enough. */
function isReply(value: unknown): value is LocalReply {
  return typeof value === "object" && value !== null && "type" in value;
}

function parseLine(line: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(line);
    return { ...(typeof parsed === "object" ? parsed : { text: line }) };
  } catch {
    return { text: line };
  }
}
