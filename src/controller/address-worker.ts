// Runs the address controller: pods many at a time, networks and domains beside them, and what is due later when it is due.
import type { ApiClient } from "../client/api-client.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import { IpamRefusedError, IpamUnavailableError } from "../client/ipam-webhook.ts";
import { domainKind } from "../kinds/domain.ts";
import { networkKind } from "../kinds/network.ts";
import { podKind } from "../kinds/pod.ts";
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import { AddressController } from "./address-controller.ts";
import { addressStore } from "./address-store.ts";
import { AddressRequestError, AddressesExhaustedError, NameTakenError } from "./errors.ts";
import type { KnownNetwork } from "./known-objects.ts";
import type { AddressTimes } from "./network-keeper.ts";

export interface AddressWorkerOptions {
  readonly client: ApiClient;
  readonly times: AddressTimes;
  readonly events: EventSink;
  /** Told of each attempt that failed. */
  readonly onFailure: () => void;
  readonly log: Log;
}

/** Pods worked on at once. They share the writes of their networks' ledgers: more pods at once are fewer writes. */
const podConcurrency = 64;
const externalConcurrency = 16;
const upkeepConcurrency = 8;
const healthIntervalMs = 15_000;
/** Longest wait of one timer. */
const longestMs = 2 ** 31 - 1;

interface Due {
  readonly timer: NodeJS.Timeout;
  readonly atMs: number;
}

export class AddressWorker implements AsyncDisposable {
  readonly controller: AddressController;
  readonly #options: AddressWorkerOptions;
  readonly #pods: WorkQueue;
  /** Pods for whose addresses somebody else is asked, who may take long: they keep no others waiting. */
  readonly #external: WorkQueue;
  readonly #upkeep: WorkQueue;
  /** Domains whose external IPAM was not well when it was asked last. */
  readonly #unwell = new Set<string>();
  readonly #due = new Map<string, Due>();
  /** What is to be looked at once everything is known; `undefined` after that. */
  #waiting: Set<string> | undefined = new Set();

  constructor(options: AddressWorkerOptions) {
    this.#options = options;
    const { client, times, log } = options;
    this.controller = new AddressController({
      store: addressStore(client),
      times,
      now: Date.now,
      onUnusable: (network, reason) => this.#tellUnusable(network, reason),
      look: (what, key, delayMs) => this.#look(`${what} ${key}`, delayMs),
    });
    const pods = {
      reconcile: async (key: string) => await this.controller.reconcile(key),
      onError: (key: string, error: unknown, attempt: number) => this.#failed(key, error, attempt),
    };
    this.#pods = new WorkQueue({ ...pods, concurrency: podConcurrency });
    this.#external = new WorkQueue({ ...pods, concurrency: externalConcurrency });
    this.#upkeep = new WorkQueue({
      reconcile: async (work) => await this.#keepUp(work),
      onError: (work, error, attempt) => log.warn({ work, attempt, err: error }, "addresses"),
      concurrency: upkeepConcurrency,
    });
  }

  /** Pods whose addresses are still to be allocated or given back. */
  get pending(): number {
    return this.#pods.size + this.#external.size;
  }

  /** Everything is known now: before that a free address cannot be told from a taken one. */
  start(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const work of waiting) this.#look(work, 0);
  }

  #look(work: string, delayMs: number): void {
    if (this.#waiting) {
      this.#waiting.add(work);
      return;
    }
    if (delayMs > 0) {
      this.#lookLater(work, delayMs);
      return;
    }
    const [what, key] = split(work);
    if (what === "pod") (this.controller.isExternal(key) ? this.#external : this.#pods).add(key);
    else this.#upkeep.add(work);
  }

  #lookLater(work: string, delayMs: number): void {
    const atMs = performance.now() + delayMs;
    const due = this.#due.get(work);
    if (due && due.atMs <= atMs) return;
    clearTimeout(due?.timer);
    const fire = (): void => {
      this.#due.delete(work);
      this.#look(work, 0);
    };
    // A tick later, so that what is due in so many milliseconds is due then.
    const timer = setTimeout(fire, Math.min(delayMs + 1, longestMs)).unref();
    this.#due.set(work, { timer, atMs });
  }

  async #keepUp(work: string): Promise<void> {
    const [what, key] = split(work);
    if (what === "network") await this.controller.reconcileNetwork(key);
    else if (what === "health") await this.#checkHealth(key);
    else await this.controller.tellUsage(key);
  }

  /** Says on the Domain when its external IPAM stops or begins to be well. */
  async #checkHealth(domain: string): Promise<void> {
    if (!this.controller.hasExternal(domain)) {
      this.#unwell.delete(domain);
      return;
    }
    const { events, log } = this.#options;
    const regarding = subjectOf(domainKind, {
      name: domain,
      uid: this.controller.domainUid(domain),
    });
    try {
      await this.controller.checkHealth(domain);
      if (this.#unwell.delete(domain)) {
        const message = "the external IPAM is well again";
        events.record({ regarding, type: "Normal", reason: "IpamWell", message });
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      log.warn({ domain, error: message }, "the external IPAM is not well");
      this.#unwell.add(domain);
      events.record({ regarding, type: "Warning", reason: "IpamUnwell", message });
    }
    this.#look(`health ${domain}`, healthIntervalMs);
  }

  #tellUnusable({ id, uid }: KnownNetwork, reason: string): void {
    const { events, log } = this.#options;
    log.warn({ network: id, reason }, "no address is given out of a network");
    const [namespace = "", name = ""] = id.split("/");
    const regarding = subjectOf(networkKind, { namespace, name, uid });
    const message = `no address is given out of the network: ${reason}`;
    events.record({ regarding, type: "Warning", reason: "NetworkNotUsed", message });
  }

  #failed(key: string, error: unknown, attempt: number): void {
    const { events, log, onFailure } = this.#options;
    onFailure();
    log.warn({ pod: key, attempt, err: error }, "addresses");
    const uid = this.controller.pod(key)?.uid;
    const reason = reasonOf(error);
    if (uid === undefined || reason === undefined || !(error instanceof Error)) return;
    const [namespace = "", name = ""] = key.split("/");
    const regarding = subjectOf(podKind, { namespace, name, uid });
    events.record({ regarding, type: "Warning", reason, message: error.message });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting = new Set();
    for (const { timer } of this.#due.values()) clearTimeout(timer);
    this.#due.clear();
    const queues = [this.#pods, this.#external, this.#upkeep];
    await Promise.all(queues.map((queue) => queue[Symbol.asyncDispose]()));
    await this.controller[Symbol.asyncDispose]();
  }
}

function split(work: string): [what: string, key: string] {
  const space = work.indexOf(" ");
  return [work.slice(0, space), work.slice(space + 1)];
}

/** What an event says in one word; `undefined` for what is no news for the pod's owner. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof AddressRequestError) return "AddressRefused";
  if (error instanceof AddressesExhaustedError) return "AddressesExhausted";
  if (error instanceof NameTakenError) return "EndpointNameTaken";
  if (error instanceof IpamRefusedError) return "IpamRefused";
  if (error instanceof IpamUnavailableError) return "IpamUnavailable";
  return undefined;
}
