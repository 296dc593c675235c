// Looks after the members of load balancers that this node is named for: whether a connection opens, or a GET is answered as expected.
// What is found out is told when it is news; the first answer counts at once, later ones when enough of them agree.
import { request } from "node:http";
import { connect } from "node:net";
import type { HealthVerdict } from "../../model/health-check.ts";
import type { CheckResource } from "../../southbound/resources.ts";

export interface MemberChecksOptions {
  readonly node: string;
  readonly checks: () => readonly CheckResource[];
  readonly report: (verdicts: readonly HealthVerdict[]) => void;
}

interface Running {
  readonly text: string;
  readonly stop: AbortController;
  /** `undefined` before the first answer. */
  verdict: HealthVerdict | undefined;
}

export class MemberChecks implements Disposable {
  readonly #options: MemberChecksOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: MemberChecksOptions) {
    this.#options = options;
  }

  /** How many members this node looks after. */
  get size(): number {
    return this.#running.size;
  }

  /** Begins and ends checks as they are wanted now. O(checks). */
  update(): void {
    const { checks, node } = this.#options;
    const wanted = new Map(
      checks()
        .filter(({ checkers }) => checkers.includes(node))
        .map((check) => [check.id, check] as const),
    );
    for (const [id, { text, stop }] of this.#running) {
      const check = wanted.get(id);
      if (check !== undefined && textOf(check) === text) continue;
      stop.abort();
      this.#running.delete(id);
    }
    for (const [id, check] of wanted) {
      if (this.#running.has(id)) continue;
      const running = { text: textOf(check), stop: new AbortController(), verdict: undefined };
      this.#running.set(id, running);
      this.#start(check, running);
    }
  }

  /** For a controller that has just begun to follow: all there is. */
  reportAll(): void {
    const verdicts = [...this.#running.values()].flatMap(({ verdict }) => verdict ?? []);
    if (verdicts.length > 0) this.#options.report(verdicts);
  }

  [Symbol.dispose](): void {
    for (const { stop } of this.#running.values()) stop.abort();
    this.#running.clear();
  }

  #start(check: CheckResource, running: Running): void {
    const { signal } = running.stop;
    let against = 0;
    const round = async (): Promise<void> => {
      const startedMs = performance.now();
      const problem = await probe(check, signal);
      if (signal.aborted) return;
      const before = running.verdict;
      const healthy = problem === undefined;
      const needed = healthy ? check.healthyThreshold : check.unhealthyThreshold;
      against = before?.healthy === healthy ? 0 : against + 1;
      if (before === undefined || against >= needed) {
        against = 0;
        running.verdict = { check: check.id, healthy, message: problem ?? "" };
        this.#options.report([running.verdict]);
      }
      const leftMs = check.intervalMs - (performance.now() - startedMs);
      setTimer(() => void round(), Math.max(leftMs, 0), signal);
    };
    void round();
  }
}

function setTimer(work: () => void, delayMs: number, signal: AbortSignal): void {
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", stop);
    work();
  }, delayMs).unref();
  const stop = (): void => clearTimeout(timer);
  signal.addEventListener("abort", stop, { once: true });
}

/** Equal while the check goes on as it is; who else looks is nothing to this node. */
function textOf({ checkers: _others, ...check }: CheckResource): string {
  return JSON.stringify(check);
}

/** What is wrong; `undefined` when all is well. */
async function probe(check: CheckResource, stopped: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const tooLate = setTimeout(() => resolve(`no answer in ${check.timeoutMs} ms`), check.timeoutMs);
  const stop = (): void => resolve("stopped");
  stopped.addEventListener("abort", stop, { once: true });
  const end = check.protocol === "TCP" ? probeTcp(check, resolve) : probeHttp(check, resolve);
  try {
    return await promise;
  } finally {
    clearTimeout(tooLate);
    stopped.removeEventListener("abort", stop);
    end();
  }
}

type Answer = (problem: string | undefined) => void;

function probeTcp({ address, port }: CheckResource, answer: Answer): () => void {
  const socket = connect({ host: address, port });
  socket.once("connect", () => answer(undefined));
  socket.on("error", ({ message }) => answer(message));
  return () => socket.resetAndDestroy();
}

function probeHttp(check: CheckResource, answer: Answer): () => void {
  const { address, port, path = "/", host, statuses = [] } = check;
  const headers = { "user-agent": "isobar-health-check", ...(host !== undefined && { host }) };
  const sent = request({ host: address, port, path, headers, agent: false });
  sent.on("response", (response) => {
    const { statusCode = 0 } = response;
    const isExpected = statuses.some(({ from, to }) => from <= statusCode && statusCode <= to);
    answer(isExpected ? undefined : `answered ${statusCode}`);
    response.on("error", () => undefined);
    response.resume();
  });
  sent.on("error", ({ message }) => answer(message));
  sent.end();
  return () => sent.destroy();
}
