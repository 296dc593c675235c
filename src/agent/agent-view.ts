// What the agent shows of itself: to Prometheus, and on its socket.
import type { AgentStatus } from "../southbound/attachment.ts";
import type { AgentReadings } from "./agent-metrics.ts";
import type { ConnectionTable } from "./connections/connection-table.ts";
import type { ControllerLink } from "./controller-link.ts";
import type { DnsService } from "./dns/service.ts";
import type { FlowReconciler } from "./flows/flow-reconciler.ts";
import type { LoadBalancing } from "./load-balancing/load-balancing.ts";
import type { NodeKeeper } from "./node/node-keeper.ts";
import type { NodeState } from "./node-state.ts";
import type { SwitchDatabase } from "./switch-database.ts";
import { attachmentOf } from "./attach/switch-ports.ts";

export interface ViewedParts {
  readonly node: string;
  readonly link: Pick<ControllerLink, "controller" | "revision">;
  readonly state: Pick<NodeState, "complete" | "counts">;
  readonly flows: Pick<FlowReconciler, "connected" | "length" | "refused" | "counters">;
  readonly database: Pick<SwitchDatabase, "ports" | "ready" | "connected">;
  readonly keeper: Pick<NodeKeeper, "report">;
  readonly duties: { readonly size: number };
  readonly dns: Pick<DnsService, "addresses" | "services">;
  readonly connections: Pick<ConnectionTable, "fill">;
  readonly balancing: Pick<LoadBalancing, "announced">;
}

/** Without a controller what is known can still be attached, and what is not waits. */
export function unavailabilityOf({
  flows,
  database,
  state,
}: ViewedParts): { readonly reason: string; readonly limited: boolean } | undefined {
  if (!flows.connected) return { reason: "the switch is not connected", limited: true };
  if (!database.connected) {
    return { reason: "the switch's database is not connected", limited: false };
  }
  if (!database.ready) return { reason: "the bridge is not ready", limited: false };
  if (state.complete) return undefined;
  return { reason: "no controller has told the policies yet", limited: false };
}

export function readingsOf(parts: ViewedParts): AgentReadings {
  const { link, state, flows, database, duties, connections, balancing } = parts;
  const { controller, revision } = link;
  return {
    controllerConnected: controller !== undefined,
    complete: state.complete,
    revision,
    switchConnected: flows.connected,
    flows: flows.length,
    refusedFlows: flows.refused.length,
    counters: flows.counters,
    resources: state.counts(),
    announcedAddresses: balancing.announced,
    attachedEndpoints: attachedTo(database).length,
    pendingDuties: duties.size,
    connections: async () => await connections.fill(),
  };
}

export function statusOf(parts: ViewedParts): AgentStatus {
  const { node, link, state, flows, database, keeper, dns } = parts;
  const { controller, revision } = link;
  const { report } = keeper;
  const { addresses, services } = dns;
  return {
    type: "status",
    node,
    ...(controller === undefined ? {} : { controller }),
    revision,
    switchConnected: flows.connected,
    flows: flows.length,
    resources: state.counts(),
    endpoints: attachedTo(database).map(({ endpoint: id, port }) => ({ id, port })),
    ...(report === undefined ? {} : { nodeReport: report }),
    ...(addresses.length === 0 ? {} : { dns: { addresses, services } }),
  };
}

function attachedTo(database: ViewedParts["database"]) {
  return [...database.ports().values()].flatMap((port) => attachmentOf(port) ?? []);
}
