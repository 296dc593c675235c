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
  origin: bits(0, 2, [["Classify", "Commit"]], "Where the packet came in."),
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
  hairpin: bits(
    8,
    1,
    [["ConntrackState", "Forward"]],
    "1 when the connection goes back to the port that it came from.",
  ),
  entered: bits(
    9,
    1,
    [["SenderCheck", "Commit"]],
    "1 when it came into the overlay at another node, from a client that is not there.",
  ),
  external: bits(10, 1, [["SenderCheck", "Service"]], "1 when the client is outside the overlay."),
  nodeAddress: bits(11, 1, [["NodeAddress", "Service"]], "1 when a node's address is meant."),
  entry: {
    field: "reg8",
    offset: 16,
    bits: 16,
    live: [["SenderCheck", "Commit"]],
    purpose: "Number of the node where it came into the overlay, when `entered`.",
  },
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
    ["ConntrackState", "TunnelOutput"],
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
  choice: whole(
    "reg11",
    ["Service", "Remember"],
    "Group of the backends, of a service with affinity.",
  ),
  egressDecision: whole(
    "reg4",
    ["Transport", "Commit"],
    "What admitted the connection at its source.",
  ),
  ingressDecision: whole(
    "reg5",
    ["Transport", "Commit"],
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

/** Bits of `ct_mark`: how the connection came in, which says where its replies go. */
export const marks = {
  entry: { field: "ct_mark", offset: 0, bits: 16 },
  hairpin: { field: "ct_mark", offset: 16, bits: 1 },
  entered: { field: "ct_mark", offset: 17, bits: 1 },
  origin: { field: "ct_mark", offset: 18, bits: 2 },
} as const satisfies Partial<Record<RegisterName, unknown>>;

/** Conntrack zone of hairpin connections, from their port's point of view; no domain's. */
export const hairpinZone = 0xffff;

/** Bits of `ct_label` that hold the decisions which admitted a connection. */
export const labels = {
  egressDecision: { field: "ct_label", offset: 0, bits: 32 },
  ingressDecision: { field: "ct_label", offset: 32, bits: 32 },
} as const;
