// Notices that something changed on the node that the agent depends on: interfaces, their MTUs and addresses, and tables of the
// packet filter that somebody removed (`nft flush ruleset` takes all there are).
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Backoff } from "../../runtime/backoff.ts";
import { pause } from "../../runtime/lifecycle.ts";
import { isAttachmentPort } from "../attach/switch-ports.ts";

const monitors = [
  ["ip", "-oneline", "monitor", "link", "address"],
  ["nft", "monitor", "destroy", "tables"],
] as const;

/** Changes come in flocks. */
const settleMs = 200;
/** What no monitor tells: kernel settings, other programs' rules. */
const longestSilenceMs = 60_000;

/** Whether a line of ip-monitor(8) is about an endpoint's interface, which the agent itself has made or removed. */
function concernsAttachment(line: string): boolean {
  const name = /^(?:Deleted )?\d+: ([^\s@:]+)/.exec(line)?.[1];
  return name !== undefined && isAttachmentPort(name);
}

/** Calls `onChange` soon after each change, and now and then without one, until `signal` is aborted. */
export async function watchNode(onChange: () => void, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const changed = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      onChange();
    }, settleMs);
  };
  const regular = setInterval(changed, longestSilenceMs);
  const follow = async (argv: readonly [string, ...string[]]): Promise<void> => {
    const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000 });
    while (!signal.aborted) {
      await runMonitor(argv, changed, signal);
      await pause(backoff.next(), signal);
      // Something may have been missed.
      if (!signal.aborted) changed();
    }
  };
  try {
    await Promise.all(monitors.map(follow));
  } finally {
    clearTimeout(timer);
    clearInterval(regular);
  }
}

/** Until the program ends, which it does when the agent dies. */
async function runMonitor(
  [program, ...args]: readonly [string, ...string[]],
  changed: () => void,
  signal: AbortSignal,
): Promise<void> {
  const child: ChildProcess = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const stop = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("close", () => resolve());
  });
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (!concernsAttachment(line)) changed();
    });
  }
  await ended;
  signal.removeEventListener("abort", stop);
}
