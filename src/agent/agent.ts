// The node agent: joins what a controller tells, what the node's switch has and what is attached to it.
//
//   controller ---> ControllerLink --> NodeState --> FlowReconciler --> OpenFlow
//                                         ^ facts
//   local socket -> Attachments ----> SwitchDatabase <--> OVSDB
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { sourceOf } from "../model/source-name.ts";
import type { LocalDelta } from "../pipeline/fact.ts";
import { aborted, pause, unlessAborted } from "../runtime/lifecycle.ts";
import type { Log } from "../runtime/log.ts";
import type { Metrics } from "../runtime/metrics.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import type { LocalReply, LocalRequest } from "../southbound/attachment.ts";
import type { Ack } from "../southbound/messages.ts";
import type { Delta } from "../southbound/resources.ts";
import { AffinityClock } from "./affinity-clock.ts";
import { AgentMetrics } from "./agent-metrics.ts";
import { type ViewedParts, readingsOf, statusOf, unavailabilityOf } from "./agent-view.ts";
import { Attachments } from "./attach/attachments.ts";
import { installConflist, installExecutable } from "./attach/cni-installer.ts";
import { CniService } from "./attach/cni-service.ts";
import type { AgentConfig } from "./config.ts";
import { ConnectionReview, mayRevoke } from "./connections/connection-review.ts";
import { type ConnectionTable, openConnections } from "./connections/connection-table.ts";
import { findControlSocket } from "./control-socket.ts";
import { ControllerDirectory } from "./controller-directory.ts";
import { type Arrival, ControllerLink } from "./controller-link.ts";
import { type Duty, type Review, type StackDuty, errorsOf } from "./duty.ts";
import { FlowReconciler } from "./flows/flow-reconciler.ts";
import { GatewayKeeper } from "./node/gateway-keeper.ts";
import { HealthChecks } from "./load-balancing/health-checks.ts";
import { guardKernel } from "./node/kernel-guard.ts";
import { KernelSettings, kernelSettingsFile } from "./node/kernel-settings.ts";
import { LoadBalancing } from "./load-balancing/load-balancing.ts";
import { listenLocally } from "./local-server.ts";
import { NameLearning } from "./dns/name-learning.ts";
import { NodeInspection } from "./node/node-inspection.ts";
import { NodeKeeper } from "./node/node-keeper.ts";
import { NodeServices } from "./node/node-services.ts";
import { NodeState } from "./node-state.ts";
import { watchNode } from "./node/node-watch.ts";
import { followFlows } from "./flows/openflow-link.ts";
import { PendingRequests } from "./attach/pending-requests.ts";
import { PortFacts } from "./attach/port-facts.ts";
import { rejectPacket } from "./connections/rejection.ts";
import { Readiness } from "./attach/readiness.ts";
import { describeRefusals } from "./connections/refusal.ts";
import { twoRoundsMs } from "./flows/revalidation.ts";
import { StateFile } from "./state-file.ts";
import { SwitchDatabase } from "./switch-database.ts";
import { TunnelPeers } from "./node/tunnel-peers.ts";

/** An answer that waits longer for the switch goes on without having been confirmed: it only lets less through. */
const answerPatienceMs = 2_000;

/** After this long what the node's own stack does not do is an error of its domain, and the rest is confirmed. */
const gatewayTimeoutMs = 10_000;

export class Agent {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #file: StateFile;
  readonly #state: NodeState;
  readonly #flows = new FlowReconciler();
  readonly #database: SwitchDatabase;
  readonly #gateway: GatewayKeeper;
  readonly #keeper: NodeKeeper;
  readonly #services: NodeServices;
  readonly #balancing: LoadBalancing;
  readonly #link: ControllerLink;
  readonly #readiness: Readiness;
  readonly #attachments: Attachments;
  readonly #cni: CniService;
  readonly #pending: PendingRequests;
  readonly #names: NameLearning;
  readonly #connections: ConnectionTable;
  readonly #review: ConnectionReview;
  readonly #health: HealthChecks;
  readonly #duties: WorkQueue<Duty>;
  readonly #reviews: WorkQueue<Review>;
  readonly #peers = new TunnelPeers();
  readonly #metrics = new AgentMetrics(() => readingsOf(this.#view));
  readonly #failure = Promise.withResolvers<never>();
  /** Settles when what was noted while no agent ran is done. */
  readonly #prepared = Promise.withResolvers<void>();
  readonly #facts: PortFacts;
  #flowsMayChange = false;
  /** Whether connections may be tracked that no rule admits any more: after a start nobody knows. */
  #reviewDue = true;
  /** Settles when the latest review that was due is over. */
  #reviewed: Promise<void> = Promise.resolve();
  #stragglers: NodeJS.Timeout | undefined;

