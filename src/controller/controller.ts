// The SDN controller: follows its sources, computes what each node must know, tells the agents.
import { randomUUID } from "node:crypto";
import { Compute } from "../compute/graph.ts";
import type { Log } from "../runtime/log.ts";
import type { Metrics } from "../runtime/metrics.ts";
import { MessageServer } from "../runtime/message-server.ts";
import type { StreamAddress, TlsCredentials } from "../runtime/stream-address.ts";
import type { Ack } from "../southbound/messages.ts";
import { AgentServer, type AgentSessionStatus } from "./agent-server.ts";
import { ControllerMetrics } from "./controller-metrics.ts";
import type { AddressTimes } from "./network-keeper.ts";
import type { WatchProgress } from "./object-watch.ts";
import { PolicyRealisation } from "./policy-realisation.ts";
import type { PolicyStatusTimings } from "./policy-status-queue.ts";
import { nameWithin, sourceOf } from "../model/source-name.ts";
import { VniClaims } from "./vni-claims.ts";
import { Source, type SourceAccess } from "./source.ts";

export interface ControllerOptions {
  /** The first has an empty name, the others names of their own. */
  readonly sources: readonly SourceAccess[];
  /** Where agents connect. */
  readonly listen: readonly StreamAddress[];
  /** Needed for TLS addresses. */
  readonly credentials?: TlsCredentials;
  /** The node of a source that an agent's token proves; without it agents over TLS must have certificates. */
  readonly nodeOfToken?: (token: string, source: string) => Promise<string>;
  /** How long addresses rest, empty networks stay, and so on; what is absent is as usual. */
  readonly addressTimes?: Partial<AddressTimes>;
  /** When policies and nodes get written on them what has come of them; not at all when `false`. */
  readonly writesStatus?: PolicyStatusTimings | false;
  readonly log: Log;
}

export interface ControllerStatus {
  /** Name of this instance, new after each start. */
  readonly controller: string;
  /** By kind, the state of the API that all below takes into account; of further sources with their names: `east:Pod`. */
  readonly seen: Readonly<Record<string, WatchProgress>>;
  readonly revision: number;
  readonly agents: readonly AgentSessionStatus[];
  /** Pods whose addresses are still to be allocated or given back. */
  readonly pendingAddresses: number;
  /** Questions to the API servers whose answers will say what of `seen` takes effect. */
  readonly undecided: number;
}

