// What an agent counts. docs/metrics.md is rendered from this list.
import type { Counter, Histogram } from "prom-client";
import { Metrics } from "../runtime/metrics.ts";
import type { OpenFlowClient } from "../switch/openflow-client.ts";
import { type DroppedPackets, readDroppedPackets } from "./connections/dropped-packets.ts";
import type { ConnectionFill } from "./connections/connection-table.ts";
import type { FlowCounters } from "./flows/flow-reconciler.ts";

/** What is read from the agent's parts when somebody asks. */
export interface AgentReadings {
  readonly controllerConnected: boolean;
  readonly complete: boolean;
  readonly revision: number;
  readonly switchConnected: boolean;
  readonly flows: number;
  readonly refusedFlows: number;
  readonly counters: Readonly<FlowCounters>;
  /** By kind. */
  readonly resources: Readonly<Record<string, number>>;
  readonly announcedAddresses: number;
  readonly attachedEndpoints: number;
  readonly pendingDuties: number;
  readonly connections: () => Promise<ConnectionFill>;
}

/** Asking the switch costs it a walk over its flows. */
const dropsIntervalMs = 10_000;

export class AgentMetrics {
  readonly metrics = new Metrics("agent");
  readonly attach: Histogram<"result">;
  readonly detach: Histogram;
  readonly bundle: Histogram;
  readonly realisation: Histogram;
  readonly streams: Counter;
  readonly streamFailures: Counter;
  readonly dutyFailures: Counter<"duty">;
  readonly cniRequests: Counter<"command" | "result">;
  #client: OpenFlowClient | undefined;
  #drops: readonly DroppedPackets[] = [];
  #dropsReadMs = -Infinity;

  constructor(read: () => AgentReadings) {
    const { metrics } = this;
    this.attach = metrics.histogram({
      name: "attach_duration_seconds",
      help: "From the request to attach an endpoint until its policies are confirmed, or it is given up.",
      labels: ["result"],
    });
    this.detach = metrics.histogram({
      name: "detach_duration_seconds",
      help: "From the request to detach an endpoint to its answer.",
    });
    this.bundle = metrics.histogram({
      name: "bundle_duration_seconds",
      help: "Time in which the switch put a bundle of flow changes in force.",
    });
    this.realisation = metrics.histogram({
      name: "realisation_duration_seconds",
      help: "From the arrival of a controller's change until the switch has confirmed it.",
    });
    this.streams = metrics.counter({
      name: "controller_streams_total",
      help: "Streams to a controller over which everything was told; all but the first are reconnects.",
    });
    this.streamFailures = metrics.counter({
      name: "controller_stream_failures_total",
      help: "Streams to a controller that ended or could not be opened.",
    });
    this.dutyFailures = metrics.counter({
      name: "duty_failures_total",
      help: "Attempts that failed at what is tried again until it succeeds.",
      labels: ["duty"],
    });
    this.cniRequests = metrics.counter({
      name: "cni_requests_total",
      help: "Requests of the CNI executable.",
      labels: ["command", "result"],
    });
    this.#addReadings(read);
    this.#addFlowReadings(read);
    this.#addConnections(read);
    metrics.readCounter(
      {
        name: "dropped_packets_total",
        help: "Packets dropped by the flows that are there now; falls when such a flow goes.",
        labels: ["reason"],
      },
      async () => {
        const drops = await this.#readDrops();
        return drops.map(({ reason, packets }) => [{ reason }, packets] as const);
      },
    );
  }

  /** A connection to the switch was made; it is asked when somebody wants to know. */
  connected(client: OpenFlowClient): void {
    this.#client = client;
    void this.#forgetOnceClosed(client);
  }

  #addReadings(read: () => AgentReadings): void {
    const { metrics } = this;
    const gauge = (name: string, help: string, value: (now: AgentReadings) => number): void =>
      metrics.gauge({ name, help }, () => value(read()));
    gauge(
      "controller_connected",
      "1 while a controller keeps this agent up to date, 0 while it works from what it last knew.",
      ({ controllerConnected }) => Number(controllerConnected),
    );
    gauge(
      "complete",
      "1 when a controller has once told everything that this node must know.",
      ({ complete }) => Number(complete),
    );
    gauge(
      "revision",
      "Last revision that the switch has confirmed to a controller.",
      ({ revision }) => revision,
    );
    gauge(
      "attached_endpoints",
      "Endpoints that have an interface on this node.",
      ({ attachedEndpoints }) => attachedEndpoints,
    );
    gauge(
      "announced_addresses",
      "Load balancers' addresses that this node tells the network outside of.",
      ({ announcedAddresses }) => announcedAddresses,
    );
    gauge(
      "pending_duties",
      "Work that waits or is being tried again: the bridge, the gateway, connections to cut.",
      ({ pendingDuties }) => pendingDuties,
    );
    metrics.gauge(
      { name: "resources", help: "What the agent has been told, by kind.", labels: ["kind"] },
      () => Object.entries(read().resources).map(([kind, count]) => [{ kind }, count] as const),
    );
  }

  #addFlowReadings(read: () => AgentReadings): void {
    const { metrics } = this;
    metrics.gauge(
      {
        name: "switch_connected",
        help: "1 while the switch's flows are being followed. Without it nothing changes on the switch.",
      },
      () => Number(read().switchConnected),
    );
    metrics.gauge({ name: "flows", help: "Flows on the switch." }, () => read().flows);
    metrics.gauge(
      {
        name: "refused_flows",
        help: "Flows that the switch does not take; what they would allow stays closed.",
      },
      () => read().refusedFlows,
    );
    metrics.readCounter(
      { name: "bundles_total", help: "Bundles of flow changes that the switch has committed." },
      () => read().counters.bundles,
    );
    metrics.readCounter(
      { name: "flow_changes_total", help: "Flows that were added, replaced or deleted." },
      () => read().counters.changed,
    );
    metrics.readCounter(
      {
        name: "switch_resyncs_total",
        help: "Connections to the switch on which its flows were read back.",
      },
      () => read().counters.resyncs,
    );
  }

  #addConnections(read: () => AgentReadings): void {
    const gauge = (name: string, help: string, value: (fill: ConnectionFill) => number): void =>
      this.metrics.gauge({ name, help }, async () => {
        try {
          return [[{}, value(await read().connections())]];
        } catch {
          // Without the switch nobody knows.
          return [];
        }
      });
    gauge(
      "connections",
      "Connections that the datapath tracks; the kernel's has the node's own among them.",
      ({ connections }) => connections,
    );
    gauge(
      "connections_limit",
      "How many it can track; new ones beyond that are dropped.",
      ({ limit }) => limit,
    );
  }

  async #forgetOnceClosed(client: OpenFlowClient): Promise<void> {
    await client.closed;
    if (this.#client === client) this.#client = undefined;
  }

  async #readDrops(): Promise<readonly DroppedPackets[]> {
    const client = this.#client;
    const now = performance.now();
    if (client === undefined || now - this.#dropsReadMs < dropsIntervalMs) return this.#drops;
    this.#dropsReadMs = now;
    try {
      this.#drops = await readDroppedPackets(client);
    } catch {
      // The switch went away under way: what was last known is told.
    }
    return this.#drops;
  }
}
