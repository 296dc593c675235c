// How a host refuses a connection, in the name of a virtual address that nobody answers for: TCP by a reset (RFC 9293 section
// 3.10.7.1), everything else with ports by ICMP's port unreachable (RFC 792; RFC 4443 section 3.1).
import { protocolNumbers } from "../../net/protocol.ts";
import type { PacketIn2 } from "../../openflow/packet.ts";
import { reservedPorts } from "../../openflow/port-number.ts";
import { decodeCookie, refusals } from "../../pipeline/cookie.ts";
import type { OpenFlowClient } from "../../switch/openflow-client.ts";

const ethernetSize = 14;
const ipv4 = 0x0800;
const ipv6 = 0x86dd;
const tcpSize = 20;
const icmpSize = 8;
const hopLimit = 64;

/** RFC 1812 section 4.3.2.3 for IPv4; RFC 4443 section 2.4 for IPv6: what the whole answer may take. */
const longestAnswer = { 4: 576, 6: 1280 } as const;
const icmp = {
  4: { protocol: 1, type: 3, code: 3 },
  6: { protocol: 58, type: 1, code: 4 },
} as const;

const flag = { fin: 1, syn: 2, reset: 4, acknowledge: 16 } as const;

/** What is needed of a packet to refuse it. */
interface Refused {
  readonly family: 4 | 6;
  /** Of its first sender. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** From the IP header on. */
  readonly packet: Uint8Array;
  /** As the header says, whether all of it is here or not. */
  readonly payloadSize: number;
  /** From the protocol's header on. */
  readonly payload: Uint8Array;
}

function readPacket(frame: Uint8Array): Refused | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < ethernetSize + 20) return undefined;
  const etherType = view.getUint16(12);
  const packet = frame.subarray(ethernetSize);
  if (etherType === ipv4) {
    const headerSize = (packet[0]! & 0x0f) * 4;
    // A later fragment has no ports.
    if ((view.getUint16(ethernetSize + 6) & 0x1fff) !== 0 || packet.length < headerSize) {
      return undefined;
    }
    return {
      family: 4,
      source: packet.subarray(12, 16),
      destination: packet.subarray(16, 20),
      protocol: packet[9]!,
      packet,
      payloadSize: view.getUint16(ethernetSize + 2) - headerSize,
      payload: packet.subarray(headerSize),
    };
  }
  if (etherType !== ipv6 || packet.length < 40) return undefined;
  return {
    family: 6,
    source: packet.subarray(8, 24),
    destination: packet.subarray(24, 40),
    protocol: packet[6]!,
    packet,
    payloadSize: view.getUint16(ethernetSize + 4),
    payload: packet.subarray(40),
  };
}

/** RFC 1071. */
function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function bytesOf(size: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** RFC 9293 section 3.1; RFC 8200 section 8.1. The same sum for both families. */
function pseudoHeader(refused: Refused, protocol: number, size: number): Uint8Array {
  const { bytes, view } = bytesOf(8);
  view.setUint32(0, size);
  view.setUint32(4, protocol);
  return Uint8Array.of(...refused.destination, ...refused.source, ...bytes);
}

/** `undefined` for what is a reset itself, or cut off. */
function renderReset(refused: Refused): Uint8Array | undefined {
  const { payload, payloadSize } = refused;
  if (payload.length < tcpSize) return undefined;
  const their = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const flags = their.getUint8(13);
  if ((flags & flag.reset) !== 0) return undefined;
  const { bytes, view } = bytesOf(tcpSize);
  view.setUint16(0, their.getUint16(2));
  view.setUint16(2, their.getUint16(0));
  view.setUint8(12, (tcpSize / 4) << 4);
  if ((flags & flag.acknowledge) !== 0) {
    view.setUint32(4, their.getUint32(8));
    view.setUint8(13, flag.reset);
  } else {
    const headerSize = (their.getUint8(12) >> 4) * 4;
    const marks = ((flags & flag.syn) === 0 ? 0 : 1) + ((flags & flag.fin) === 0 ? 0 : 1);
    view.setUint32(8, their.getUint32(4) + payloadSize - headerSize + marks);
    view.setUint8(13, flag.reset | flag.acknowledge);
  }
  view.setUint16(16, checksum(pseudoHeader(refused, protocolNumbers.TCP, tcpSize), bytes));
  return bytes;
}

function renderUnreachable(refused: Refused): Uint8Array {
  const { family, packet } = refused;
  const { protocol, type, code } = icmp[family];
  const headers = (family === 4 ? 20 : 40) + icmpSize;
  const quoted = packet.subarray(0, longestAnswer[family] - headers);
  const { bytes, view } = bytesOf(icmpSize + quoted.length);
  view.setUint8(0, type);
  view.setUint8(1, code);
  bytes.set(quoted, icmpSize);
  const pseudo = family === 4 ? [] : [pseudoHeader(refused, protocol, bytes.length)];
  view.setUint16(2, checksum(...pseudo, bytes));
  return bytes;
}

function renderIp(refused: Refused, protocol: number, payload: Uint8Array): Uint8Array {
  const { family, source, destination } = refused;
  const headerSize = family === 4 ? 20 : 40;
  const { bytes, view } = bytesOf(headerSize + payload.length);
  if (family === 4) {
    view.setUint8(0, 0x45);
    view.setUint16(2, bytes.length);
    // Not to be fragmented.
    view.setUint16(6, 0x4000);
    view.setUint8(8, hopLimit);
    view.setUint8(9, protocol);
    bytes.set(destination, 12);
    bytes.set(source, 16);
    view.setUint16(10, checksum(bytes.subarray(0, headerSize)));
  } else {
    view.setUint8(0, 0x60);
    view.setUint16(4, payload.length);
    view.setUint8(6, protocol);
    view.setUint8(7, hopLimit);
    bytes.set(destination, 8);
    bytes.set(source, 24);
  }
  bytes.set(payload, headerSize);
  return bytes;
}

/** The frame that refuses the one given, which may be cut off at its end; `undefined` where none is due. */
export function renderRejection(frame: Uint8Array): Uint8Array | undefined {
  const refused = readPacket(frame);
  if (refused === undefined) return undefined;
  const isTcp = refused.protocol === protocolNumbers.TCP;
  const hasPorts =
    refused.protocol === protocolNumbers.UDP || refused.protocol === protocolNumbers.SCTP;
  if (!isTcp && !hasPorts) return undefined;
  const payload = isTcp ? renderReset(refused) : renderUnreachable(refused);
  if (payload === undefined) return undefined;
  const protocol = isTcp ? protocolNumbers.TCP : icmp[refused.family].protocol;
  const packet = renderIp(refused, protocol, payload);
  return Uint8Array.of(
    ...frame.subarray(6, 12),
    ...frame.subarray(0, 6),
    ...frame.subarray(12, ethernetSize),
    ...packet,
  );
}

const rejecting: ReadonlySet<number> = new Set([refusals.noBackend, refusals.noService]);

/** Answers a packet that a flow has sent to be refused, to where it came from. @returns whether it was one. */
export function rejectPacket(packet: PacketIn2, client: OpenFlowClient): boolean {
  const cookie = decodeCookie(packet.cookie);
  if (cookie?.feature !== "refusal" || !rejecting.has(cookie.number)) return false;
  const inPort = packet.metadata.find(({ field }) => field === "in_port");
  const data = renderRejection(packet.data);
  if (data !== undefined && inPort !== undefined) {
    client.packetOut({
      metadata: [inPort],
      actions: [{ kind: "output", port: reservedPorts.inPort }],
      data,
    });
  }
  return true;
}
