// What must not be cut: a connection that is kept busy, and pings, from a pod's network namespace. They are started from
// the machine, so that they go on whatever happens to the pod's node.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export interface TrafficResult {
  /** What the connection said at its end: `held: …` or `cut after …`. */
  readonly connection: string;
  readonly sent: number;
  readonly lost: number;
}

export interface TrafficOptions {
  /** A process in the network namespace that it starts from. */
  readonly pid: number;
  /** Of the server's pod. */
  readonly address: string;
  readonly workload: string;
}

/** Begins at once. */
export class Traffic {
  readonly #connection: ChildProcess;
  readonly #ping: ChildProcess;
  readonly #said: Promise<readonly [string, string]>;

  constructor({ pid, address, workload }: TrafficOptions) {
    // It ends with this process, whatever that dies of.
    const bound = ["--pdeathsig", "KILL", "--", "nsenter", `--net=/proc/${pid}/ns/net`, "--"];
    const hold = [workload, "hold", "-for=15m", "-stall=60s", `${address}:7000`];
    this.#connection = spawn("setpriv", [...bound, ...hold], { stdio: ["ignore", "pipe", "pipe"] });
    // A reply that is late is not a lost one.
    const ping = ["ping", "-q", "-i", "0.2", "-W", "10", address];
    this.#ping = spawn("setpriv", [...bound, ...ping], { stdio: ["ignore", "pipe", "ignore"] });
    this.#said = Promise.all([saidBy(this.#connection), saidBy(this.#ping)]);
  }

  /** Without telling what became of it. */
  end(): void {
    this.#connection.kill("SIGKILL");
    this.#ping.kill("SIGKILL");
  }

  /** Ends it, and tells what became of it. */
  async stop(): Promise<TrafficResult> {
    const ends = [this.#connection, this.#ping].map(async (child) => {
      if (child.exitCode !== null) return;
      const end = once(child, "exit");
      child.kill("SIGINT");
      await end;
    });
    await Promise.all(ends);
    const [connection, ping] = await this.#said;
    const counts = /(?<sent>\d+) packets transmitted, (?<received>\d+) received/.exec(ping)?.groups;
    const [sent, received] = [Number(counts?.["sent"]), Number(counts?.["received"])];
    return { connection, sent, lost: sent - received };
  }
}

async function saidBy({ stdout, stderr }: ChildProcess): Promise<string> {
  const parts = [stdout, stderr].map(async (stream) => (stream === null ? "" : await text(stream)));
  return (await Promise.all(parts)).join("").trim();
}
