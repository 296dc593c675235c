// The flows that every node has, whatever it is told: connection tracking, the calls of the two functions, which ways
// through the node are open.
import type { Family } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { unroutable } from "../net/unroutable.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import { encodeCookie } from "./cookie.ts";
import {
  type KnownMatch,
  buildFlow,
  call,
  familyFields,
  load,
  move,
  setField,
  subfield,
  whereArgument,
  whereFamily,
  whereField,
  whereRegister,
  wholeField,
} from "./flow-builder.ts";
import { renderPolicyWay } from "./gates.ts";
import { renderNeighbour, routerMac } from "./neighbour.ts";
import { plumb, refuse } from "./plumbing.ts";
import { type Origin, type Place, type RegisterName, origins, places } from "./registers.ts";
import { type TableName, tableNames, tables } from "./tables.ts";

const families = [4, 6] as const satisfies readonly Family[];

/** Priorities in `Endpoint`: what is more specific decides. */
export const endpointPriorities = { unroutable: 400, endpoint: 300, node: 200, pool: 100 } as const;

/** OFPVID_PRESENT: OpenFlow Switch Specification 1.5.1, section 7.2.3.8. */
const vlanPresent = 0x1000;

/** Bits of `ct_state`, as ovs-fields(7) numbers them. */
const ctState = {
  new: 1n,
  established: 2n,
  related: 4n,
  reply: 8n,
  invalid: 16n,
  tracked: 32n,
} as const;

/** Nothing matched: dropped, and counted by table. */
function renderMisses(): Flow[] {
  return tableNames
    .filter((table) => tables[table].miss === "drop" && !("reserved" in tables[table]))
    .map((table) =>
      buildFlow({
        table,
        priority: 0,
        cookie: encodeCookie({ feature: "miss", verdict: "deny", number: tables[table].number }),
        match: [],
      }),
    );
}

/** Behind a tag the other fields would look as without it. */
function renderUntagged(): Flow {
  const tagged = whereField("vlan_vid", vlanPresent, BigInt(vlanPresent));
  return refuse("vlanTag", { table: "Classify", priority: 300, match: [tagged] });
}

/** A peer has guarded its own endpoints; here only its packets to the router pass. */
function renderTunnelGuard(): Flow[] {
  return families.map((family) =>
    plumb({
      table: "SpoofGuard",
      priority: 100,
      match: [
        whereRegister("origin", origins.tunnel),
        whereFamily(family),
        whereField("eth_dst", routerMac),
      ],
      next: "Sender",
    }),
  );
}

type StateFlag = keyof typeof ctState;

/** Matches connections with all of the flags of `set` and none of `clear`. */
export function whereState(
  set: readonly StateFlag[],
  clear: readonly StateFlag[] = [],
): KnownMatch {
  const bitsOf = (flags: readonly StateFlag[]): bigint =>
    flags.reduce((bits, flag) => bits | ctState[flag], 0n);
  return whereField("ct_state", bitsOf(set), bitsOf([...set, ...clear]));
}

/** Past the policies: who may send was asked before the connection was. */
function renderBypass(priority: number, state: KnownMatch): Flow {
  return plumb({
    table: "ConntrackState",
    priority,
    match: [state],
    actions: [load("known", 1)],
    next: "Destination",
  });
}

/** A peer has picked the backend of what it sends; a local endpoint's region is not known yet. */
const afterNew = {
  local: "Source",
  gateway: "Service",
  tunnel: "Destination",
} as const satisfies Record<Origin, TableName>;

function renderNew(priority: number, match: readonly KnownMatch[]): Flow[] {
  return (["local", "gateway", "tunnel"] as const).map((origin) =>
    plumb({
      table: "ConntrackState",
      priority,
      match: [...match, whereRegister("origin", origins[origin])],
      next: afterNew[origin],
    }),
  );
}

/** What the next pass through the tables must not depend on: a connection has one flow there, and not one for each sender. */
function forget(family: Family): Action[] {
  return [load(familyFields[family].argument, 0), ...answerless, load("peer", 0)];
}

function renderConntrack(): Flow[] {
  const zone = subfield("domain");
  const track: Action = { kind: "ct", zone, table: tables.ConntrackState.number, nat: {} };
  const state = { table: "ConntrackState" } as const;
  return [
    ...families.map((family) =>
      plumb({
        table: "Conntrack",
        priority: 100,
        match: [whereFamily(family)],
        actions: [...forget(family), track],
      }),
    ),
    refuse("invalidState", {
      ...state,
      priority: 400,
      match: [whereState(["tracked", "invalid"])],
    }),
    // The datapath in user space tracks SCTP without its ports: a known connection says nothing about another port.
    ...families.flatMap((family) =>
      renderNew(350, [
        whereState(["tracked", "established"], ["new", "reply"]),
        whereFamily(family),
        whereField("ip_proto", protocolNumbers.SCTP),
      ]),
    ),
    renderBypass(300, whereState(["tracked", "established"], ["new"])),
    renderBypass(200, whereState(["tracked", "related"], ["new"])),
    ...renderNew(100, [whereState(["tracked", "new"])]),
  ];
}

/** What functions answer when they do not know the address. */
const answerless: readonly Action[] = [
  load("resultIdentity", 0),
  load("resultLocation", 0),
  load("resultRegion", 0),
  load("place", places.outside),
];

