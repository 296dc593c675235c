// Domain names on this node, joined: what endpoints look up is answered, watched, kept and put in force.
import { parsePrefix } from "../../net/address.ts";
import type { PacketIn2 } from "../../openflow/packet.ts";
import type { LocalDelta } from "../../pipeline/fact.ts";
import type { Log } from "../../runtime/log.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import type { Delta } from "../../southbound/resources.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";
import type { AgentConfig } from "../config.ts";
import { DnsService } from "./service.ts";
import { DnsWatch } from "./watch.ts";
import { Lookups } from "./lookups.ts";
import type { NodeState } from "../node-state.ts";
import type { StateFile } from "../state-file.ts";

export interface NameLearningOptions {
  readonly config: Pick<
    AgentConfig,
    "node" | "dnsServers" | "dnsMinimumTtlSeconds" | "gatewayDomain" | "datapathType"
  >;
  readonly state: NodeState;
  readonly file: StateFile;
  /** Has the switch changed; settles when it has confirmed. */
  readonly apply: (delta: LocalDelta) => Promise<void>;
  /** The local endpoint at the port. */
  readonly endpointAt: (ofport: number) => string | undefined;
  /** The tracked connections are to be looked at. */
  readonly onEnded: () => void;
  readonly metrics: Metrics;
  /** The node's DNS is to be looked after. */
  readonly onDnsDue: () => void;
  readonly log: Log;
}

export class NameLearning implements AsyncDisposable {
  readonly lookups: Lookups;
  readonly dns: DnsService;
  readonly #node: string;
  readonly #state: NodeState;
  readonly #watch: DnsWatch;

  constructor(options: NameLearningOptions) {
    const { config, state, file, apply, endpointAt, onEnded, onDnsDue: onDue, log } = options;
    this.dns = new DnsService({ config, state, metrics: options.metrics, log, onDue });
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.lookups[Symbol.dispose]();
    await this.dns[Symbol.asyncDispose]();
  }

  /** Once the state is loaded: puts in force what the file says of endpoints that are still here. */
  restore(): void {
    const local = this.#state.all("endpoint").filter(({ node }) => node === this.#node);
    this.lookups.restore(new Map(local.map((endpoint) => [endpoint.id, endpoint])));
    this.dns.load();
  }

  /** Endpoints that come, go or become others. */
  update(delta: Delta): void {
    const { upserts, deletes } = delta;
    this.dns.update(delta);
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
    this.dns.connected(client);
  }

  take(packet: PacketIn2): void {
    void this.#watch.take(packet);
  }
}
