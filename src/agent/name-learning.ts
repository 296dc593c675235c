// Domain names on this node, joined: what endpoints look up is watched, kept and put in force.
import { parsePrefix } from "../net/address.ts";
import type { PacketIn2 } from "../openflow/packet.ts";
import type { LocalDelta } from "../pipeline/fact.ts";
import type { Log } from "../runtime/log.ts";
import type { Delta } from "../southbound/resources.ts";
import type { OpenFlowClient } from "../switch/openflow-client.ts";
import type { AgentConfig } from "./config.ts";
import { DnsWatch } from "./dns-watch.ts";
import { Lookups } from "./lookups.ts";
import type { NodeState } from "./node-state.ts";
import type { StateFile } from "./state-file.ts";

export interface NameLearningOptions {
  readonly config: Pick<AgentConfig, "node" | "dnsServers" | "dnsMinimumTtlSeconds">;
  readonly state: NodeState;
  readonly file: StateFile;
  /** Has the switch changed; settles when it has confirmed. */
  readonly apply: (delta: LocalDelta) => Promise<void>;
  /** The local endpoint at the port. */
  readonly endpointAt: (ofport: number) => string | undefined;
  /** The tracked connections are to be looked at. */
  readonly onEnded: () => void;
  readonly log: Log;
}

export class NameLearning implements Disposable {
  readonly lookups: Lookups;
  readonly #node: string;
  readonly #state: NodeState;
  readonly #watch: DnsWatch;

  constructor({ config, state, file, apply, endpointAt, onEnded, log }: NameLearningOptions) {
    this.#node = config.node;
    this.#state = state;
    const onUnsaved = (err: unknown): void => log.error({ err }, "lookups cannot be stored");
    const lookups = new Lookups({ state, file, now: Date.now, apply, onUnsaved, onEnded });
    this.lookups = lookups;
    this.#watch = new DnsWatch({
      table: lookups.table,
      now: Date.now,
      endpointAt,
      patterns: () => lookups.patterns(),
      confirm: async () => await lookups.settle(),
      servers: config.dnsServers.map(parsePrefix),
      minimumTtlSeconds: config.dnsMinimumTtlSeconds,
      log,
    });
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.lookups[Symbol.dispose]();
  }

  /** Once the state is loaded: puts in force what the file says of endpoints that are still here. */
  restore(): void {
    const local = this.#state.all("endpoint").filter(({ node }) => node === this.#node);
    this.lookups.restore(new Map(local.map((endpoint) => [endpoint.id, endpoint])));
  }

  /** Endpoints that come, go or become others. */
  update({ upserts, deletes }: Delta): void {
    if (upserts.some((each) => each.kind === "group" && each.domainNames !== undefined)) {
      this.#watch.refresh();
    }
    for (const resource of upserts) {
      if (resource.kind !== "endpoint") continue;
      const isLocal = resource.node === this.#node;
      this.lookups.setEndpoint(resource.id, isLocal ? resource : undefined);
    }
    for (const { kind, id } of deletes) {
      if (kind === "endpoint") this.lookups.setEndpoint(id, undefined);
    }
  }

  connected(client: OpenFlowClient): void {
    this.#watch.connected(client);
  }

  take(packet: PacketIn2): void {
    void this.#watch.take(packet);
  }
}
