// The part of SCTP that shows whether a port can be reached: INIT, INIT ACK and ABORT (RFC 9260 sections 3.1 to 3.3).
//
//    0               2               4               8              12   offset in bytes
//   | source port   | dest. port    | verification tag | checksum    | chunk …
//   chunk: type (1) flags (1) length (2) value
import { crc32c } from "./crc32c.ts";

const headerSize = 12;
/** Chunk header, initiate tag, receiver window, numbers of streams, initial TSN. */
const initSize = 20;
const window = 65535;
const stateCookie = 7;

interface SctpInit {
  readonly kind: "init";
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What the other end must put into the packets it sends back. Not zero. */
  readonly initiateTag: number;
}

interface SctpInitAck {
  readonly kind: "init-ack";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly verificationTag: number;
  readonly initiateTag: number;
  /** The state cookie, opaque to who gets it. */
  readonly cookie: Buffer;
}

interface SctpAbort {
  readonly kind: "abort";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly verificationTag: number;
}

export type SctpPacket = SctpInit | SctpInitAck | SctpAbort;

const chunkTypes = { init: 1, "init-ack": 2, abort: 6 } as const;

function encodeInit(type: number, initiateTag: number, parameters: Buffer): Buffer {
  const chunk = Buffer.alloc(initSize);
  chunk.writeUInt8(type, 0);
  chunk.writeUInt16BE(initSize + parameters.length, 2);
  chunk.writeUInt32BE(initiateTag, 4);
  chunk.writeUInt32BE(window, 8);
  chunk.writeUInt16BE(1, 12);
  chunk.writeUInt16BE(1, 14);
  chunk.writeUInt32BE(initiateTag, 16);
  return Buffer.concat([chunk, parameters]);
}

function encodeCookie(cookie: Buffer): Buffer {
  const padded = Buffer.alloc(4 + Math.ceil(cookie.length / 4) * 4);
  padded.writeUInt16BE(stateCookie, 0);
  padded.writeUInt16BE(4 + cookie.length, 2);
  cookie.copy(padded, 4);
  return padded;
}

function encodeChunk(packet: SctpPacket): Buffer {
  switch (packet.kind) {
    case "init":
      return encodeInit(chunkTypes.init, packet.initiateTag, Buffer.alloc(0));
    case "init-ack":
      return encodeInit(chunkTypes["init-ack"], packet.initiateTag, encodeCookie(packet.cookie));
    case "abort":
      return Buffer.from([chunkTypes.abort, 0, 0, 4]);
  }
}

export function encodeSctp(packet: SctpPacket): Buffer {
  const header = Buffer.alloc(headerSize);
  header.writeUInt16BE(packet.sourcePort, 0);
  header.writeUInt16BE(packet.destinationPort, 2);
  header.writeUInt32BE(packet.kind === "init" ? 0 : packet.verificationTag, 4);
  const bytes = Buffer.concat([header, encodeChunk(packet)]);
  // RFC 9260 appendix A: the checksum goes in with its least significant byte first.
  bytes.writeUInt32LE(crc32c(bytes), 8);
  return bytes;
}

function decodeCookie(parameters: Buffer): Buffer {
  for (let at = 0; at + 4 <= parameters.length;) {
    const length = parameters.readUInt16BE(at + 2);
    if (length < 4) break;
    if (parameters.readUInt16BE(at) === stateCookie)
      return parameters.subarray(at + 4, at + length);
    at += Math.ceil(length / 4) * 4;
  }
  return Buffer.alloc(0);
}

/** The packet by its first chunk; `undefined` for other chunks, for what is cut short and for a wrong checksum. */
export function decodeSctp(bytes: Buffer): SctpPacket | undefined {
  if (bytes.length < headerSize + 4) return undefined;
  const zeroed = Buffer.from(bytes);
  zeroed.writeUInt32LE(0, 8);
  if (crc32c(zeroed) !== bytes.readUInt32LE(8)) return undefined;
  const sourcePort = bytes.readUInt16BE(0);
  const destinationPort = bytes.readUInt16BE(2);
  const verificationTag = bytes.readUInt32BE(4);
  const ports = { sourcePort, destinationPort };
  const chunk = bytes.subarray(headerSize, headerSize + bytes.readUInt16BE(headerSize + 2));
  const type = bytes.readUInt8(headerSize);
  if (type === chunkTypes.abort) return { kind: "abort", ...ports, verificationTag };
  if (chunk.length < initSize) return undefined;
  const initiateTag = chunk.readUInt32BE(4);
  if (type === chunkTypes.init) return { kind: "init", ...ports, initiateTag };
  if (type !== chunkTypes["init-ack"]) return undefined;
  const cookie = decodeCookie(chunk.subarray(initSize));
  return { kind: "init-ack", ...ports, verificationTag, initiateTag, cookie };
}
