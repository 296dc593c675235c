// Real connections from network namespaces, many at a time, and what became of them.
import { attemptSctp } from "./attempt-sctp.ts";
import { attemptTcp } from "./attempt-tcp.ts";
import { attemptUdp } from "./attempt-udp.ts";
import { type Attempt, type AttemptResult, type ProbeTarget, failure } from "./attempt.ts";

export interface ProbeRequest extends ProbeTarget {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly timeoutMs: number;
}

/**
 * `allowed`: answered. `refused`: the packets arrived and nothing listens there. `denied`: no answer in time. `error`:
 * the probe itself failed, e.g. no route.
 */
type ProbeVerdict = "allowed" | "refused" | "denied" | "error";

export interface ProbeOutcome {
  readonly verdict: ProbeVerdict;
  /** How the listener names itself; absent also when something else than a lab's listener answered. */
  readonly answeredBy?: string;
  readonly milliseconds: number;
  readonly message?: string;
}

/**
 * A lost packet must not look like a denied one, and the kernel repeats a SYN after a whole second only. So a probe
 * makes its attempt this often, spread over its time, without giving up the ones before: the first answer counts.
 */
const attemptsPerProbe = 3;

/**
 * Errors that say: it came through, and nobody is there. The last two are how a host without SCTP answers, "protocol
 * unreachable" of ICMP and "unrecognized next header" of ICMPv6.
 */
const refusals = new Set(["ECONNREFUSED", "ECONNRESET", "ENOPROTOOPT", "EPROTO"]);

function startAttempt(request: ProbeRequest): Attempt {
  switch (request.protocol) {
    case "tcp":
      return attemptTcp(request);
    case "udp":
      return attemptUdp(request);
    case "sctp":
      return attemptSctp(request);
  }
}

async function probe(request: ProbeRequest): Promise<AttemptResult> {
  const { promise, resolve } = Promise.withResolvers<AttemptResult>();
  const attempts: Attempt[] = [];
  const start = (): void => {
    try {
      const attempt = startAttempt(request);
      attempts.push(attempt);
      void attempt.result.then(resolve);
    } catch (error) {
      resolve(failure(error));
    }
  };
  const timers = Array.from({ length: attemptsPerProbe - 1 }, (_, index) =>
    setTimeout(start, (request.timeoutMs * (index + 1)) / attemptsPerProbe),
  );
  const deadline = setTimeout(() => {
    const known = attempts.map((attempt) => attempt.atTimeout()).find((one) => one !== undefined);
    resolve(known ?? { kind: "failed", code: "ETIMEDOUT" });
  }, request.timeoutMs);
  start();
  const result = await promise;
  for (const timer of [...timers, deadline]) clearTimeout(timer);
  for (const attempt of attempts) attempt.close();
  return result;
}

function outcomeOf(result: AttemptResult, milliseconds: number): ProbeOutcome {
  if (result.kind === "answered") {
    const { by } = result;
    return { verdict: "allowed", ...(by !== undefined && { answeredBy: by }), milliseconds };
  }
  if (result.code === "ETIMEDOUT") return { verdict: "denied", milliseconds };
  if (refusals.has(result.code)) return { verdict: "refused", milliseconds };
  return { verdict: "error", milliseconds, message: result.code };
}

/** Probes at most `parallel` at a time; more wait for their turn, and their time counts from then. */
export class Prober {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(parallel = 256) {
    this.#free = parallel;
  }

  /** Never rejects. A `denied` takes the whole `timeoutMs`. */
  async probe(request: ProbeRequest): Promise<ProbeOutcome> {
    await this.#enter();
    const startedAt = performance.now();
    try {
      const result = await probe(request);
      return outcomeOf(result, Math.round((performance.now() - startedAt) * 10) / 10);
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
