// One writer for one object that many want to change at once: what comes while a write is under way goes into the next one,
// so that a thousand changes cost a few writes. Every write names the version that it was made from.
import { StatusError } from "../apimachinery/errors.ts";
import { isNewer } from "./resource-version.ts";

/** The object as it stands in the store. */
export interface Versioned<L> {
  /** metadata.resourceVersion */
  readonly version: string;
  readonly ledger: L;
}

export interface LedgerAccess<L> {
  /** `undefined` when the object is gone. */
  read(): Promise<Versioned<L> | undefined>;
  /** Fails with 409 when the object has changed since that version, with 404 when it is gone. */
  write(version: string, ledger: L): Promise<Versioned<L>>;
}

export interface Changeable<L> {
  changed: boolean;
  clone(): L;
}

/** The object that keeps the ledger has been deleted. */
export class LedgerGoneError extends Error {
  override readonly name = "LedgerGoneError";
}

interface Submission<L> {
  readonly apply: (draft: L) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class LedgerWriter<L extends Changeable<L>> {
  readonly #access: LedgerAccess<L>;
  #known: Versioned<L> | undefined;
  #queue: Submission<L>[] = [];
  #writing = false;

  constructor(access: LedgerAccess<L>, known: Versioned<L> | undefined) {
    this.#access = access;
    this.#known = known;
  }

  /** As it was last read or written. */
  get ledger(): L | undefined {
    return this.#known?.ledger;
  }

  get version(): string | undefined {
    return this.#known?.version;
  }

  /** Whether somebody waits for a write. */
  get busy(): boolean {
    return this.#writing || this.#queue.length > 0;
  }

  /** News of the object, which may be older than what this writer has written itself. @returns whether it was new */
  observe(news: Versioned<L>): boolean {
    if (this.#known && !isNewer(news.version, this.#known.version)) return false;
    this.#known = news;
    return true;
  }

  /**
   * Resolves to what `apply` returned once its change is stored. It may be called several times, each time on another draft,
   * when others have changed the object meanwhile; the last time counts. After a rejection the change may have been stored.
   */
  async submit<R>(apply: (draft: L) => R): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    let done: (() => void) | undefined;
    const change = (draft: L): void => {
      const result = apply(draft);
      done = () => resolve(result);
    };
    this.#queue.push({ apply: change, resolve: () => done?.(), reject });
    if (!this.#writing) void this.#write();
    return await promise;
  }

  async #write(): Promise<void> {
    this.#writing = true;
    // All that is submitted in this turn of the event loop goes into the first write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      try {
        await this.#writeBatch(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = false;
  }

  async #writeBatch(batch: readonly Submission<L>[]): Promise<void> {
    for (;;) {
      const known = this.#known ?? (await this.#access.read());
      if (known === undefined) throw new LedgerGoneError("the object has been deleted");
      this.#known = known;
      const draft = known.ledger.clone();
      for (const { apply } of batch) apply(draft);
      if (!draft.changed) return;
      try {
        this.observe(await this.#access.write(known.version, draft));
        return;
      } catch (error) {
        // Whatever happened: what is stored is not known any more.
        this.#known = undefined;
        if (!(error instanceof StatusError && error.status.code === 409)) throw goneOr(error);
      }
    }
  }
}

function goneOr(error: unknown): unknown {
  const gone = error instanceof StatusError && error.status.code === 404;
  return gone ? new LedgerGoneError(error.message) : error;
}
