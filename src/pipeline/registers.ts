// The registers of the pipeline: which bits hold what, and from which table to which the value is alive. A test rejects
// two values that are alive together in the same bits.
import type { KnownFieldName } from "../openflow/field.ts";
import { namesOf } from "./names.ts";
import type { TableName } from "./tables.ts";

export interface Register {
  readonly field: KnownFieldName;
  readonly offset: number;
  readonly bits: number;
  /** First and last table in which it is alive, both included; a function table belongs to its callers. */
  readonly live: readonly (readonly [TableName, TableName])[];
  /** Only for packets of that family; so the two families may share bits. */
  readonly family?: 4 | 6;
  readonly purpose: string;
}

function whole(
  field: KnownFieldName,
  live: readonly [TableName, TableName],
  purpose: string,
): Register {
  return { field, offset: 0, bits: 32, live: [live], purpose };
}

const lookups = [
  ["Sender", "Conntrack"],
  ["Source", "Source"],
  ["Destination", "Destination"],
] as const;

function bits(offset: number, width: number, live: Register["live"], purpose: string): Register {
  return { field: "reg7", offset, bits: width, live, purpose };
}

export const registers = {
  argument4: {
    ...whole("reg0", ["Neighbour", "Destination"], "Address that a function is called with."),
    family: 4,
  },
  argument6: {
    field: "xxreg0",
    offset: 0,
    bits: 128,
    live: [["Sender", "Destination"]],
    family: 6,
    purpose: "Address that a function is called with.",
  },
  resultIdentity: {
    ...whole("reg4", ["Sender", "SenderCheck"], "Answer of Endpoint: identity."),
    live: lookups,
  },
  resultLocation: {
    ...whole(
      "reg5",
      ["Sender", "Conntrack"],
      "Answer of Endpoint: port of a local endpoint, number of a remote one's node.",
    ),
    live: lookups,
  },
  resultRegion: {
    ...whole("reg6", ["Sender", "SenderCheck"], "Answer of Region: region."),
    live: lookups,
  },
  origin: bits(0, 2, [["Classify", "IngressGate"]], "Where the packet came in."),
  known: bits(
    2,
    1,
    [["ConntrackState", "Route"]],
    "1 when the connection is known and bypasses the policies.",
  ),
  balanced: bits(
    3,
    1,
    [["Backend", "Commit"]],
    "1 when the connection goes to a backend instead of its destination address.",
  ),
  place: bits(
    4,
    4,
    [["Sender", "Output"]],
    "Answer of Endpoint: what has the address. First of the source, then of the destination.",
  ),
  domain: {
    ...whole("reg8", ["Classify", "Output"], "Domain; its conntrack zone as well."),
    bits: 16,
  },
  sourceIdentity: whole(
    "reg9",
    ["Classify", "IngressBaseline"],
    "Identity of the source; 0 outside the overlay.",
  ),
  sourceRegion: whole("reg10", ["Sender", "IngressBaseline"], "Region of the source."),
  destinationIdentity: whole(
    "reg11",
    ["Destination", "IngressBaseline"],
    "Identity of the destination; 0 outside the overlay.",
  ),
  destinationRegion: whole(
    "reg12",
    ["Destination", "IngressBaseline"],
    "Region of the destination.",
  ),
  location: whole(
    "reg13",
    ["Destination", "TunnelOutput"],
    "Port of a local destination, number of a remote one's node.",
  ),
  service: {
    ...whole(
      "reg14",
      ["Backend", "IngressBaseline"],
      "Destination port (bits 0 to 15), protocol (16 to 23), 1 in bit 24 for a later fragment.",
    ),
    bits: 25,
  },
  destinationNames: whole(
    "reg1",
    ["EgressGate", "EgressBaseline"],
    "Names under which the source has looked up the destination, as a set; 0 for none.",
  ),
  peer: whole(
    "reg15",
    ["Classify", "Conntrack"],
    "Number of the node whose tunnel the packet came through.",
  ),
  backend: whole("reg15", ["Service", "Commit"], "Number of the backend that was picked."),
  egressDecision: whole(
    "reg4",
    ["EgressGate", "Commit"],
    "What admitted the connection at its source.",
  ),
  ingressDecision: whole(
    "reg5",
    ["IngressGate", "Commit"],
    "What admitted the connection at its destination.",
  ),
} as const satisfies Record<string, Register>;

export type RegisterName = keyof typeof registers;

export const registerNames: readonly RegisterName[] = namesOf(registers);

/** Values of `origin`. */
export const origins = { local: 1, tunnel: 2, gateway: 3 } as const;
export type Origin = keyof typeof origins;

/** Values of `place`; 0 is an address that the domain does not know, outside its pools. */
export const places = {
  outside: 0,
  local: 1,
  remote: 2,
  ownNode: 3,
  unassigned: 4,
  unroutable: 5,
} as const;
export type Place = keyof typeof places;

/** Identities that are no endpoint's; numbers of endpoints' identities begin above them. */
export const reservedIdentities = { outside: 0, ownNode: 1, node: 2 } as const;

/** Bits of `ct_label` that hold the decisions which admitted a connection. */
export const labels = {
  egressDecision: { field: "ct_label", offset: 0, bits: 32 },
  ingressDecision: { field: "ct_label", offset: 32, bits: 32 },
} as const;
