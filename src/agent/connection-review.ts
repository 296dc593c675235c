// Established connections bypass the policies; that is what makes them fast. So when policies take something away, the
// connections that they would not admit any more are found and cut here.
import { setTimeout as sleep } from "node:timers/promises";
import type { KnownFieldName } from "../openflow/field.ts";
import { parseAddress } from "../net/address.ts";
import { addFlow } from "../openflow/flow-mod.ts";
import type { Flow } from "../openflow/flow.ts";
import { encodeCookie, refusals } from "../pipeline/cookie.ts";
import { familyFields, whereFamily, whereField, whereRegister } from "../pipeline/flow-builder.ts";
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
 * Drops in both directions until the connection has long been silent. Without them either end's next packet could open
 * the connection anew, seen from that end: the replies of the other would then bypass the policies again.
 */
function blocksOf(connection: TrackedConnection): Flow[] {
  const { protocol, zone } = connection;
  const fields = ports[protocol];
  const { sourcePort, destinationPort } = connection;
  if (fields === undefined || sourcePort === undefined || destinationPort === undefined) return [];
  const source = { address: parseAddress(connection.source), port: sourcePort };
  const destination = { address: parseAddress(connection.destination), port: destinationPort };
  const { family } = source.address;
  return [[source, destination] as const, [destination, source] as const].map(([from, to]) => ({
    table: tables.ConntrackState.number,
    priority: blockPriority,
    cookie: blockCookie,
    match: [
      whereFamily(family),
      whereField("ip_proto", protocol),
      whereField(familyFields[family].source, from.address.bits),
      whereField(familyFields[family].destination, to.address.bits),
      whereField(fields[0], from.port),
      whereField(fields[1], to.port),
      whereRegister("domain", zone),
    ],
    actions: [],
    idleTimeoutSeconds: blockIdleSeconds,
  }));
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
    await this.#client?.bundle(revoked.flatMap(blocksOf).map(addFlow));
    for (const connection of revoked) await this.#table.delete(connection);
    this.#log.info({ connections: revoked.length }, "cut connections that no rule admits any more");
  }
}
