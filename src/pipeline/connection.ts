// How packets are told by the connection that they belong to: tracked in their domain's zone, translated as it was when it
// began, and past the policies once it is known.
import type { Family } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import { reservedPorts } from "../openflow/port-number.ts";
import {
  type KnownMatch,
  familyFields,
  load,
  move,
  subfield,
  whereFamily,
  whereField,
  whereRegister,
} from "./flow-builder.ts";
import { plumb, refuse } from "./plumbing.ts";
import { type Origin, hairpinZone, marks, origins, places } from "./registers.ts";
import { type TableName, tables } from "./tables.ts";
import { hairpinAddresses, virtualBits } from "./virtual-address.ts";

const families = [4, 6] as const satisfies readonly Family[];

/** Bits of `ct_state`, as ovs-fields(7) numbers them. */
const ctState = {
  new: 1n,
  established: 2n,
  related: 4n,
  reply: 8n,
  invalid: 16n,
  tracked: 32n,
} as const;

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

/** Matches connections with these marks; what is not named does not count. */
function whereMarks(values: Partial<Record<keyof typeof marks, number>>): KnownMatch {
  let value = 0n;
  let mask = 0n;
  for (const name of ["hairpin", "entered", "origin"] as const) {
    const { offset, bits } = marks[name];
    const wanted = values[name];
    if (wanted === undefined) continue;
    value |= BigInt(wanted) << BigInt(offset);
    mask |= ((1n << BigInt(bits)) - 1n) << BigInt(offset);
  }
  return whereField("ct_mark", value, mask);
}

/** What functions answer when they do not know the address. */
export const answerless: readonly Action[] = [
  load("resultIdentity", 0),
  load("resultLocation", 0),
  load("resultRegion", 0),
  load("place", places.outside),
];

/** What the next pass through the tables must not depend on: a connection has one flow there, and not one for each sender. */
function forget(family: Family): Action[] {
  return [load(familyFields[family].argument, 0), ...answerless, load("peer", 0)];
}

/** Established, and what answers one end because of the other (ICMP errors). */
const known = [
  whereState(["tracked", "established"], ["new"]),
  whereState(["tracked", "related"], ["new"]),
] as const;
const knownReplies = [
  whereState(["tracked", "established", "reply"], ["new"]),
  whereState(["tracked", "related", "reply"], ["new"]),
] as const;

const track: Action = {
  kind: "ct",
  zone: subfield("domain"),
  table: tables.ConntrackState.number,
  nat: {},
};

/** What answers a hairpin connection is first what its port sees of it, and then what its client does. */
function renderHairpinReplies(family: Family): Flow[] {
  const { destination } = familyFields[family];
  const unhairpin: Action = {
    kind: "ct",
    zone: hairpinZone,
    table: tables.HairpinReply.number,
    nat: {},
  };
  return [
    plumb({
      table: "Conntrack",
      priority: 200,
      match: [whereFamily(family), whereField(destination, virtualBits(hairpinAddresses, family))],
      actions: [...forget(family), unhairpin],
    }),
    ...knownReplies.map((state, index) =>
      plumb({
        table: "HairpinReply",
        priority: 100 - index,
        match: [state, whereFamily(family)],
        actions: [track],
      }),
    ),
  ];
}

/** A peer has picked the backend of what it sends; a local endpoint's region is not known yet. */
const afterNew = {
  local: "Source",
  gateway: "NodeAddress",
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

/** Past the policies: who may send was asked before the connection was. */
function renderKnown(): Flow[] {
  const state = { table: "ConntrackState" } as const;
  return [
    ...known.map((match, index) =>
      plumb({
        ...state,
        priority: 300 - 100 * index,
        match: [match, whereRegister("entered", 0)],
        actions: [load("known", 1)],
        next: "Destination",
      }),
    ),
    // A peer speaks for clients elsewhere only on connections that they have opened by way of a peer.
    ...known.map((match, index) =>
      plumb({
        ...state,
        priority: 300 - 100 * index,
        match: [match, whereRegister("entered", 1), whereMarks({ entered: 1 })],
        actions: [load("known", 1)],
        next: "Destination",
      }),
    ),
    ...known.map((match, index) =>
      plumb({
        ...state,
        priority: 380 - index,
        match: [match, whereRegister("entered", 0), whereMarks({ hairpin: 1 })],
        actions: [load("hairpin", 1)],
        next: "Forward",
      }),
    ),
    // The node's own stack knows where the client is, and has translated its address as well.
    ...knownReplies.map((match, index) =>
      plumb({
        ...state,
        priority: 330 - index,
        match: [
          match,
          whereRegister("entered", 0),
          whereMarks({ hairpin: 0, origin: origins.gateway }),
        ],
        actions: [load("place", places.outside)],
        next: "Forward",
      }),
    ),
    // Only the node where the connection came in knows under which address the client has opened it.
    ...knownReplies.map((match, index) =>
      plumb({
        ...state,
        priority: 330 - index,
        match: [
          match,
          whereRegister("entered", 0),
          whereMarks({ hairpin: 0, entered: 1, origin: origins.tunnel }),
        ],
        actions: [
          load("place", places.remote),
          load("location", 0),
          move(marks.entry, subfield("location")),
        ],
        next: "Forward",
      }),
    ),
  ];
}

/** From `Conntrack` to `ConntrackState`. */
export function renderConnections(): Flow[] {
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
    ...families.flatMap(renderHairpinReplies),
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
    ...renderKnown(),
    ...renderNew(100, [whereState(["tracked", "new"])]),
  ];
}

/** The connection leaves by the port that it came through: its source is translated, and its answers are not any more. */
export function renderHairpin(): Flow[] {
  const back: Action = { kind: "output", port: reservedPorts.inPort };
  return [
    plumb({
      table: "Hairpin",
      priority: 200,
      match: [whereState(["tracked", "reply"])],
      actions: [back],
    }),
    ...families.map((family) =>
      plumb({
        table: "Hairpin",
        priority: 100,
        match: [whereFamily(family)],
        actions: [
          {
            kind: "ct",
            commit: true,
            zone: hairpinZone,
            table: tables.HairpinOutput.number,
            nat: { type: "src", addressMin: hairpinAddresses[family] },
          },
        ],
      }),
    ),
    plumb({ table: "HairpinOutput", priority: 100, match: [], actions: [back] }),
  ];
}
