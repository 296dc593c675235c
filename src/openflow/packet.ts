// Packets to and from the controller: OpenFlow Switch Specification 1.5.1, sections 7.4.1 (packet-in) and 7.3.6
// (packet-out); NXT_PACKET_IN2 in nicira-ext.h of Open vSwitch.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import { decodeActions, encodeActions } from "./action.ts";
import type { BodyCodec } from "./codec.ts";
import type { Action, Match } from "./flow.ts";
import { decodeMatch, decodeOxmList, encodeMatch, encodeOxmList } from "./match.ts";
import { decodeProperties, encodeProperty } from "./property.ts";

const noBuffer = 0xffffffff;

interface PacketInBody {
  /** Why the packet came: a number of ofp_packet_in_reason (0 no flow matched, 1 an action), or what the action says. */
  readonly reason: number;
  readonly table: number;
  /** Of the flow that sent the packet; all ones when there is none. */
  readonly cookie: bigint;
  /** Input port, registers, tunnel and conntrack fields as they were; fields of the packet itself are not told. */
  readonly metadata: Match;
  /** From the Ethernet header on, cut where the action says so. */
  readonly data: Uint8Array;
  /** Size of the whole packet. */
  readonly packetSize: number;
}

export interface PacketIn extends PacketInBody {
  readonly kind: "packet-in";
}

/** Nicira's form, which also has what the controller action added. */
export interface PacketIn2 extends PacketInBody {
  readonly kind: "packet-in2";
  readonly userdata?: Uint8Array;
  /** Opaque; given back in `resume` it lets the packet go on where it paused. */
  readonly continuation?: Uint8Array;
}

export const packetInCodec: BodyCodec<PacketIn> = {
  type: 10,
  encode(writer, packet) {
    writer.u32(noBuffer);
    writer.u16(packet.packetSize);
    writer.u8(packet.reason);
    writer.u8(packet.table);
    writer.u64(packet.cookie);
    encodeMatch(writer, packet.metadata);
    writer.zeros(2);
    writer.bytes(packet.data);
  },
  decode(reader) {
    reader.skip(4);
    const packetSize = reader.u16();
    const reason = reader.u8();
    const table = reader.u8();
    const cookie = reader.u64();
    const metadata = decodeMatch(reader);
    reader.skip(2);
    const data = reader.rest();
    return { kind: "packet-in", reason, table, cookie, metadata, data, packetSize };
  },
};

const property = {
  packet: 0,
  fullSize: 1,
  table: 3,
  cookie: 4,
  reason: 5,
  metadata: 6,
  userdata: 7,
  continuation: 8,
} as const;

const noCookie = (1n << 64n) - 1n;

/** The body of NXT_PACKET_IN2 and NXT_RESUME. */
export function encodePacketProperties(writer: Writer, packet: Omit<PacketIn2, "kind">): void {
  const { userdata, continuation } = packet;
  encodeProperty(writer, property.packet, () => writer.bytes(packet.data));
  if (packet.packetSize !== packet.data.length) {
    encodeProperty(writer, property.fullSize, () => writer.u32(packet.packetSize));
  }
  encodeProperty(writer, property.table, () => writer.u8(packet.table));
  if (packet.cookie !== noCookie) {
    encodeProperty(writer, property.cookie, () => {
      writer.zeros(4);
      writer.u64(packet.cookie);
    });
  }
  encodeProperty(writer, property.reason, () => writer.u8(packet.reason));
  encodeProperty(writer, property.metadata, () => encodeOxmList(writer, packet.metadata));
  if (userdata !== undefined) {
    encodeProperty(writer, property.userdata, () => writer.bytes(userdata));
  }
  if (continuation !== undefined) {
    encodeProperty(writer, property.continuation, () => writer.bytes(continuation));
  }
}

/** Unknown properties are skipped. @throws {DecodeError} */
export function decodePacketProperties(reader: Reader): Omit<PacketIn2, "kind"> {
  const packet: { -readonly [P in keyof Omit<PacketIn2, "kind">]: PacketIn2[P] } = {
    reason: 0,
    table: 0,
    cookie: noCookie,
    metadata: [],
    data: new Uint8Array(),
    packetSize: 0,
  };
  let fullSize: number | undefined;
  for (const { type, body } of decodeProperties(reader)) {
    if (type === property.packet) packet.data = body.rest();
    else if (type === property.fullSize) fullSize = body.u32();
    else if (type === property.table) packet.table = body.u8();
    else if (type === property.cookie) packet.cookie = (body.skip(4), body.u64());
    else if (type === property.reason) packet.reason = body.u8();
    else if (type === property.metadata) packet.metadata = decodeOxmList(body);
    else if (type === property.userdata) packet.userdata = body.rest();
    else if (type === property.continuation) packet.continuation = body.rest();
  }
  packet.packetSize = fullSize ?? packet.data.length;
  return packet;
}

export interface PacketOut {
  readonly kind: "packet-out";
  /** At least `in_port`, an ordinary port or `reservedPorts.controller`. */
  readonly metadata: Match;
  readonly actions: readonly Action[];
  readonly data: Uint8Array;
}

export const packetOutCodec: BodyCodec<PacketOut> = {
  type: 13,
  encode(writer, packet) {
    writer.u32(noBuffer);
    const sizeAt = writer.size;
    writer.zeros(4);
    encodeMatch(writer, packet.metadata);
    const start = writer.size;
    encodeActions(writer, packet.actions);
    writer.patchU16(sizeAt, writer.size - start);
    writer.bytes(packet.data);
  },
  decode(reader) {
    reader.skip(4);
    const actionsSize = reader.u16();
    reader.skip(2);
    const metadata = decodeMatch(reader);
    const actions = decodeActions(reader.sub(actionsSize));
    return { kind: "packet-out", metadata, actions, data: reader.rest() };
  },
};
