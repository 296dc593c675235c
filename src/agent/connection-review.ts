// Established connections bypass the policies; that is what makes them fast. So when policies take something away, the
// connections that they would not admit any more are found and cut here.
import { setTimeout as sleep } from "node:timers/promises";
import type { KnownFieldName } from "../openflow/field.ts";
import { parseAddress } from "../net/address.ts";
import { addFlow } from "../openflow/flow-mod.ts";
import type { Flow } from "../openflow/flow.ts";
import { encodeCookie, refusals } from "../pipeline/cookie.ts";
import { familyFields, whereFamily, whereField, whereRegister } from "../pipeline/flow-builder.ts";
import { whereState } from "../pipeline/forwarding.ts";
import { tables } from "../pipeline/tables.ts";
import type { Log } from "../runtime/log.ts";
import type { Delta, Resource, ResourceKey } from "../southbound/resources.ts";
import type { OpenFlowClient } from "../switch/openflow-client.ts";
import type { ConnectionTable, TrackedConnection } from "./connection-table.ts";
import type { NodeState } from "./node-state.ts";
import { type PolicyView, isReadmitted } from "./readmission.ts";

const blockCookie = encodeCookie({
  feature: "refusal",
  verdict: "deny",
  number: refusals.revoked,
});

/** Above everything else in the table, which is the first that knows the connection's state. */
const blockPriority = 500;
/** Longer than the pauses between the repetitions of a TCP that hears nothing, which are two minutes at most. */
const blockIdleSeconds = 180;

const settleMs = 50;

const ports: Readonly<Record<number, readonly [KnownFieldName, KnownFieldName]>> = {
  6: ["tcp_src", "tcp_dst"],
  17: ["udp_src", "udp_dst"],
  132: ["sctp_src", "sctp_dst"],
};

/** Whether the flow is one that cuts a connection: it comes and goes beside those that the pipeline wants. */
export function isBlock(flow: Flow): boolean {
  return flow.cookie === blockCookie;
}

/** Whether a delta that is about to be applied can take away what is allowed now. */
export function mayRevoke(delta: Delta, state: NodeState): boolean {
  return delta.deletes.some(affectsVerdicts) || delta.upserts.some((one) => mayNarrow(one, state));
}

function affectsVerdicts({ kind }: ResourceKey): boolean {
  return kind === "rule" || kind === "group" || kind === "posture" || kind === "endpoint";
}

/** What is new can only add to what is allowed, but for isolation and for rules that deny. */
function mayNarrow(resource: Resource, state: NodeState): boolean {
  if (!affectsVerdicts(resource)) return false;
  if (resource.kind === "posture") return true;
  if (resource.kind === "rule" && resource.action !== "allow") return true;
  return state.get(resource.kind, resource.id) !== undefined;
}

/**
 * The client's next packet is judged by the policies as that of a new connection. The server's would be as well, seen from
 * its end, and the client's would then bypass the policies as replies: so the server may not begin until it has long been
 * silent. When the client is admitted again, the server's packets are replies and pass.
 */
function blockOf(connection: TrackedConnection): Flow[] {
  const { protocol, zone, sourcePort, destinationPort } = connection;
  const fields = ports[protocol];
  if (fields === undefined || sourcePort === undefined || destinationPort === undefined) return [];
  const client = parseAddress(connection.source);
  const server = parseAddress(connection.destination);
  const block: Flow = {
    table: tables.ConntrackState.number,
    priority: blockPriority,
    cookie: blockCookie,
    match: [
      whereState(["tracked", "new"]),
      whereFamily(client.family),
      whereField("ip_proto", protocol),
      whereField(familyFields[client.family].source, server.bits),
      whereField(familyFields[client.family].destination, client.bits),
      whereField(fields[0], destinationPort),
      whereField(fields[1], sourcePort),
      whereRegister("domain", zone),
    ],
    actions: [],
    idleTimeoutSeconds: blockIdleSeconds,
  };
  return [block];
}

/** What the state says, read once for all connections. */
function viewOf(state: NodeState): PolicyView {
  const endpoints = new Map(
    state
      .all("endpoint")
      .flatMap((one) => one.addresses.map((address) => [`${one.domain} ${address}`, one] as const)),
  );
  const domains = new Map<number, string | undefined>();
  return {
    rules: state.all("rule"),
    posture: (identity) => state.get("posture", identity),
    group: (id) => state.get("group", id),
    endpointAt(zone, address) {
      if (!domains.has(zone)) domains.set(zone, state.numbers.keyOf("domain", zone));
      return endpoints.get(`${domains.get(zone) ?? ""} ${address}`);
    },
  };
}

export class ConnectionReview {
  readonly #state: NodeState;
  readonly #table: ConnectionTable;
  readonly #log: Log;
  #client: OpenFlowClient | undefined;

  constructor(state: NodeState, table: ConnectionTable, log: Log) {
    this.#state = state;
    this.#table = table;
    this.#log = log;
  }

  connected(client: OpenFlowClient): void {
    this.#client = client;
  }

  /** Cuts what is not admitted any more. O(tracked connections). @throws {UnavailableError} @throws {PeerError} */
  async run(): Promise<void> {
    // Changes often come in flocks, and one look will do for them.
    await sleep(settleMs);
    const connections = await this.#table.list();
    const view = viewOf(this.#state);
    // Label 0 is of connections that another user of the datapath has committed.
    const revoked = connections.filter(
      (connection) => connection.label !== 0n && !isReadmitted(connection, view),
    );
    if (revoked.length === 0) return;
    await this.#client?.bundle(revoked.flatMap(blockOf).map(addFlow));
    for (const connection of revoked) await this.#table.delete(connection);
    this.#log.info({ connections: revoked.length }, "cut connections that no rule admits any more");
  }
}
