// Runs what keeps load balancers' addresses given out and announced: holders many at a time, pools and announcements beside them,
// failures again.
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { loadBalancerKind } from "../kinds/load-balancer.ts";
import { serviceKind } from "../kinds/service.ts";
import type { Announcement } from "../model/announcement.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { VirtualService } from "../model/service.ts";
import type { Log } from "../runtime/log.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import { type KnownHolder, placeOfHolder } from "./address-wish.ts";
import { LoadBalancerController } from "./load-balancer-controller.ts";
import { type Election, Announcements } from "./announcements.ts";
import {
  type HolderReport,
  type LoadBalancerStore,
  loadBalancerStore,
} from "./load-balancer-store.ts";
import { LoadBalancerMembers } from "./load-balancer-members.ts";
import { NodeHealthWatch } from "./node-health.ts";

export interface LoadBalancerWorkerOptions {
  readonly client: ApiClient;
  readonly events: EventSink;
  /** When the node's agent was last heard, by performance.now(); `undefined` when it never was. */
  readonly lastHeardMs: (node: string) => number | undefined;
  readonly announce: (id: string, announcement: Announcement | undefined) => void;
  /** Name of the domain that a namespace belongs to. */
  readonly domainOf: (namespace: string) => string;
  readonly setService: (id: string, service: VirtualService | undefined) => void;
  readonly setCheck: (id: string, check: HealthCheck | undefined) => void;
  readonly log: Log;
}

const holderConcurrency = 16;
const statusConcurrency = 4;
/** What a pool says of itself may be so late: many holders come together. */
const poolDelayMs = 500;

export class LoadBalancerWorker implements AsyncDisposable {
  readonly controller: LoadBalancerController;
  readonly announcements: Announcements;
  readonly health: NodeHealthWatch;
  readonly members: LoadBalancerMembers;
  readonly #options: LoadBalancerWorkerOptions;
  readonly #holders: WorkQueue;
  readonly #pools: WorkQueue;
  readonly #store: LoadBalancerStore;
  /** Addresses whose announcement is to be written on them, and what is to be written. */
  readonly #announced: WorkQueue;
  readonly #elections = new Map<string, Election & { readonly atMs: number }>();
  /** LoadBalancers whose members' health is to be written on them. */
  readonly #memberStatuses: WorkQueue;
  readonly #poolTimers = new Map<string, NodeJS.Timeout>();
  /** Holder → what was last said of it. */
  readonly #said = new Map<string, string>();
  /** What is to be looked at once everything is known; `undefined` after that. */
  #waiting: Set<string> | undefined = new Set();
  readonly #waitingMembers = new Set<string>();

  constructor(options: LoadBalancerWorkerOptions) {
    this.#options = options;
    const { client, log, lastHeardMs, announce } = options;
    this.#store = loadBalancerStore(client);
    this.health = new NodeHealthWatch({
      nodes: () => this.announcements.nodes,
      lastHeardMs,
      onChange: (node) => {
        log.info({ node, health: this.health.of(node) }, "node's agent");
        this.announcements.healthChanged(node);
        this.members.nodesChanged();
      },
    });
    this.announcements = new Announcements({
      healthOf: (node) => this.health.of(node),
      announce,
      onElected: (id, election) => {
        this.#elections.set(id, { ...election, atMs: Date.now() });
        this.#announced.add(id);
      },
    });
    this.members = new LoadBalancerMembers({
      domainOf: options.domainOf,
      nodes: () => this.announcements.nodes,
      healthOf: (node) => this.health.of(node),
      setService: options.setService,
      setCheck: options.setCheck,
      onStatus: (key) => this.#lookAtMembers(key),
    });
    this.controller = new LoadBalancerController({
      store: this.#store,
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
    this.#memberStatuses = new WorkQueue({
      reconcile: async (key) => await this.#tellMembers(key),
      onError: (key, err, attempt) => log.debug({ key, attempt, err }, "members' status"),
      concurrency: statusConcurrency,
    });
    this.#announced = new WorkQueue({
      reconcile: async (id) => await this.#tellElection(id),
      onError: (address, err, attempt) => {
        log.warn({ address, attempt, err }, "who announces an address is not written on it");
      },
      concurrency: statusConcurrency,
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
    for (const key of this.#waitingMembers) this.#memberStatuses.add(key);
    this.#waitingMembers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#poolTimers.values()) clearTimeout(timer);
    this.#waiting = new Set();
    await this.#holders[Symbol.asyncDispose]();
    await this.#pools[Symbol.asyncDispose]();
    await this.#announced[Symbol.asyncDispose]();
    await this.#memberStatuses[Symbol.asyncDispose]();
    this.health[Symbol.dispose]();
  }

  #lookAtMembers(key: string): void {
    if (this.#waiting) this.#waitingMembers.add(key);
    else this.#memberStatuses.add(key);
  }

  async #tellMembers(key: string): Promise<void> {
    const status = this.members.statusOf(key);
    if (status === undefined) return;
    await this.#store.writeMembers(placeOfHolder(`LoadBalancer ${key}`), status);
  }

  async #tellElection(id: string): Promise<void> {
    const election = this.#elections.get(id);
    if (election === undefined) return;
    const { node, message, atMs } = election;
    const since = `${new Date(atMs).toISOString().slice(0, 19)}Z`;
    const status = node === undefined ? { message: message ?? "" } : { node, since };
    await this.#store.writeAddressStatus(id, status);
    if (this.#elections.get(id) === election) this.#elections.delete(id);
    this.#recordElection(id, election);
  }

  /** Tells everybody who has the address. */
  #recordElection(id: string, { node, message = "" }: Election): void {
    const { events } = this.#options;
    for (const { kind, namespace, name, uid } of this.controller.holdersOf(id)) {
      const regarding = subjectOf(kindOf(kind), { namespace, name, uid });
      const { address } = this.controller.addressOf(id) ?? { address: id };
      if (node === undefined) {
        const text = `${address} is announced by no node: ${message}`;
        events.record({ regarding, type: "Warning", reason: "NotAnnounced", message: text });
      } else {
        const text = `node ${node} announces ${address}`;
        events.record({ regarding, type: "Normal", reason: "Announced", message: text });
      }
    }
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

  #report({ kind, namespace, name, uid }: KnownHolder, report: HolderReport): void {
    const key = `${namespace}/${name} ${uid}`;
    const text = `${report.reason}: ${report.message}`;
    const before = this.#said.get(key);
    if (before === text) return;
    this.#said.delete(key);
    this.#said.set(key, text);
    const [oldest] = this.#said.keys();
    if (this.#said.size > mostSaid && oldest !== undefined) this.#said.delete(oldest);
    const isWell = report.isComplete && report.reason === "Assigned";
    const regarding = subjectOf(kindOf(kind), { namespace, name, uid });
    const type = isWell ? "Normal" : "Warning";
    const reason = isWell ? "AddressAssigned" : report.reason;
    this.#options.events.record({ regarding, type, reason, message: report.message });
  }
}

function kindOf(kind: string): Pick<KindDefinition, "group" | "version" | "kind"> {
  return kind === loadBalancerKind.kind ? loadBalancerKind : serviceKind;
}

/** Holders of which is remembered what was said. */
const mostSaid = 10_000;
