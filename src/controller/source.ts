// One API server that the controller follows: its objects into the model, addresses for its pods back to it. Within a source
// everything has its own names; sources know nothing of one another.
import type { ApiClient } from "../client/api-client.ts";
import type { EventSink } from "../client/event-recorder.ts";
import type { Log } from "../runtime/log.ts";
import { AddressWorker } from "./address-worker.ts";
import type { ControllerMetrics } from "./controller-metrics.ts";
import { ModelFeed } from "./model-feed.ts";
import type { AddressTimes } from "./network-keeper.ts";
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
/** Quarantine outlives what others may still remember of an address: DNS answers, connections, policies on their way. */
const defaultAddressTimes: AddressTimes = {
  quarantineMs: 60_000,
  orphanMs: 60_000,
  emptyMs: 600_000,
  claimMs: 600_000,
};

export interface SourceOptions extends SourceAccess {
  /** How long addresses rest, empty networks stay, and so on; what is absent is as usual. */
  readonly addressTimes: Partial<AddressTimes> | undefined;
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
  readonly #addresses: AddressWorker;
  readonly #watch: ObjectWatch;
  #isComplete = false;

  constructor(options: SourceOptions) {
    const { name, client, events, isAlone, inputs, onChange, metrics, log, addressTimes } = options;
    this.name = name;
    this.#model = new SourceModel({ name, isAlone, inputs });
    const times = { ...defaultAddressTimes, ...addressTimes };
    this.#addresses = new AddressWorker({
      client,
      times,
      events,
      onFailure: () => metrics.addressFailures.inc(),
      log,
    });
    const addresses = this.#addresses.controller;
    const feed = new ModelFeed({ compute: this.#model, addresses, events, log });
    this.#watch = new ObjectWatch({
      client,
      feed,
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
    return this.#addresses.pending;
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
    this.#addresses.start();
    await watching;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#addresses[Symbol.asyncDispose]();
  }
}
