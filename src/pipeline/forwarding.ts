// The flows that every node has, whatever it is told: connection tracking, the calls of the two functions, which ways
// through the node are open.
import type { Family } from "../net/address.ts";
import { unroutable } from "../net/unroutable.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import { answerless, renderConnections, renderHairpin } from "./connection.ts";
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
import {
  type Origin,
  type Place,
  type RegisterName,
  origins,
  places,
  registers,
  reservedIdentities,
} from "./registers.ts";
import { type TableName, tableNames, tables } from "./tables.ts";
import { hairpinAddresses, nodePortAddresses, virtualBits } from "./virtual-address.ts";

const families = [4, 6] as const satisfies readonly Family[];

/** Priorities in `Endpoint`: what is more specific decides. */
export const endpointPriorities = { unroutable: 400, endpoint: 300, node: 200, pool: 100 } as const;

/** OFPVID_PRESENT: OpenFlow Switch Specification 1.5.1, section 7.2.3.8. */
const vlanPresent = 0x1000;

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

/**
 * Through the gateway come the node itself and what is outside; a domain's addresses never do. Another node's do only on
 * their way to a service that this node stands for.
 */
function renderGatewaySenders(): Flow[] {
  const from = { table: "SenderCheck", priority: 100, next: "Conntrack" } as const;
  const gateway = whereRegister("origin", origins.gateway);
  return [
    plumb({ ...from, match: [gateway, whereRegister("place", places.ownNode)] }),
    plumb({
      ...from,
      match: [gateway, whereRegister("place", places.outside)],
      actions: [load("external", 1)],
    }),
    ...families.flatMap((family) =>
      [hairpinAddresses, nodePortAddresses].map((addresses) =>
        plumb({
          ...from,
          match: [
            gateway,
            whereRegister("place", places.remote),
            whereRegister("resultIdentity", reservedIdentities.node),
            whereFamily(family),
            whereField(familyFields[family].destination, virtualBits(addresses, family)),
          ],
        }),
      ),
    ),
  ];
}

/**
 * Clients outside, and nodes, come through another node when they use a service there: each peer is believed what it says of
 * those, as it could have sent it past the overlay as well. To be this node, which policies do not keep out, is not believed.
 */
function renderEntered(): Flow[] {
  const from = { table: "SenderCheck", priority: 90, next: "Conntrack" } as const;
  const tunnel = whereRegister("origin", origins.tunnel);
  const { entry } = registers;
  const actions = [
    load("entered", 1),
    move({ ...subfield("peer"), bits: entry.bits }, subfield("entry")),
  ];
  return [
    plumb({ ...from, match: [tunnel, whereRegister("place", places.outside)], actions }),
    plumb({
      ...from,
      match: [tunnel, whereRegister("place", places.ownNode)],
      actions: [...actions, load("sourceIdentity", reservedIdentities.node)],
    }),
    plumb({
      ...from,
      match: [
        tunnel,
        whereRegister("place", places.remote),
        whereRegister("resultIdentity", reservedIdentities.node),
      ],
      actions,
    }),
  ];
}

/** A local endpoint's identity is known from its port, which is stronger than its address. */
function renderSource(family: Family): Flow {
  return plumb({
    table: "Source",
    priority: 100,
    match: [whereFamily(family)],
    actions: [...ask(family, "source", ["Region"]), ...keep([["resultRegion", "sourceRegion"]])],
    next: "NodeAddress",
  });
}

/** What the node's own stack sends on to the switch because of its node ports. */
function renderNodePortAddress(family: Family): Flow {
  const { destination } = familyFields[family];
  return plumb({
    table: "NodeAddress",
    priority: 100,
    match: [
      whereRegister("origin", origins.gateway),
      whereFamily(family),
      whereField(destination, virtualBits(nodePortAddresses, family)),
    ],
    actions: [load("nodeAddress", 1)],
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

/** The node reaches what it or the world has behind a service by way of the switch, and is sent what it is to send on. */
function renderBack(place: Place, ...match: readonly KnownMatch[]): Flow {
  return plumb({
    table: "Route",
    priority: 300,
    match: [
      whereRegister("origin", origins.gateway),
      whereRegister("place", places[place]),
      whereRegister("balanced", 1),
      ...match,
    ],
    actions: [load("hairpin", 1)],
    next: "Transport",
  });
}

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
    renderBack("ownNode"),
    renderBack("outside"),
    renderBack("remote", whereRegister("destinationIdentity", reservedIdentities.node)),
    // What is not in the overlay is reached past it.
    refuse("noEndpoint", {
      ...refused,
      match: [whereRegister("entered", 1), whereRegister("place", places.ownNode)],
    }),
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
  return families.flatMap((family) => [
    plumb({
      table: "Forward",
      priority: 100,
      match: [whereFamily(family)],
      actions: [{ kind: "dec-ttl" }, setField("eth_src", routerMac)],
      next: "Output",
    }),
    plumb({
      table: "Forward",
      priority: 300,
      match: [whereFamily(family), whereRegister("hairpin", 1)],
      actions: [
        { kind: "dec-ttl" },
        move(wholeField("eth_src"), wholeField("eth_dst")),
        setField("eth_src", routerMac),
      ],
      next: "Hairpin",
    }),
  ]);
}

/** The flows that depend on nothing. */
export function renderForwarding(): readonly Flow[] {
  return [
    ...renderMisses(),
    renderUntagged(),
    ...renderTunnelGuard(),
    ...renderNeighbour(),
    ...renderConnections(),
    ...families.flatMap(renderSender),
    ...renderGatewaySenders(),
    ...renderEntered(),
    ...families.map(renderSource),
    ...families.map(renderNodePortAddress),
    plumb({ table: "NodeAddress", priority: 0, match: [], next: "Service" }),
    plumb({ table: "Service", priority: 0, match: [], next: "Destination" }),
    ...families.flatMap(renderDestination),
    ...renderUnroutable(),
    ...renderRoute(),
    ...renderPolicyWay(),
    ...renderForward(),
    ...renderHairpin(),
  ];
}
