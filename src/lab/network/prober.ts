// Real connections from network namespaces, many at a time, and what became of them.
import { setImmediate as immediate, setTimeout as sleep } from "node:timers/promises";
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
 * Time is counted in slices, each with a look at the sockets behind it: a process, or a machine, that is too busy to
 * take an answer in for a while loses one slice by it and not the whole probe.
 */
const slicesPerProbe = 12;

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
  const ended = new AbortController();
  const begin = (): void => {
    try {
      const attempt = startAttempt(request);
      attempts.push(attempt);
      void attempt.result.then(resolve);
    } catch (error) {
      resolve(failure(error));
    }
  };
  const spendTime = async (): Promise<void> => {
    for (let slice = 0; slice < slicesPerProbe && !ended.signal.aborted; slice++) {
      if (slice % (slicesPerProbe / attemptsPerProbe) === 0) begin();
      await sleep(request.timeoutMs / slicesPerProbe);
      await immediate();
    }
    const known = attempts.map((attempt) => attempt.atTimeout()).find((one) => one !== undefined);
    resolve(known ?? { kind: "failed", code: "ETIMEDOUT" });
  };
  void spendTime();
  const result = await promise;
  ended.abort();
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

  /** Never rejects. A `denied` takes the whole `timeoutMs`, and more on a busy machine. */
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
