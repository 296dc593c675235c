// Established connections bypass the policies; that is what makes them fast. So when policies take something away, the
// connections that they would not admit any more are found and cut here.
import { setTimeout as sleep } from "node:timers/promises";
import type { KnownFieldName } from "../../openflow/field.ts";
import { parseAddress } from "../../net/address.ts";
import { addFlow, deleteFlow } from "../../openflow/flow-mod.ts";
import type { Flow } from "../../openflow/flow.ts";
import { encodeCookie, refusals } from "../../pipeline/cookie.ts";
import {
  type KnownMatch,
  familyFields,
  whereFamily,
  whereField,
  whereRegister,
} from "../../pipeline/flow-builder.ts";
import { whereState } from "../../pipeline/connection.ts";
import { tables } from "../../pipeline/tables.ts";
import type { Log } from "../../runtime/log.ts";
import type {
  Delta,
  GroupResource,
  PostureResource,
  Resource,
  ResourceKey,
} from "../../southbound/resources.ts";
import { UnavailableError } from "../../switch/errors.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";
import type { ConnectionTable, TrackedConnection } from "./connection-table.ts";
import { DatagramServices } from "./datagram-services.ts";
import type { Lookups } from "../dns/lookups.ts";
import type { NodeState } from "../node-state.ts";
import { type PolicyView, Readmission } from "./readmission.ts";
import { revalidated } from "../flows/revalidation.ts";

const blockCookie = encodeCookie({
  feature: "refusal",
  verdict: "deny",
  number: refusals.revoked,
});

/** Above everything else in the table, which is the first that knows the connection's state. */
const blockPriority = 500;
/** Longer than the pauses between the repetitions of a TCP that hears nothing, which are two minutes at most. */
const blockIdleSeconds = 180;

const ports: Readonly<Record<number, readonly [KnownFieldName, KnownFieldName]>> = {
  6: ["tcp_src", "tcp_dst"],
  17: ["udp_src", "udp_dst"],
  132: ["sctp_src", "sctp_dst"],
};
/** ICMP and ICMPv6: an answer opens no connection. */
const answersOnly: ReadonlySet<number> = new Set([1, 58]);

/** Whether the flow is one that cuts a connection: it comes and goes beside those that the pipeline wants. */
export function isBlock(flow: Flow): boolean {
  return flow.cookie === blockCookie;
}

/** Whether a delta that is about to be applied can take away what is allowed now. */
export function mayRevoke(delta: Delta, state: NodeState): boolean {
  return (
    delta.deletes.some((key) => affectsVerdicts(key) || endsDatagrams(key, state)) ||
    delta.upserts.some((one) => mayNarrow(one, state))
  );
}

/** A backend or a service that goes: datagrams would go on being sent there. */
function endsDatagrams({ kind, id }: ResourceKey, state: NodeState): boolean {
  if (kind !== "service" && kind !== "backend") return false;
  const service = kind === "service" ? id : state.get("backend", id)?.service;
  return service !== undefined && state.get("service", service)?.protocol === "UDP";
}

function affectsVerdicts({ kind }: ResourceKey): boolean {
  return kind === "rule" || kind === "group" || kind === "posture" || kind === "endpoint";
}

/** What is new can only add to what is allowed, but for isolation and for rules that deny. */
function mayNarrow(resource: Resource, state: NodeState): boolean {
  switch (resource.kind) {
    case "domain":
    case "node":
    case "backend":
    case "record":
    case "host":
    case "announcement":
    case "check":
      return false;
    // Its addresses may have been somebody else's, and datagrams on their way there.
    case "service":
      return resource.protocol === "UDP";
    case "endpoint":
      return state.get("endpoint", resource.id) !== undefined;
    case "rule":
      return resource.action !== "allow" || state.get("rule", resource.id) !== undefined;
    case "posture":
      return isolates(resource, state.get("posture", resource.id));
    case "group":
      return mayExclude(resource, state.get("group", resource.id), state);
  }
}

/** Before its first posture nothing of an identity was admitted. */
function isolates(after: PostureResource, before: PostureResource | undefined): boolean {
  if (before === undefined) return false;
  return (["ingress", "egress"] as const).some(
    (direction) => after[direction].length > 0 && before[direction].length === 0,
  );
}

function mayExclude(
  after: GroupResource,
  before: GroupResource | undefined,
  state: NodeState,
): boolean {
  if (before === undefined) return false;
  const identities = new Set(after.identities);
  return (
    before.identities.some((identity) => !identities.has(identity)) ||
    JSON.stringify(after.networks) !== JSON.stringify(before.networks) ||
    state.all("rule").some(({ action }) => action !== "allow")
  );
}

/**
 * The client's next packet is judged by the policies as that of a new connection. The server's would be as well, seen from
 * its end, and the client's would then bypass the policies as replies: so the server may not begin until it has long been
 * silent. When the client is admitted again, the server's packets are replies and pass.
 */
