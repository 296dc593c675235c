// Keys that wait for work. The four properties of client-go's workqueue: fair (in order of arrival), stingy (a key added
// many times before its turn is worked on once), never the same key twice at once, and a key added while it is being
// worked on is worked on again afterwards.
import { setTimeout as sleep } from "node:timers/promises";

export interface WorkQueueOptions<Key extends string = string> {
  /** Makes the world match what is wanted for the key. A failure is retried with growing delay. */
  readonly reconcile: (key: Key) => Promise<void>;
  /** Told of each failure before the retry. */
  readonly onError: (key: Key, error: unknown, attempt: number) => void;
  /** Keys worked on at the same time; 1 when absent. */
  readonly concurrency?: number;
  readonly firstDelayMs?: number;
  readonly longestDelayMs?: number;
}

export class WorkQueue<Key extends string = string> implements AsyncDisposable {
  readonly #options: Required<WorkQueueOptions<Key>>;
  readonly #dirty = new Set<Key>();
  readonly #processing = new Map<Key, Promise<void>>();
  readonly #attempts = new Map<Key, number>();
  /** Keys that have failed and rest before their next attempt. */
  readonly #resting = new Set<Key>();
  /** Who waits for a key's next success. */
  readonly #waiters = new Map<Key, (() => void)[]>();
  readonly #closing = new AbortController();

  constructor(options: WorkQueueOptions<Key>) {
    this.#options = { concurrency: 1, firstDelayMs: 20, longestDelayMs: 10_000, ...options };
  }

  /** Keys that wait, for their turn or for another attempt, or are being worked on: 0 when all work has succeeded. */
  get size(): number {
    return this.#dirty.size + this.#processing.size + this.#resting.size;
  }

  add(key: Key): void {
    if (this.#closing.signal.aborted) return;
    this.#resting.delete(key);
    this.#dirty.add(key);
    this.#next();
  }

  /** As `add`; settles when work on the key that began after the call has succeeded, and never once closed. */
  async perform(key: Key): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), () => resolve(undefined)]);
    this.add(key);
    await promise;
  }

  #next(): void {
    for (const key of this.#dirty) {
      if (this.#processing.size >= this.#options.concurrency) return;
      if (this.#processing.has(key)) continue;
      this.#dirty.delete(key);
      this.#processing.set(key, this.#work(key));
    }
  }

  async #work(key: Key): Promise<void> {
    const waiters = this.#waiters.get(key) ?? [];
    this.#waiters.delete(key);
    try {
      await this.#options.reconcile(key);
      this.#attempts.delete(key);
      for (const resolve of waiters) resolve();
    } catch (error) {
      const all = [...waiters, ...(this.#waiters.get(key) ?? [])];
      if (all.length > 0) this.#waiters.set(key, all);
      if (!this.#closing.signal.aborted) void this.#retry(key, error);
    } finally {
      this.#processing.delete(key);
      if (!this.#closing.signal.aborted) this.#next();
    }
  }

  async #retry(key: Key, error: unknown): Promise<void> {
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    if (!this.#dirty.has(key)) this.#resting.add(key);
    this.#options.onError(key, error, attempt);
    const { firstDelayMs, longestDelayMs } = this.#options;
    const delayMs = Math.min(firstDelayMs * 2 ** (attempt - 1), longestDelayMs);
    const { signal } = this.#closing;
    await sleep(delayMs, undefined, { signal, ref: false }).then(
      () => this.#resting.has(key) && this.add(key),
      // Only closing ends the wait early, and then nothing is to be done.
      () => {},
    );
  }

  /** Drops what waits and ends when what is being worked on has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#dirty.clear();
    this.#resting.clear();
    await Promise.all(this.#processing.values());
  }
}
