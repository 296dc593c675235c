// One API server that the controller follows: its objects into the model, addresses for its pods back to it. Within a source
// everything has its own names; sources know nothing of one another.
import type { ApiClient } from "../client/api-client.ts";
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import { domainKind } from "../kinds/domain.ts";
import { namespaceKind } from "../kinds/namespace.ts";
import { nodeKind } from "../kinds/node.ts";
import type { Log } from "../runtime/log.ts";
import type { AddressFill } from "./address-controller.ts";
import { AddressWorker } from "./address-worker.ts";
import type { ControllerMetrics } from "./controller-metrics.ts";
import {
  clusterNetworkPolicyId,
  nameOfClusterNetworkPolicy,
} from "../kubernetes/cluster-network-policy.ts";
import { PriorityConflicts } from "../kubernetes/priority-conflicts.ts";
import type { HealthVerdict } from "../model/health-check.ts";
import { LoadBalancerFeed } from "./load-balancer-feed.ts";
import { LoadBalancerWorker } from "./load-balancer-worker.ts";
import { writeConditions } from "./conditions.ts";
import { renderDomainConditions } from "./domain-conditions.ts";
import { ModelFeed } from "./model-feed.ts";
import type { AddressTimes } from "./network-keeper.ts";
import { ObjectWatch, type Stripped, type WatchProgress } from "./object-watch.ts";
import { isNetworkReady, writeNetworkReady } from "./node-condition.ts";
import type { PolicyStatus } from "./policy-realisation.ts";
import { PolicyStatusQueue, type PolicyStatusTimings } from "./policy-status-queue.ts";
import { type PolicyStatusWriters, policyStatusWriters } from "./policy-status.ts";
import { type ModelInputs, SourceModel } from "./source-model.ts";
import type { VniClaims } from "./vni-claims.ts";

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
  /** How far a policy has come, by its name in the model. */
  readonly statusOf: (policy: string) => PolicyStatus;
  /** When to write on policies and nodes what has come of them; not at all when `false`. */
  readonly writesStatus: PolicyStatusTimings | false;
  readonly inputs: ModelInputs;
  /** VNIs of all sources' domains, by their names in the model. */
  readonly vnis: Pick<VniClaims, "set" | "othersOf">;
  /** When the node's agent was last heard, by the node's name in the model. */
  readonly lastHeardMs: (node: string) => number | undefined;
  /** Something was set in the model. */
  readonly onChange: () => void;
  readonly metrics: SourceMetrics;
  readonly log: Log;
}

export class Source implements AsyncDisposable {
  readonly name: string;
  readonly #model: SourceModel;
  readonly #addresses: AddressWorker;
  readonly #loadBalancers: LoadBalancerWorker;
  readonly #watch: ObjectWatch;
  readonly #feed: ModelFeed;
  readonly #statuses: PolicyStatusQueue | undefined;
  readonly #writers: PolicyStatusWriters;
  readonly #options: SourceOptions;
  /** Nodes whose condition was written, by uid: their news may be late. */
  readonly #readyNodes = new Set<string>();
  #isComplete = false;

