// The agent's connection to its bridge, for ever: opened anew whenever it ends.
import { Backoff } from "../../runtime/backoff.ts";
import { pause } from "../../runtime/lifecycle.ts";
import type { Log } from "../../runtime/log.ts";
import { addFlow, deleteFlow } from "../../openflow/flow-mod.ts";
import type { Flow } from "../../openflow/flow.ts";
import type { PacketIn2 } from "../../openflow/packet.ts";
import { rejectMeter } from "../../pipeline/rejection.ts";
import { isResolverBeat } from "../../pipeline/resolver-beat.ts";
import { forgetClients, isLearnt } from "../../pipeline/service-flows.ts";
import { agentControllerId, isWatchBeat } from "../../pipeline/watch-feature.ts";
import { BundleError, OpenFlowError } from "../../switch/errors.ts";
import { OpenFlowClient } from "../../switch/openflow-client.ts";
import { isBlock } from "../connections/connection-review.ts";
import type { FlowReconciler, FlowSwitch, Refusals, SwitchChanges } from "./flow-reconciler.ts";

/** What comes and goes beside the flows that the pipeline wants. */
function isOfOthers(flow: Flow): boolean {
  return isBlock(flow) || isWatchBeat(flow) || isResolverBeat(flow) || isLearnt(flow);
}

/** The switch behind a client, as the reconciler needs it. */
function flowSwitch(client: OpenFlowClient, { log, onBundle }: FollowOptions): FlowSwitch {
  return {
    dumpFlows: async () => {
      const entries = await client.dumpFlows();
      return entries.map(({ flow }) => flow).filter((flow) => !isOfOthers(flow));
    },
    dumpGroups: async () =>
      await client.collect({ kind: "multipart-request", part: "groups", request: undefined }),
    change: async ({ upserts, deletes, groups, groupDeletes }: SwitchChanges) => {
      const changes = [
        ...groups,
        ...deletes.map(deleteFlow),
        ...deletes.flatMap(forgetClients),
        ...upserts.map(addFlow),
        ...groupDeletes,
      ];
      const startMs = performance.now();
      try {
        await client.bundle(changes);
        onBundle(performance.now() - startMs);
        return { flows: [], groups: [] };
      } catch (error) {
        const refusals = refusalsOf(error);
        const { flows, groups: refusedGroups } = refusals;
        if (flows.length + refusedGroups.length === 0) throw error;
        for (const { message } of flows)
          log.error({ reason: message }, "the switch refuses a flow");
        for (const { id, message } of refusedGroups) {
          log.error({ group: id, reason: message }, "the switch refuses a group");
        }
        return refusals;
      }
    },
  };
}

function refusalsOf(error: unknown): Refusals {
  const refusals = error instanceof BundleError ? error.refusals : [];
  return {
    flows: refusals.flatMap(({ request, message }) =>
      request.kind === "flow-mod" ? [{ flow: request.flow, message }] : [],
    ),
    groups: refusals.flatMap(({ request, message }) =>
      request.kind === "group-mod" ? [{ id: request.group.id, message }] : [],
    ),
  };
}

/** A bridge keeps its meters; flows that use one need it first. */
async function setMeter(client: OpenFlowClient, log: Log): Promise<void> {
  const set = async (command: "add" | "modify"): Promise<OpenFlowError | undefined> => {
    try {
      await client.change({ kind: "meter-mod", command, meter: rejectMeter });
      return undefined;
    } catch (error) {
      if (error instanceof OpenFlowError) return error;
      throw error;
    }
  };
  // Never deleted: its flows would go with it.
  const refusal = (await set("add")) && (await set("modify"));
  if (refusal === undefined) return;
  log.error({ reason: refusal.message }, "connections that nobody answers cannot be refused");
}

export interface FollowOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** A connection was made; perhaps the switch is a new one, with new interfaces of its own. */
  readonly onConnect: (client: OpenFlowClient) => void;
  /** The switch has committed a bundle. */
  readonly onBundle: (durationMs: number) => void;
  /** Called in order. */
  readonly onPacket: (packet: PacketIn2, client: OpenFlowClient) => void;
  /** The last that is done on a connection which ends because `signal` was aborted. */
  readonly beforeClose: () => Promise<void>;
}

/** Keeps `flows` in force on the bridge with the OpenFlow socket `path` until `signal` is aborted. */
export async function followFlows(
  path: string,
  flows: FlowReconciler,
  options: FollowOptions,
): Promise<void> {
  const { log, signal, onConnect, onPacket } = options;
  const backoff = new Backoff({ minMs: 20, maxMs: 1_000 });
  let lastReason = "";
  while (!signal.aborted) {
    const ended = new AbortController();
    try {
      // Packets that come before the client is known are lost, as those before it was asked for were.
      let opened: OpenFlowClient | undefined;
      await using client = await OpenFlowClient.open({
        address: { path },
        controllerId: agentControllerId,
        onEvent: (event) => {
          if (event.kind === "packet-in2" && opened !== undefined) onPacket(event, opened);
        },
      });
      opened = client;
      void client.closed.then(() => ended.abort());
      log.info({ path }, "connected to the switch");
      await setMeter(client, log);
      onConnect(client);
      backoff.reset();
      lastReason = "";
      await flows.serve(flowSwitch(client, options), AbortSignal.any([signal, ended.signal]));
      if (!signal.aborted) throw await client.closed;
      await options.beforeClose();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!signal.aborted && reason !== lastReason) log.warn({ reason }, "no switch");
      lastReason = reason;
    }
    await pause(backoff.next(), signal);
  }
}
