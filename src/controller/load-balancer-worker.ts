// Runs the load balancers' address controller: holders many at a time, pools beside them, failures again.
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import { serviceKind } from "../kinds/service.ts";
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import type { KnownHolder } from "./address-wish.ts";
import { LoadBalancerController } from "./load-balancer-controller.ts";
import { type HolderReport, loadBalancerStore } from "./load-balancer-store.ts";

export interface LoadBalancerWorkerOptions {
  readonly client: ApiClient;
  readonly events: EventSink;
  readonly log: Log;
}

const holderConcurrency = 16;
/** What a pool says of itself may be so late: many holders come together. */
const poolDelayMs = 500;

export class LoadBalancerWorker implements AsyncDisposable {
  readonly controller: LoadBalancerController;
  readonly #options: LoadBalancerWorkerOptions;
  readonly #holders: WorkQueue;
  readonly #pools: WorkQueue;
  readonly #poolTimers = new Map<string, NodeJS.Timeout>();
  /** Holder → what was last said of it. */
  readonly #said = new Map<string, string>();
  /** What is to be looked at once everything is known; `undefined` after that. */
  #waiting: Set<string> | undefined = new Set();

  constructor(options: LoadBalancerWorkerOptions) {
    this.#options = options;
    const { client, log } = options;
    this.controller = new LoadBalancerController({
      store: loadBalancerStore(client),
      look: (what, key) => this.#look(what, key),
      onReport: (holder, report) => this.#report(holder, report),
    });
    this.#holders = new WorkQueue({
      reconcile: async (id) => await this.controller.reconcile(id),
      onError: (holder, err, attempt) => {
        const isRace = err instanceof StatusError && err.status.code === 409;
        log[isRace ? "debug" : "warn"]({ holder, attempt, err }, "load balancer's addresses");
      },
      concurrency: holderConcurrency,
    });
    this.#pools = new WorkQueue({
      reconcile: async (pool) => await this.controller.tellPool(pool),
      onError: (pool, err, attempt) => log.debug({ pool, attempt, err }, "pool's status"),
    });
  }

  /** Holders whose addresses are still to be given or taken back. */
  get pending(): number {
    return this.#holders.size;
  }

  /** Everything is known now. */
  start(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const id of waiting) this.#holders.add(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#poolTimers.values()) clearTimeout(timer);
    this.#waiting = new Set();
    await this.#holders[Symbol.asyncDispose]();
    await this.#pools[Symbol.asyncDispose]();
  }

  #look(what: "holder" | "pool", key: string): void {
    if (what === "pool") this.#lookAtPool(key);
    else if (this.#waiting) this.#waiting.add(key);
    else this.#holders.add(key);
  }

  #lookAtPool(pool: string): void {
    if (this.#poolTimers.has(pool)) return;
    const fire = (): void => {
      this.#poolTimers.delete(pool);
      // Before everything is known nobody can say what is given out.
      if (this.#waiting) this.#lookAtPool(pool);
      else this.#pools.add(pool);
    };
    this.#poolTimers.set(pool, setTimeout(fire, poolDelayMs).unref());
  }

  #report({ namespace, name, uid }: KnownHolder, report: HolderReport): void {
    const key = `${namespace}/${name} ${uid}`;
    const text = `${report.reason}: ${report.message}`;
    const before = this.#said.get(key);
    if (before === text) return;
    this.#said.delete(key);
    this.#said.set(key, text);
    const [oldest] = this.#said.keys();
    if (this.#said.size > mostSaid && oldest !== undefined) this.#said.delete(oldest);
    const isWell = report.isComplete && report.reason === "Assigned";
    const regarding = subjectOf(serviceKind, { namespace, name, uid });
    const type = isWell ? "Normal" : "Warning";
    const reason = isWell ? "AddressAssigned" : report.reason;
    this.#options.events.record({ regarding, type, reason, message: report.message });
  }
}

/** Holders of which is remembered what was said. */
const mostSaid = 10_000;
