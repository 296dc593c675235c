// The SDN controller: watches the objects, computes what each node must know, tells the agents, allocates addresses.
import { randomUUID } from "node:crypto";
import type { ApiClient } from "../client/api-client.ts";
import type { EventSink } from "../client/event-recorder.ts";
import { Compute } from "../compute/graph.ts";
import { AddressSpace } from "../ipam/address-space.ts";
import type { Log } from "../runtime/log.ts";
import { MessageServer } from "../runtime/message-server.ts";
import type { StreamAddress, TlsCredentials } from "../runtime/stream-address.ts";
import { WorkQueue } from "../runtime/work-queue.ts";
import { AddressController } from "./address-controller.ts";
import { addressStore } from "./address-store.ts";
import { AgentServer, type AgentSessionStatus } from "./agent-server.ts";
import { ModelFeed } from "./model-feed.ts";
import { ObjectWatch, type WatchProgress } from "./object-watch.ts";

export interface ControllerOptions {
  readonly client: ApiClient;
  /** Told of what goes wrong with an object. */
  readonly events: EventSink;
  /** Where agents connect. */
  readonly listen: readonly StreamAddress[];
  /** Needed for TLS addresses. */
  readonly credentials?: TlsCredentials;
  readonly log: Log;
}

export interface ControllerStatus {
  /** Name of this instance, new after each start. */
  readonly controller: string;
  /** By kind, the state of the API that all below takes into account. */
  readonly seen: Readonly<Record<string, WatchProgress>>;
  readonly revision: number;
  readonly agents: readonly AgentSessionStatus[];
  /** Pods whose addresses are still to be allocated or given back. */
  readonly pendingAddresses: number;
}

/** A full state of 100,000 endpoints is some 30 MB. */
const streamLimits = { maxMessageSize: 8 << 20, maxQueuedSize: 512 << 20 } as const;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #name = `controller-${randomUUID().slice(0, 8)}`;
  readonly #compute = new Compute();
  readonly #queue: WorkQueue;
  readonly #watch: ObjectWatch;
  readonly #feed: ModelFeed;
  readonly #agents: AgentServer;
  #revision = 1;
  #seen: ControllerStatus["seen"] = {};
  #synced = false;
  #flushing = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { client, events, log } = options;
    const space = new AddressSpace();
    const addresses = new AddressController(space, addressStore(client));
    this.#queue = new WorkQueue({
      reconcile: async (key) => await addresses.reconcile(key),
      onError: (pod, error, attempt) => log.warn({ pod, attempt, err: error }, "addresses"),
    });
    this.#feed = new ModelFeed({
      compute: this.#compute,
      addresses,
      space,
      events,
      log,
      // Before everything is known a free address cannot be told from a taken one.
      onPod: (key) => this.#synced && this.#queue.add(key),
    });
    this.#watch = new ObjectWatch({
      client,
      feed: this.#feed,
      log,
      onChange: () => this.#scheduleFlush(),
    });
    this.#agents = new AgentServer({
      controller: this.#name,
      stateOf: (node) => ({ revision: this.#revision, full: this.#compute.stateOf(node) }),
      onAck: (node, { revision }) => log.debug({ node, revision }, "confirmed"),
      log,
    });
  }

  /** Serves until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, listen, credentials } = this.#options;
    const watching = this.#watch.run(signal);
    // A handler that throws is a bug; it must end the process and not leave it waiting.
    await Promise.race([this.#watch.synced, watching]);
    if (signal.aborted) return;
    this.#compute.flush();
    this.#seen = this.#watch.progress;
    this.#synced = true;
    for (const key of this.#feed.keys()) this.#queue.add(key);
    const servers: MessageServer[] = [];
    try {
      for (const address of listen) {
        const onStream = this.#agents.accept.bind(this.#agents);
        const tls = credentials === undefined ? {} : { credentials };
        servers.push(await MessageServer.listen({ ...streamLimits, ...tls, address, onStream }));
      }
      log.info({ controller: this.#name }, "serving agents");
      await watching;
    } finally {
      await this.#queue[Symbol.asyncDispose]();
      this.#agents[Symbol.dispose]();
      await Promise.all(servers.map((server) => server.close()));
    }
  }

  status(): ControllerStatus {
    return {
      controller: this.#name,
      seen: this.#seen,
      revision: this.#revision,
      agents: this.#agents.status(),
      pendingAddresses: this.#queue.size,
    };
  }

  /** All that arrives in one turn of the event loop becomes one change. */
  #scheduleFlush(): void {
    if (this.#flushing || !this.#synced) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const delta = this.#compute.flush();
      this.#revision += 1;
      this.#agents.publish({ revision: this.#revision, deltaFor: (node) => delta.of(node) });
      this.#seen = this.#watch.progress;
    });
  }
}
