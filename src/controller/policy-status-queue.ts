// When policies' statuses are written: not while they still move, not faster than the API server likes, and bad news of a start
// only once it is old.
import { setTimeout as sleep } from "node:timers/promises";

export interface PolicyStatusTimings {
  /** Least time between a change and its write; further changes within it are written together. */
  readonly settleMs?: number;
  /** After a start agents connect one by one: for so long only policies that are in force everywhere are written. */
  readonly startMs?: number;
  /** Least time between two writes. */
  readonly paceMs?: number;
}

export interface PolicyStatusQueueOptions extends PolicyStatusTimings {
  /** Writes the policy's status if it differs. With `isStarting`, `later` puts off what will probably be better soon. */
  readonly write: (policy: string, isStarting: boolean) => Promise<"done" | "later">;
  readonly onError: (policy: string, error: unknown) => void;
}

/** After a failure, which mostly is the server's and not the policy's. */
const retryMs = 1_000;

export class PolicyStatusQueue implements AsyncDisposable {
  readonly #options: Required<PolicyStatusQueueOptions>;
  readonly #closing = new AbortController();
  readonly #startedMs = performance.now();
  /** When each policy is due, in about that order. */
  readonly #due = new Map<string, number>();
  #running: Promise<void> | undefined;

  constructor(options: PolicyStatusQueueOptions) {
    this.#options = { settleMs: 1_000, startMs: 15_000, paceMs: 25, ...options };
  }

  add(policy: string): void {
    if (this.#closing.signal.aborted || this.#due.has(policy)) return;
    this.#due.set(policy, performance.now() + this.#options.settleMs);
    this.#running ??= this.#run();
  }

  /** Ends when the write that is under way has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#due.clear();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const [next] = this.#due;
      if (next === undefined) break;
      const [policy, dueMs] = next;
      await this.#pause(Math.max(0, dueMs - performance.now()));
      if (this.#closing.signal.aborted) break;
      this.#due.delete(policy);
      await this.#write(policy);
    }
    this.#running = undefined;
  }

  async #write(policy: string): Promise<void> {
    const { write, onError, startMs, paceMs } = this.#options;
    const startedMs = this.#startedMs + startMs;
    try {
      const outcome = await write(policy, performance.now() < startedMs);
      if (outcome === "later") this.#due.set(policy, startedMs);
      else await this.#pause(paceMs);
    } catch (error) {
      onError(policy, error);
      this.#due.set(policy, performance.now() + retryMs);
      await this.#pause(retryMs);
    }
  }

  async #pause(delayMs: number): Promise<void> {
    if (delayMs <= 0) return;
    const { signal } = this.#closing;
    await sleep(delayMs, undefined, { signal, ref: false }).catch(() => {});
  }
}
