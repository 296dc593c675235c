// The way of a new connection through the policies: what it asks for, who is asked, and that it becomes known.
import { type Address, type Family, formatAddress } from "../net/address.ts";
import { type PortProtocol, protocolNumbers } from "../net/protocol.ts";
import type { KnownFieldName } from "../openflow/field.ts";
import type { Action, Flow } from "../openflow/flow.ts";
import { reservedDecisions } from "./cookie.ts";
import {
  type FlowDraft,
  buildFlow,
  call,
  load,
  move,
  subfield,
  whereFamily,
  whereField,
  whereRegister,
  wholeField,
} from "./flow-builder.ts";
import { namesOf } from "./names.ts";
import { plumb } from "./plumbing.ts";
import { labels, marks, origins, places, reservedIdentities } from "./registers.ts";
import { laterFragment, serviceOf } from "./service-match.ts";
import { type TableName, tables } from "./tables.ts";

const families = [4, 6] as const satisfies readonly Family[];

/** Set in `ip_frag` for all fragments but the first. */
const laterFragments = 2n;

export const destinationPorts = {
  TCP: "tcp_dst",
  UDP: "udp_dst",
  SCTP: "sctp_dst",
} as const satisfies Record<PortProtocol, KnownFieldName>;

/** One register for protocol and port, so that the rules need one flow for both families and no prerequisites. */
function renderTransport(): Flow[] {
  const flows: Flow[] = [];
  for (const family of families) {
    flows.push(
      plumb({
        table: "Transport",
        priority: 300,
        match: [whereFamily(family), whereField("ip_frag", laterFragments, laterFragments)],
        actions: [load("service", laterFragment)],
        next: "EgressGate",
      }),
    );
    for (const protocol of namesOf(destinationPorts)) {
      const number = protocolNumbers[protocol];
      flows.push(
        plumb({
          table: "Transport",
          priority: 200,
          match: [whereFamily(family), whereField("ip_proto", number)],
          actions: [
            load("service", serviceOf(protocol)),
            move(wholeField(destinationPorts[protocol]), subfield("service")),
          ],
          next: "EgressGate",
        }),
      );
    }
  }
  // No policy keeps an endpoint from itself, nor what leaves the overlay again.
  const hairpin = plumb({
    table: "Transport",
    priority: 500,
    match: [whereRegister("hairpin", 1)],
    actions: [
      load("egressDecision", reservedDecisions.itself),
      load("ingressDecision", reservedDecisions.itself),
    ],
    next: "Commit",
  });
  flows.push(hairpin);
  // The backend's port is there already; the packet still shows the virtual one.
  const balanced = [whereRegister("balanced", 1)];
  flows.push(plumb({ table: "Transport", priority: 400, match: balanced, next: "EgressGate" }));
  // Protocols without ports leave the register zero, which only rules without ports match.
  return [...flows, plumb({ table: "Transport", priority: 0, match: [], next: "EgressGate" })];
}

/** What the table does not decide goes on. */
function pass(table: TableName, next: TableName, ...actions: Action[]): Flow {
  return plumb({ table, priority: 0, match: [], actions, next });
}

function renderGates(): Flow[] {
  const local = whereRegister("place", places.local);
  return [
    plumb({
      table: "EgressGate",
      priority: 100,
      match: [whereRegister("origin", origins.local)],
      actions: [load("destinationNames", 0), call("Name")],
      next: "EgressAdmin",
    }),
    pass("EgressGate", "IngressGate", load("egressDecision", reservedDecisions.notHere)),
    pass("EgressAdmin", "EgressIsobar"),
    pass("EgressIsobar", "EgressRule"),
    pass("EgressRule", "EgressPosture"),
    pass("EgressBaseline", "IngressGate", load("egressDecision", reservedDecisions.open)),
    plumb({
      table: "IngressGate",
      priority: 200,
      match: [local, whereRegister("sourceIdentity", reservedIdentities.ownNode)],
      actions: [load("ingressDecision", reservedDecisions.ownNode)],
      next: "Commit",
    }),
    plumb({ table: "IngressGate", priority: 100, match: [local], next: "IngressAdmin" }),
    pass("IngressGate", "Commit", load("ingressDecision", reservedDecisions.notHere)),
    pass("IngressAdmin", "IngressIsobar"),
    pass("IngressIsobar", "IngressRule"),
    pass("IngressRule", "IngressPosture"),
    pass("IngressBaseline", "Commit", load("ingressDecision", reservedDecisions.open)),
  ];
}

const decisions = [
  move(subfield("egressDecision"), labels.egressDecision),
  move(subfield("ingressDecision"), labels.ingressDecision),
  ...namesOf(marks).map((name) => move(subfield(name), marks[name])),
];

function renderCommit(): Flow[] {
  const commit: Action = { kind: "ct", commit: true, zone: subfield("domain"), exec: decisions };
  return families.map((family) =>
    plumb({
      table: "Commit",
      priority: 100,
      match: [whereFamily(family)],
      actions: [commit],
      next: "Forward",
    }),
  );
}

/** Makes a connection known as one that is translated to a backend's address and port. */
export function renderCommitTo({
  address,
  port,
  cookie,
  match,
}: Pick<FlowDraft, "cookie" | "match"> & {
  readonly address: Address;
  readonly port: number;
}): Flow {
  const to = formatAddress(address);
  const commit: Action = {
    kind: "ct",
    commit: true,
    zone: subfield("domain"),
    table: tables.Forward.number,
    nat: { type: "dst", addressMin: to, portMin: port },
    exec: decisions,
  };
  return buildFlow({
    table: "Commit",
    priority: 200,
    cookie,
    match: [whereRegister("balanced", 1), ...match],
    actions: [commit],
  });
}

/** From `Transport` to `Commit`. */
export function renderPolicyWay(): readonly Flow[] {
  return [...renderTransport(), ...renderGates(), ...renderCommit()];
}