  constructor(options: SourceOptions) {
    const { name, client, events, isAlone, inputs, onChange, metrics, log, addressTimes } = options;
    this.#options = options;
    this.name = name;
    const conflicts = new PriorityConflicts();
    this.#writers = policyStatusWriters(client, (policy) =>
      conflicts.of(clusterNetworkPolicyId(policy)).map(nameOfClusterNetworkPolicy),
    );
    if (options.writesStatus !== false) {
      this.#statuses = new PolicyStatusQueue({
        write: async (policy, isStarting) => await this.#writeStatus(policy, isStarting),
        onError: (policy, error) => log.warn({ policy, err: error }, "status is not written"),
        ...options.writesStatus,
      });
    }
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
    const changed = (): void => void (this.#isComplete && onChange());
    this.#loadBalancers = new LoadBalancerWorker({
      client,
      events,
      lastHeardMs: (node) => options.lastHeardMs(this.#model.idOf(node)),
      announce: (id, announcement) => {
        this.#model.setAnnouncement(id, announcement);
        changed();
      },
      domainOf: (namespace) => this.#feed.domainOf(namespace),
      setService: (id, service) => {
        this.#model.setService(id, service);
        changed();
      },
      setCheck: (id, check) => {
        this.#model.setCheck(id, check);
        changed();
      },
      log,
    });
    this.#feed = new ModelFeed({
      compute: this.#model,
      addresses,
      events,
      conflicts,
      onPolicy: (id) => this.policyChanged(id),
      onEndpoint: (key, endpoint) => this.#loadBalancers.members.setEndpoint(key, endpoint),
      onDomain: (domain, vni) => {
        options.vnis.set(this.#model.idOf(domain), vni);
        if (vni !== undefined) this.domainChanged(domain);
      },
      readNamespace: async (namespace) => await client.find(namespaceKind, { name: namespace }),
      onChange: () => this.#isComplete && onChange(),
      log,
    });
    this.#watch = new ObjectWatch({
      client,
      feed: this.#feed,
      loadBalancers: new LoadBalancerFeed(this.#loadBalancers),
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

  /** How long the API server has told nothing of each kind, not even that there is nothing. */
  get silencesMs(): Readonly<Record<string, number>> {
    return this.#watch.silencesMs;
  }

  /** How full its domains are, by their names in the model. */
  addressFill(): readonly AddressFill[] {
    const fill = this.#addresses.controller.fill();
    return fill.map((each) => ({ ...each, domain: this.#model.idOf(each.domain) }));
  }

  /** Pods and load balancers whose addresses are still to be given or taken back. */
  get pendingAddresses(): number {
    return this.#addresses.pending + this.#loadBalancers.pending;
  }

  /** Questions whose answers will say what goes out of the model. */
  get undecided(): number {
    return this.#feed.undecided;
  }

  /** A node tells what its checks have found. */
  nodeChecked(node: string, verdicts: readonly HealthVerdict[]): void {
    this.#loadBalancers.members.take(node, verdicts);
  }

  /** The status of a policy may be another. */
  policyChanged(id: string): void {
    this.#statuses?.add(id);
  }

  /** The status of a domain may be another. */
  domainChanged(name: string): void {
    this.#statuses?.add(`${domainKind.kind}/${name}`);
  }

  /** The node's switch has everything in force but what is named here. */
  nodeConfirmed(name: string, refusals: readonly string[]): void {
    const node = this.#watch.find("Node", undefined, name);
    if (node === undefined || this.#options.writesStatus === false) return;
    const { client, events, log } = this.#options;
    if (refusals.length > 0) {
      const regarding = subjectOf(nodeKind, node.metadata);
      const message = `its switch does not take: ${refusals.join("; ")}`;
      events.record({ regarding, type: "Warning", reason: "FlowsRefused", message });
    }
    if (isNetworkReady(node) || this.#readyNodes.has(node.metadata.uid)) return;
    this.#readyNodes.add(node.metadata.uid);
    writeNetworkReady(client, name, new Date()).catch((error: unknown) => {
      this.#readyNodes.delete(node.metadata.uid);
      log.warn({ node: name, err: error }, "the node's condition is not written");
    });
  }

  /** Follows the source until the signal is aborted. `onComplete` is called once, when all of it is in the model. */
  async run(signal: AbortSignal, onComplete: () => void): Promise<void> {
    const watching = this.#watch.run(signal);
    // A handler that throws is a bug; it must end the process and not leave it waiting.
    await Promise.race([this.#watch.synced, watching]);
    if (signal.aborted) return;
    this.#model.release();
    // Before any agent is told what there is: it would stop announcing what it finds missing.
    this.#loadBalancers.announcements.start();
    this.#isComplete = true;
    onComplete();
    this.#addresses.start();
    this.#loadBalancers.start();
    await watching;
  }

  async #writeStatus(id: string, isStarting: boolean): Promise<"done" | "later"> {
    const [kind = "", ...place] = id.split("/");
    const [name = "", namespace] = place.toReversed();
    const object = this.#watch.find(kind, namespace, name);
    if (kind === domainKind.kind) {
      if (object !== undefined) await this.#writeDomain(object);
      return "done";
    }
    const writer = this.#writers[kind];
    if (object === undefined || writer === undefined) return "done";
    const status = this.#options.statusOf(this.#model.idOf(id));
    if (isStarting && status.realised < status.nodes) return "later";
    await writer.write(object, status);
    return "done";
  }

  async #writeDomain(domain: Stripped): Promise<void> {
    const { client, events, vnis } = this.#options;
    const { metadata } = domain;
    const others = vnis.othersOf(this.#model.idOf(metadata.name));
    const wanted = renderDomainConditions(others);
    await writeConditions(client, domainKind, domain, { wanted, now: new Date() });
    const [{ message, reason }] = wanted;
    if (others.length === 0) return;
    const regarding = subjectOf(domainKind, metadata);
    events.record({ regarding, type: "Warning", reason: `Vni${reason}`, message });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#statuses?.[Symbol.asyncDispose]();
    await this.#addresses[Symbol.asyncDispose]();
    await this.#loadBalancers[Symbol.asyncDispose]();
  }
}