  /** @throws {Error} when the state directory cannot be used. */
  constructor(config: AgentConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    const { node } = config;
    this.#file = StateFile.open(join(config.stateDir, "agent.db"), (err, keptAs) =>
      log.error({ err, keptAs }, "the state file cannot be read; starting without it"),
    );
    this.#state = new NodeState(node, this.#file, (err) =>
      log.error({ err }, "the state cannot be stored"),
    );
    this.#database = new SwitchDatabase(config, log);
    this.#facts = this.#openFacts();
    const settings = new KernelSettings(join(config.stateDir, kernelSettingsFile));
    this.#gateway = new GatewayKeeper(config, this.#state, settings);
    const parts = { config, database: this.#database, gateway: this.#gateway };
    const inspection = new NodeInspection(parts);
    this.#link = new ControllerLink({
      node,
      directory: new ControllerDirectory(config.access, log),
      log,
      onFollowing: () => this.#metrics.streams.inc(),
      onFailure: () => this.#metrics.streamFailures.inc(),
      have: () => this.#state.digests(),
      onDelta: async (delta, arrival) => await this.#take(delta, arrival),
    });
    this.#readiness = new Readiness({
      node,
      state: this.#state,
      flows: this.#flows,
      controller: () => this.#link.controller,
    });
    this.#attachments = new Attachments({
      file: this.#file,
      log,
      metrics: this.#metrics,
      database: this.#database,
      readiness: this.#readiness,
      mtu: async () => (await this.#gateway.underlay()).endpointMtu,
      checksumInKernel: () => inspection.checksumInKernel,
    });
    this.#services = new NodeServices(config, this.#gateway);
    this.#balancing = new LoadBalancing({ ...parts, state: this.#state, link: this.#link, log });
    const tended = { ...parts, services: this.#services, attachments: this.#attachments };
    this.#keeper = new NodeKeeper({ ...tended, log, inspection });
    this.#pending = new PendingRequests({ folder: `${config.socket}.pending`, log });
    this.#cni = new CniService({
      source: sourceOf(node),
      attachments: this.#attachments,
      pending: this.#pending,
      metrics: this.#metrics,
      unavailable: () => unavailabilityOf(this.#view),
      log,
    });
    const control = (): string => findControlSocket(config.rundir);
    this.#connections = openConnections(config, () => inspection.version, control);
    this.#names = this.#openNames();
    const isHealthy = (): boolean => this.unready().length === 0;
    this.#health = new HealthChecks({ ...config, isHealthy, log });
    const seen = { state: this.#state, table: this.#connections, lookups: this.#names.lookups };
    this.#review = new ConnectionReview({ ...seen, control, log });
    const onError = this.#noteFailure.bind(this);
    this.#duties = new WorkQueue<Duty>({ reconcile: this.#perform.bind(this), onError });
    this.#reviews = new WorkQueue<Review>({ reconcile: this.#look.bind(this), onError });
  }

  #noteFailure(duty: Duty | Review, err: unknown, attempt: number): void {
    this.#metrics.dutyFailures.inc({ duty });
    if (attempt === 1) this.#log.warn({ err, duty }, "failed; trying again");
  }

  get #view(): ViewedParts {
    const [link, state, flows] = [this.#link, this.#state, this.#flows];
    const [database, keeper, duties] = [this.#database, this.#keeper, this.#duties];
    const [{ dns }, balancing] = [this.#names, this.#balancing];
    const connections = this.#connections;
    const parts = { link, state, flows, database, keeper, duties, dns, connections, balancing };
    return { node: this.#config.node, ...parts };
  }
  get metrics(): Metrics {
    return this.#metrics.metrics;
  }

  /** What keeps the agent from enforcing and attaching; empty when nothing does. Without a controller it does both. */
  unready(): readonly string[] {
    const unavailable = unavailabilityOf(this.#view);
    return unavailable === undefined ? [] : [unavailable.reason];
  }

  /** Runs until `stopped` is aborted. Flows, ports and interfaces stay as they are. */
  async run(stopped: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([stopped, failed.signal]);
    const { socket, rundir, bridge, node } = this.#config;
    const log = this.#log;
    this.#flows.change(this.#state.load());
    this.#services.update({ upserts: this.#state.all("service"), deletes: [] });
    this.#names.restore();
    using clock = new AffinityClock(this.#state, (delta) => this.#applyLocal(delta));
    clock.start();
    this.#health.restore(this.#state);
    this.#database.on("due", () => this.#due("bridge"));
    this.#database.on("ports", (names) => {
      this.#applyFacts(this.#facts.update(names, this.#database.ports()));
    });
    await mkdir(dirname(socket), { recursive: true });
    // The dummy datapath has ports, but no network interfaces behind them.
    const hasInterfaces = this.#config.datapathType !== "dummy";
    if (hasInterfaces) await guardKernel();
    await this.#prepareCni();
    this.#prepared.resolve();
    const server = await listenLocally(socket, log, async (request, cancelled) =>
      this.#handle(request, cancelled),
    );
    log.info({ node, complete: this.#state.complete }, "started");
    try {
      await Promise.all([
        this.#link.run(signal),
        followFlows(join(rundir, `${bridge}.mgmt`), this.#flows, {
          log,
          signal,
          onBundle: (durationMs) => this.#metrics.bundle.observe(durationMs / 1000),
          onConnect: (client) => {
            this.#metrics.connected(client);
            this.#peers.connected(client);
            this.#review.connected(client);
            this.#names.connected(client);
            this.#due("gateway");
            void this.#installOnceConfirmed(signal);
          },
          onPacket: (packet, client) => {
            if (!rejectPacket(packet, client)) this.#names.take(packet);
          },
          beforeClose: async () => await this.#names.dns.leave(),
        }),
        hasInterfaces ? watchNode(() => this.#due("node"), signal) : undefined,
        Promise.race([aborted(signal), this.#failure.promise]),
      ]);
    } finally {
      failed.abort();
      await server.close();
      this.#pending[Symbol.dispose]();
      await this.#health[Symbol.asyncDispose]();
      await rm(socket, { force: true });
      clearTimeout(this.#stragglers);
      await this.#reviews[Symbol.asyncDispose]();
      await this.#duties[Symbol.asyncDispose]();
      await this.#balancing[Symbol.asyncDispose]();
      await this.#database[Symbol.asyncDispose]();
      this.#peers[Symbol.dispose]();
      await this.#names[Symbol.asyncDispose]();
      this.#file.close();
      log.info("stopped");
    }
  }

  /**
   * Takes a controller's delta in at once. Settles when it is in force: confirmed by the switch, with the node's way into
   * the overlay, and with nothing passing any more that it takes away. A later delta never settles before an earlier one,
   * for its confirmation is taken for both.
   */
  async #take(delta: Delta, { completes, applied, signal }: Arrival): Promise<Ack["errors"]> {
    const realised = this.#metrics.realisation.startTimer();
    this.#reviewDue ||= mayRevoke(delta, this.#state);
    this.#flows.change(this.#orFail(() => this.#state.applyResources(delta, completes)));
    // An endpoint may be for another object now than the container that has its port.
    const endpoints = [...delta.upserts, ...delta.deletes].filter((one) => one.kind === "endpoint");
    this.#applyFacts(this.#facts.recheck(endpoints.map(({ id }) => id)));
    const { version } = this.#flows;
    this.#allowChanges();
    this.#readiness.changed();
    this.#names.update(delta);
    this.#health.update(delta);
    const concernsGateway = [...delta.upserts, ...delta.deletes].some(
      ({ kind }) => kind === "domain" || kind === "node",
    );
    if (concernsGateway) this.#updatePeers();
    this.#balancing.take(delta, completes);
    const concernsServices = this.#services.update(delta) || concernsGateway;
    await this.#flows.confirmed(version, signal);
    applied();
    if (this.#reviewDue && this.#state.complete) {
      this.#reviewDue = false;
      this.#reviewed = this.#reviews.perform("connections");
    }
    const gatewayErrors = concernsGateway ? await this.#errorsOf("gateway", signal) : [];
    const serviceErrors = concernsServices ? await this.#errorsOf("services", signal) : [];
    await unlessAborted(this.#reviewed, signal);
    realised();
    return [
      ...this.#state.problems(),
      ...describeRefusals(this.#flows.refused, this.#state.numbers),
      ...gatewayErrors,
      ...serviceErrors,
    ];
  }

  /** Has the node's own stack do its part; what cannot be done is an error of its domain. */
  async #errorsOf(duty: StackDuty, signal: AbortSignal): Promise<Ack["errors"]> {
    const isDone = await this.#succeeds(duty, signal);
    return isDone ? [] : errorsOf(duty, this.#config.gatewayDomain);
  }

  /** Whether it is done in time; it goes on in any case. */
  async #succeeds(duty: Duty, signal: AbortSignal): Promise<boolean> {
    const made = this.#duties.perform(duty).then(() => true);
    const late = pause(gatewayTimeoutMs, signal).then(() => false);
    const succeeded = await Promise.race([made, late]);
    signal.throwIfAborted();
    return succeeded;
  }

  /** @returns the version to wait for. */
  #applyLocal(delta: LocalDelta): number {
    return this.#flows.change(this.#orFail(() => this.#state.applyLocal(delta)));
  }

  #applyFacts(difference: LocalDelta): void {
    const changed = [...difference.upserts, ...difference.deletes];
    if (changed.length > 0) {
      this.#applyLocal(difference);
    }
    if (changed.some(({ kind }) => kind === "tunnel")) this.#updatePeers();
    this.#allowChanges();
  }

  #openFacts(): PortFacts {
    return new PortFacts({
      gatewayDomain: this.#config.gatewayDomain,
      uidsOf: (id) => this.#state.uidsOf(id),
    });
  }

  #openNames(): NameLearning {
    return new NameLearning({
      config: this.#config,
      state: this.#state,
      file: this.#file,
      log: this.#log,
      apply: async (delta) => {
        const version = this.#applyLocal(delta);
        await this.#flows.confirmed(version, AbortSignal.timeout(answerPatienceMs));
      },
      endpointAt: (ofport) => this.#facts.endpointAt(ofport),
      onEnded: () => this.#reviews.add("connections"),
      metrics: this.#metrics.metrics,
      onDnsDue: () => this.#due("dns"),
    });
  }

  #updatePeers(): void {
    const others = this.#state.all("node").filter(({ id }) => id !== this.#config.node);
    const addresses = others.flatMap((node) => node.addresses.slice(0, 1));
    this.#peers.update(this.#facts.tunnel, addresses);
  }

  /** Before resources and ports are both known, flows that are still needed would be taken for surplus. */
  #allowChanges(): void {
    if (!this.#state.complete || !this.#database.ready || this.#flowsMayChange) return;
    this.#flowsMayChange = true;
    this.#flows.enable();
  }

  /** Runtimes look for the plugin's configuration: not before the switch goes by what is known. */
  async #installOnceConfirmed(signal: AbortSignal): Promise<void> {
    await this.#flows.confirmed(0, signal).catch(() => undefined);
    if (!signal.aborted) this.#due("cni");
  }

  /**
   * What fails here leaves the node's state half changed. The agent ends: started again, it builds everything from the
   * file anew, and until then the switch goes on with the flows that it has.
   */
  #orFail<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      this.#failure.reject(error);
      throw error;
    }
  }

  #due(duty: Duty): void {
    this.#duties.add(duty);
  }

  async #perform(duty: Duty): Promise<void> {
    switch (duty) {
      case "bridge": {
        this.#due("node");
        const bridge = await this.#database.ensure(await this.#gateway.ports());
        // The dummy datapath has ports, but no network interfaces behind them.
        if (this.#config.datapathType !== "dummy") {
          // Interfaces that went while no agent ran must be gone before their ports are looked for.
          await this.#prepared.promise;
          await this.#attachments.recover(bridge);
        }
        this.#due("gateway");
        break;
      }
      case "gateway":
        if (!this.#database.ready) break;
        await this.#keeper.applyGateway();
        this.#due("node");
        break;
      case "services":
        if (this.#database.ready) await this.#services.applyChanges();
        break;
      case "node":
        await this.#keeper.tend();
        this.#balancing.nodeChanged();
        this.#due("dns");
        break;
      case "dns":
        await this.#names.dns.tend();
        break;
      case "cni": {
        const { cni } = this.#config;
        if (cni !== undefined && unavailabilityOf(this.#view) === undefined)
          await installConflist(cni);
        break;
      }
    }
  }

  async #look(review: Review): Promise<void> {
    // The dummy datapath tracks connections only for those who look into it by themselves.
    if (this.#config.datapathType === "dummy") return;
    if (review === "stragglers") return await this.#review.cut();
    await this.#review.run();
    this.#stragglers ??= setTimeout(() => {
      this.#stragglers = undefined;
      this.#reviews.add("stragglers");
    }, twoRoundsMs);
  }

  async #handle(request: LocalRequest, cancelled: AbortSignal): Promise<LocalReply> {
    switch (request.type) {
      case "attach":
        return await this.#attachments.attach(request, cancelled);
      case "detach":
        return await this.#attachments.detach(request);
      case "cni":
        return await this.#cni.answer(request, cancelled);
      case "status":
        return statusOf(this.#view);
    }
  }

  /** Before the socket is there: a container that went meanwhile is not attached any more for those who ask. */
  async #prepareCni(): Promise<void> {
    const { cni } = this.#config;
    if (cni !== undefined) await installExecutable(cni);
    await this.#pending.start(
      async (attachment) => await this.#attachments.forget(attachment),
      async ({ container, interface: name }) => {
        await this.#attachments.detach({ type: "detach", container, interface: name });
      },
    );
  }
}
