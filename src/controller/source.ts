// One API server that the controller follows: its objects into the model, addresses for its pods back to it. Within a source
// everything has its own names; sources know nothing of one another.
import type { ApiClient } from "../client/api-client.ts";
import type { EventSink } from "../client/event-recorder.ts";
import { AddressSpace } from "../ipam/address-space.ts";
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import { AddressController } from "./address-controller.ts";
import { addressStore } from "./address-store.ts";
import type { ControllerMetrics } from "./controller-metrics.ts";
import { ModelFeed } from "./model-feed.ts";
import { ObjectWatch, type WatchProgress } from "./object-watch.ts";
import { type ModelInputs, SourceModel } from "./source-model.ts";

/** Where a source is read and written. */
export interface SourceAccess {
  /** Empty for the first source. */
  readonly name: string;
  readonly client: ApiClient;
  /** Told of what goes wrong with an object. */
  readonly events: EventSink;
}

type SourceMetrics = Pick<ControllerMetrics, "watchEvents" | "watchFailures" | "addressFailures">;

export interface SourceOptions extends SourceAccess {
  readonly isAlone: boolean;
  readonly inputs: ModelInputs;
  /** Something was set in the model. */
  readonly onChange: () => void;
  readonly metrics: SourceMetrics;
  readonly log: Log;
}

export class Source implements AsyncDisposable {
  readonly name: string;
  readonly #model: SourceModel;
  readonly #queue: WorkQueue;
  readonly #watch: ObjectWatch;
  readonly #feed: ModelFeed;
  #isComplete = false;

  constructor(options: SourceOptions) {
    const { name, client, events, isAlone, inputs, onChange, metrics, log } = options;
    this.name = name;
    this.#model = new SourceModel({ name, isAlone, inputs });
    const space = new AddressSpace();
    const addresses = new AddressController(space, addressStore(client));
    this.#queue = new WorkQueue({
      reconcile: async (key) => await addresses.reconcile(key),
      onError: (pod, error, attempt) => {
        metrics.addressFailures.inc();
        log.warn({ pod, attempt, err: error }, "addresses");
      },
    });
    this.#feed = new ModelFeed({
      compute: this.#model,
      addresses,
      space,
      events,
      log,
      // Before everything is known a free address cannot be told from a taken one.
      onPod: (key) => this.#isComplete && this.#queue.add(key),
    });
    this.#watch = new ObjectWatch({
      client,
      feed: this.#feed,
      events,
      log,
      metrics,
      onChange: () => this.#isComplete && onChange(),
    });
  }

  /** Whether all of the source is in the model. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** How far each kind has been followed. */
  get progress(): Readonly<Record<string, WatchProgress>> {
    return this.#watch.progress;
  }

  /** Pods whose addresses are still to be allocated or given back. */
  get pendingAddresses(): number {
    return this.#queue.size;
  }

  /** Follows the source until the signal is aborted. `onComplete` is called once, when all of it is in the model. */
  async run(signal: AbortSignal, onComplete: () => void): Promise<void> {
    const watching = this.#watch.run(signal);
    // A handler that throws is a bug; it must end the process and not leave it waiting.
    await Promise.race([this.#watch.synced, watching]);
    if (signal.aborted) return;
    this.#model.release();
    this.#isComplete = true;
    onComplete();
    for (const key of this.#feed.keys()) this.#queue.add(key);
    await watching;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
  }
}
