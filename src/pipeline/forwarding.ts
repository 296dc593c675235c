// The flows that every node has, whatever it is told: connection tracking, the calls of the two functions, which ways
// through the node are open.
import type { Family } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import { unroutable } from "../net/unroutable.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import { encodeCookie } from "./cookie.ts";
import {
  type FlowDraft,
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
      next: "Conntrack",
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

/** Past the policies, though not past the question whether the source may be where the packet came from. */
function renderBypass(priority: number, state: KnownMatch): Flow[] {
  const known = { table: "ConntrackState", actions: [load("known", 1)] } as const;
  const local = whereRegister("origin", origins.local);
  return [
    // A local source has passed the guard of its port.
    plumb({ ...known, priority: priority + 10, match: [state, local], next: "Destination" }),
    plumb({ ...known, priority, match: [state], next: "Source" }),
  ];
}

function renderConntrack(): Flow[] {
  const zone = subfield("domain");
  const track: Action = { kind: "ct", zone, table: tables.ConntrackState.number };
  const state = { table: "ConntrackState" } as const;
  return [
    ...families.map((family) =>
      plumb({ table: "Conntrack", priority: 100, match: [whereFamily(family)], actions: [track] }),
    ),
    refuse("invalidState", {
      ...state,
      priority: 400,
      match: [whereState(["tracked", "invalid"])],
    }),
    // The datapath in user space tracks SCTP without its ports: a known connection says nothing about another port.
    ...families.map((family) =>
      plumb({
        ...state,
        priority: 350,
        match: [
          whereState(["tracked", "established"], ["new", "reply"]),
          whereFamily(family),
          whereField("ip_proto", protocolNumbers.SCTP),
        ],
        next: "Source",
      }),
    ),
    ...renderBypass(300, whereState(["tracked", "established"], ["new"])),
    ...renderBypass(200, whereState(["tracked", "related"], ["new"])),
    plumb({ ...state, priority: 100, match: [whereState(["tracked", "new"])], next: "Source" }),
  ];
}

/** Calls functions with an address of the packet. The answers are zero before, since an unknown address leaves none. */
function ask(
  family: Family,
  end: "source" | "destination",
  callees: readonly TableName[],
): Action[] {
  const address = wholeField(familyFields[family][end]);
  return [
    move(address, subfield(familyFields[family].argument)),
    load("resultIdentity", 0),
    load("resultLocation", 0),
    load("resultRegion", 0),
    load("place", places.outside),
    ...callees.map(call),
  ];
}

function keep(pairs: readonly (readonly [from: RegisterName, to: RegisterName])[]): Action[] {
  return pairs.map(([from, to]) => move(subfield(from), subfield(to)));
}

function renderSource(family: Family): Flow[] {
  const from = (origin: Origin): Pick<FlowDraft, "table" | "priority" | "match"> => ({
    table: "Source",
    priority: 100,
    match: [whereRegister("origin", origins[origin]), whereFamily(family)],
  });
  const region = keep([["resultRegion", "sourceRegion"]]);
  const identity = keep([["resultIdentity", "sourceIdentity"]]);
  const lookUp = [...ask(family, "source", ["Endpoint", "Region"]), ...region, ...identity];
  return [
    // A local endpoint's identity is known from its port, which is stronger than its address.
    plumb({
      ...from("local"),
      actions: [...ask(family, "source", ["Region"]), ...region],
      next: "Destination",
    }),
    plumb({ ...from("tunnel"), actions: lookUp, next: "SourceCheck" }),
    plumb({ ...from("gateway"), actions: lookUp, next: "SourceCheck" }),
  ];
}

/** Through the gateway come the node itself and what is outside; a domain's addresses never do. */
function renderGatewaySources(): Flow[] {
  return (["ownNode", "outside"] as const).map((place) =>
    plumb({
      table: "SourceCheck",
      priority: 100,
      match: [whereRegister("origin", origins.gateway), whereRegister("place", places[place])],
      next: "Destination",
    }),
  );
}

function renderDestination(family: Family): Flow[] {
  const location = keep([["resultLocation", "location"]]);
  const when = (known: 0 | 1): Pick<FlowDraft, "table" | "priority" | "match"> => ({
    table: "Destination",
    priority: 100,
    match: [whereRegister("known", known), whereFamily(family)],
  });
  return [
    plumb({
      ...when(1),
      actions: [...ask(family, "destination", ["Endpoint"]), ...location],
      next: "Route",
    }),
    plumb({
      ...when(0),
      actions: [
        ...ask(family, "destination", ["Endpoint", "Region"]),
        ...location,
        ...keep([
          ["resultIdentity", "destinationIdentity"],
          ["resultRegion", "destinationRegion"],
        ]),
      ],
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
    ...families.flatMap(renderSource),
    ...renderGatewaySources(),
    ...families.flatMap(renderDestination),
    ...renderUnroutable(),
    ...renderRoute(),
    ...renderPolicyWay(),
    ...renderForward(),
  ];
}