function blockOf(connection: TrackedConnection): Flow[] {
  const { protocol, zone, sourcePort = 0, serverPort = 0 } = connection;
  if (answersOnly.has(protocol)) return [];
  const [sourceField, destinationField] = ports[protocol] ?? [];
  const client = parseAddress(connection.source);
  const server = parseAddress(connection.server);
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
      ...wherePort(sourceField, serverPort),
      ...wherePort(destinationField, sourcePort),
      whereRegister("domain", zone),
    ],
    actions: [],
    idleTimeoutSeconds: blockIdleSeconds,
  };
  return [block];
}

/** Where ports are not tracked, all of the protocol's packets between two addresses are one connection. */
function wherePort(field: KnownFieldName | undefined, port: number): readonly KnownMatch[] {
  return field === undefined || port === 0 ? [] : [whereField(field, port)];
}

function partition<Item>(
  items: readonly Item[],
  belongs: (item: Item) => boolean,
): readonly [readonly Item[], readonly Item[]] {
  const [yes, no]: [Item[], Item[]] = [[], []];
  for (const item of items) (belongs(item) ? yes : no).push(item);
  return [yes, no];
}

/** What the state says, read once for all connections. */
function viewOf(state: NodeState, lookups: Pick<Lookups, "table">): PolicyView {
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
    namesOf: (endpoint, address) => lookups.table.namesOf(endpoint, address),
    endpointAt(zone, address) {
      if (!domains.has(zone)) domains.set(zone, state.numbers.keyOf("domain", zone));
      return endpoints.get(`${domains.get(zone) ?? ""} ${address}`);
    },
  };
}

const longestRestMs = 1_000;

/** Changes nothing: no flow has this priority in that table and matches everything. */
const nudge = deleteFlow({
  table: tables.ConntrackState.number,
  priority: blockPriority,
  cookie: blockCookie,
  match: [],
  actions: [],
});

export interface ConnectionReviewOptions {
  readonly state: NodeState;
  readonly table: ConnectionTable;
  /** Path of ovs-vswitchd's control socket. */
  readonly control: () => string;
  readonly lookups: Pick<Lookups, "keep" | "table">;
  readonly log: Log;
}

export class ConnectionReview {
  readonly #options: ConnectionReviewOptions;
  #client: OpenFlowClient | undefined;
  #lastEndMs = 0;
  /** As long as the last review took: reviews of many connections are not to keep the switch busy all the time. */
  #restMs = 0;

  constructor(options: ConnectionReviewOptions) {
    this.#options = options;
  }

  connected(client: OpenFlowClient): void {
    this.#client = client;
  }

  /**
   * Settles when nothing passes any more that the flows of the time of the call do not admit: neither by what the datapath
   * remembers of older flows, nor as a part of an established connection. O(remembered flows and tracked connections),
   * after a rest from the review before.
   * @throws {UnavailableError} @throws {PeerError}
   */
  async run(): Promise<void> {
    await sleep(Math.max(0, this.#lastEndMs + this.#restMs - performance.now()));
    const begunMs = performance.now();
    try {
      await this.#renewed();
      await this.cut();
    } finally {
      this.#lastEndMs = performance.now();
      this.#restMs = Math.min(this.#lastEndMs - begunMs, longestRestMs);
    }
  }

  /** Cuts the tracked connections that are not admitted now. @throws {UnavailableError} @throws {PeerError} */
  async cut(): Promise<void> {
    const { state, table, lookups, log } = this.#options;
    const connections = await table.list();
    const view = viewOf(state, lookups);
    lookups.keep(connections, ({ zone, source }) => view.endpointAt(zone, source)?.id);
    const readmission = new Readmission(view);
    // Label 0 is of connections that another user of the datapath has committed.
    const [revoked, others] = partition(
      connections,
      (connection) => connection.label !== 0n && !readmission.admits(connection),
    );
    const services = new DatagramServices(state);
    const stranded = others.filter((connection) => services.isStranded(connection));
    if (stranded.length > 0) {
      await table.delete(stranded);
      log.info({ connections: stranded.length }, "cut UDP to backends that are gone");
    }
    if (revoked.length === 0) return;
    await this.#switch().bundle(revoked.flatMap(blockOf).map(addFlow));
    // The server's next packet would open the connection from its end if the datapath did not know of the block.
    await this.#renewed();
    await table.delete(revoked);
    log.info({ connections: revoked.length }, "cut connections that no rule admits any more");
  }

  async #renewed(): Promise<void> {
    const { control } = this.#options;
    await revalidated({ control, nudge: async () => await this.#switch().change(nudge) });
  }

  #switch(): OpenFlowClient {
    if (this.#client === undefined) throw new UnavailableError("no connection to the switch");
    return this.#client;
  }
}
