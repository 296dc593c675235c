interface Waiting<Item> {
  readonly item: Item;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Joins calls into few runs: what is asked for while a run is in progress waits and goes into the next one together.
 * A switch with many ports takes as long for one new port as for a hundred.
 */
export class Batcher<Item> {
  readonly #run: (items: readonly Item[]) => Promise<void>;
  #waiting: Waiting<Item>[] = [];
  #running = false;

  constructor(run: (items: readonly Item[]) => Promise<void>) {
    this.#run = run;
  }

  /** Settles as the run that the item was part of; when a run of several fails, each item is tried alone. */
  async add(item: Item): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#waiting.push({ item, resolve: () => resolve(undefined), reject });
    if (!this.#running) void this.#drain();
    await promise;
  }

  async #drain(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#run(batch.map(({ item }) => item));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        if (batch.length === 1) batch[0]?.reject(error);
        else await this.#runOneByOne(batch);
      }
    }
    this.#running = false;
  }

  async #runOneByOne(batch: readonly Waiting<Item>[]): Promise<void> {
    for (const { item, resolve, reject } of batch) await this.#run([item]).then(resolve, reject);
  }
}