/** A full state of 100,000 endpoints is some 30 MB. */
const streamLimits = { maxMessageSize: 8 << 20, maxQueuedSize: 512 << 20 } as const;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #name = `controller-${randomUUID().slice(0, 8)}`;
  readonly #compute = new Compute();
  readonly #sources: readonly Source[];
  readonly #agents: AgentServer;
  readonly #metrics = new ControllerMetrics(() => ({
    ...this.status(),
    ...this.#compute.counts,
    unreadSources: this.#incomplete().size,
    silencesMs: this.#sources.map(({ silencesMs }) => silencesMs),
    addressFill: this.#sources.flatMap((source) => source.addressFill()),
  }));
  readonly #realisation = new PolicyRealisation({
    nodesOf: (policy) => this.#compute.nodesOf(policy),
    progressOf: (node) => this.#agents.progressOf(node),
    onChange: (policy) => this.#sourceOf(policy)?.policyChanged(nameWithin(policy)),
  });
  readonly #vnis = new VniClaims((domain) =>
    this.#sourceOf(domain)?.domainChanged(nameWithin(domain)),
  );
  #revision = 1;
  #servers: MessageServer[] = [];
  #seen: ControllerStatus["seen"] = {};
  #undecided = 0;
  readonly #serving = Promise.withResolvers<void>();
  #isServing = false;
  #flushing = false;

  /** @throws {RangeError} for sources whose names are not their own */
  constructor(options: ControllerOptions) {
    this.#options = options;
    const { sources, log, addressTimes } = options;
    checkNames(sources.map(({ name }) => name));
    this.#sources = sources.map(
      (access) =>
        new Source({
          ...access,
          addressTimes,
          isAlone: sources.length === 1,
          inputs: this.#compute,
          vnis: this.#vnis,
          metrics: this.#metrics,
          statusOf: (policy) => this.#realisation.statusOf(policy),
          writesStatus: options.writesStatus ?? {},
          lastHeardMs: (node) => this.#agents.lastHeardMs(node),
          onChange: () => this.#scheduleFlush(),
          log: access.name === "" ? log : log.child({ source: access.name }),
        }),
    );
    this.#agents = new AgentServer({
      controller: this.#name,
      stateOf: (node) => ({ revision: this.#revision, full: this.#compute.stateOf(node) }),
      unreadySources: () => this.#incomplete(),
      ...(options.nodeOfToken !== undefined && { nodeOfToken: options.nodeOfToken }),
      onAck: (node, ack) => this.#acknowledged(node, ack),
      onHealth: (node, { verdicts }) => {
        const own = verdicts.map((each) => ({ ...each, check: nameWithin(each.check) }));
        this.#sourceOf(node)?.nodeChecked(nameWithin(node), own);
      },
      metrics: this.#metrics,
      log,
    });
  }

  get metrics(): Metrics {
    return this.#metrics.metrics;
  }

  /** What keeps the controller from serving agents; empty when nothing does. */
  unready(): readonly string[] {
    if (this.#isServing) return [];
    return ["the API server has not been read completely yet"];
  }

  /** Resolves when agents are served; never when that does not come about. */
  get serving(): Promise<void> {
    return this.#serving.promise;
  }

  /** Serves until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, listen, credentials, nodeOfToken } = this.#options;
    const { promise: someComplete, resolve } = Promise.withResolvers<void>();
    const running = Promise.all(
      this.#sources.map((source) =>
        source.run(signal, () => {
          log.info({ source: source.name || undefined }, "source read");
          this.#flush();
          this.#agents.sourceReady(source.name);
          resolve();
        }),
      ),
    );
    try {
      await Promise.race([someComplete, running]);
      if (signal.aborted) return;
      for (const address of listen) {
        const onStream = this.#agents.accept.bind(this.#agents);
        const withoutCertificate = nodeOfToken !== undefined;
        const tls = credentials === undefined ? {} : { credentials, withoutCertificate };
        this.#servers.push(
          await MessageServer.listen({ ...streamLimits, ...tls, address, onStream }),
        );
      }
      log.info({ controller: this.#name }, "serving agents");
      this.#isServing = true;
      this.#serving.resolve();
      await running;
    } finally {
      await Promise.all(this.#sources.map((source) => source[Symbol.asyncDispose]()));
      this.#agents[Symbol.dispose]();
      await Promise.all(this.#servers.map((server) => server.close()));
    }
  }

  /** Uses other credentials for the agents that connect from now on. */
  renew(credentials: TlsCredentials): void {
    for (const server of this.#servers) server.renew(credentials);
  }

  status(): ControllerStatus {
    return {
      controller: this.#name,
      seen: this.#seen,
      revision: this.#revision,
      agents: this.#agents.status(),
      pendingAddresses: this.#sources.reduce((sum, each) => sum + each.pendingAddresses, 0),
      undecided: this.#undecided,
    };
  }

  /** Names of the sources that have not been read completely. */
  #incomplete(): ReadonlySet<string> {
    const incomplete = this.#sources.filter(({ isComplete }) => !isComplete);
    return new Set(incomplete.map(({ name }) => name));
  }

  /** All that arrives in one turn of the event loop becomes one change. */
  #scheduleFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const measure = this.#metrics.flush.startTimer();
    const delta = this.#compute.flush();
    measure();
    this.#revision += 1;
    this.#metrics.published(this.#revision);
    this.#agents.publish({ revision: this.#revision, deltaFor: (node) => delta.of(node) });
    this.#realisation.told(delta.reach);
    this.#seen = this.#progress();
    this.#undecided = this.#sources.reduce((sum, each) => sum + each.undecided, 0);
  }

  #acknowledged(node: string, ack: Ack): void {
    this.#options.log.debug({ node, revision: ack.revision }, "confirmed");
    this.#metrics.confirmed(ack.revision);
    this.#realisation.acknowledged(node, ack);
    const refusals = ack.errors.map(
      ({ resource, message }) => `${resource.kind} ${resource.id}: ${message}`,
    );
    this.#sourceOf(node)?.nodeConfirmed(nameWithin(node), refusals);
  }

  #sourceOf(id: string): Source | undefined {
    const name = sourceOf(id);
    return this.#sources.find((source) => source.name === name);
  }

  #progress(): ControllerStatus["seen"] {
    const seen: Record<string, WatchProgress> = {};
    for (const { name, isComplete, progress } of this.#sources) {
      if (!isComplete) continue;
      for (const [kind, each] of Object.entries(progress)) {
        seen[name === "" ? kind : `${name}:${kind}`] = each;
      }
    }
    return seen;
  }
}

function checkNames(names: readonly string[]): void {
  const [first, ...others] = names;
  if (first !== "") throw new RangeError("the first source has no name");
  const wrong = others.find(
    (name, index) =>
      !/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(name) || others.indexOf(name) !== index,
  );
  if (wrong !== undefined) {
    const form = "lower case letters, digits and dashes, each its own";
    throw new RangeError(`sources need names of ${form}: ${JSON.stringify(wrong)}`);
  }
}
