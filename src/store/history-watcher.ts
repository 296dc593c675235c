import type { History } from "./history.ts";
import type { StoreEvent, WatchBatch, Watcher } from "./store.ts";

/** A reader of a history that waits at its end. It holds a position, not events. */
export class HistoryWatcher implements Watcher {
  readonly #history: History;
  readonly #prefix: string;
  readonly #onClose: (watcher: HistoryWatcher) => void;
  /** Everything until this revision has been delivered. */
  #position: number;
  #progressRequested = false;
  #closed = false;
  /** Set while the reader waits, which it does only at the end of history. */
  #wake: (() => void) | undefined;

  constructor(
    history: History,
    options: { prefix: string; position: number; onClose: (watcher: HistoryWatcher) => void },
  ) {
    this.#history = history;
    this.#prefix = options.prefix;
    this.#position = options.position;
    this.#onClose = options.onClose;
  }

  requestProgress(): void {
    this.#progressRequested = true;
    this.#wake?.();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
    this.#onClose(this);
  }

  /** Tells the watcher that history has grown by `events`, until `revision`. */
  observe(revision: number, events: readonly StoreEvent[]): void {
    if (this.#wake === undefined) return;
    if (events.some((event) => event.entry.key.startsWith(this.#prefix))) this.#wake();
    else this.#position = revision;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchBatch, void> {
    try {
      while (!this.#closed) {
        const batch = this.#history.eventsAfter(this.#position, this.#prefix);
        this.#position = batch.revision;
        const caughtUp = batch.revision === this.#history.revision;
        if (batch.events.length > 0 || (caughtUp && this.#progressRequested)) {
          if (caughtUp) this.#progressRequested = false;
          yield batch;
        } else {
          await this.#growth();
        }
      }
    } finally {
      this.close();
    }
  }

  async #growth(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