/** Calls functions with an address of the packet. */
function ask(
  family: Family,
  end: "source" | "destination",
  callees: readonly TableName[],
): Action[] {
  const address = wholeField(familyFields[family][end]);
  return [
    move(address, subfield(familyFields[family].argument)),
    ...answerless,
    ...callees.map(call),
  ];
}

function keep(pairs: readonly (readonly [from: RegisterName, to: RegisterName])[]): Action[] {
  return pairs.map(([from, to]) => move(subfield(from), subfield(to)));
}

/** Before the connection is tracked, since a tracked packet may show another source than the one that sent it. */
function renderSender(family: Family): Flow[] {
  const lookUp = [
    ...ask(family, "source", ["Endpoint", "Region"]),
    ...keep([
      ["resultRegion", "sourceRegion"],
      ["resultIdentity", "sourceIdentity"],
    ]),
  ];
  return (["tunnel", "gateway"] as const).map((origin) =>
    plumb({
      table: "Sender",
      priority: 100,
      match: [whereRegister("origin", origins[origin]), whereFamily(family)],
      actions: lookUp,
      next: "SenderCheck",
    }),
  );
}

/** Through the gateway come the node itself and what is outside; a domain's addresses never do. */
function renderGatewaySenders(): Flow[] {
  return (["ownNode", "outside"] as const).map((place) =>
    plumb({
      table: "SenderCheck",
      priority: 100,
      match: [whereRegister("origin", origins.gateway), whereRegister("place", places[place])],
      next: "Conntrack",
    }),
  );
}

/** A local endpoint's identity is known from its port, which is stronger than its address. */
function renderSource(family: Family): Flow {
  return plumb({
    table: "Source",
    priority: 100,
    match: [whereFamily(family)],
    actions: [...ask(family, "source", ["Region"]), ...keep([["resultRegion", "sourceRegion"]])],
    next: "Service",
  });
}

function renderDestination(family: Family): Flow[] {
  const location = keep([["resultLocation", "location"]]);
  const found = [
    ...location,
    ...keep([
      ["resultIdentity", "destinationIdentity"],
      ["resultRegion", "destinationRegion"],
    ]),
  ];
  const when = (priority: number, ...match: KnownMatch[]) =>
    ({ table: "Destination", priority, match: [...match, whereFamily(family)] }) as const;
  return [
    plumb({
      ...when(100, whereRegister("known", 1)),
      actions: [...ask(family, "destination", ["Endpoint"]), ...location],
      next: "Route",
    }),
    plumb({
      ...when(100, whereRegister("known", 0)),
      actions: [...ask(family, "destination", ["Endpoint", "Region"]), ...found],
      next: "Route",
    }),
    // The backend's address is in the argument already; the packet still shows the virtual one.
    plumb({
      ...when(200, whereRegister("known", 0), whereRegister("balanced", 1)),
      actions: [...answerless, call("Endpoint"), call("Region"), ...found],
      next: "Route",
    }),
  ];
}

/** Every other combination is transit and dropped. */
const ways: Readonly<Record<Origin, readonly Place[]>> = {
  local: ["local", "remote", "ownNode", "outside"],
  tunnel: ["local", "ownNode"],
  gateway: ["local", "remote"],
};

function renderRoute(): Flow[] {
  const flows: Flow[] = [];
  for (const origin of ["local", "tunnel", "gateway"] as const) {
    for (const place of ways[origin]) {
      const match = [
        whereRegister("origin", origins[origin]),
        whereRegister("place", places[place]),
      ];
      const route = { table: "Route", priority: 100 } as const;
      flows.push(
        plumb({ ...route, match: [...match, whereRegister("known", 0)], next: "Transport" }),
        plumb({ ...route, match: [...match, whereRegister("known", 1)], next: "Forward" }),
      );
    }
  }
  const refused = { table: "Route", priority: 200 } as const;
  return [
    ...flows,
    refuse("noEndpoint", { ...refused, match: [whereRegister("place", places.unassigned)] }),
    refuse("unroutable", { ...refused, match: [whereRegister("place", places.unroutable)] }),
  ];
}

function renderUnroutable(): Flow[] {
  return unroutable.map((prefix) =>
    plumb({
      table: "Endpoint",
      priority: endpointPriorities.unroutable,
      match: whereArgument(prefix),
      actions: [load("place", places.unroutable)],
    }),
  );
}

function renderForward(): Flow[] {
  return families.map((family) =>
    plumb({
      table: "Forward",
      priority: 100,
      match: [whereFamily(family)],
      actions: [{ kind: "dec-ttl" }, setField("eth_src", routerMac)],
      next: "Output",
    }),
  );
}

/** The flows that depend on nothing. */
export function renderForwarding(): readonly Flow[] {
  return [
    ...renderMisses(),
    renderUntagged(),
    ...renderTunnelGuard(),
    ...renderNeighbour(),
    ...renderConntrack(),
    ...families.flatMap(renderSender),
    ...renderGatewaySenders(),
    ...families.map(renderSource),
    plumb({ table: "Service", priority: 0, match: [], next: "Destination" }),
    ...families.flatMap(renderDestination),
    ...renderUnroutable(),
    ...renderRoute(),
    ...renderPolicyWay(),
    ...renderForward(),
  ];
}
