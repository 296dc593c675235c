// Netlink messages: RFC 3549, section 2.3; linux/netlink.h. Numbers are in the machine's own byte order, which is the little
// endian one wherever Isobar runs.
//
//   0       4     6      8          12         16
//   | length| type| flags| sequence | port     | body: fixed header, attributes |
import { DecodeError } from "../wire/errors.ts";

/** A request of the kernel, without what all requests have in common. */
export interface NetlinkRequest {
  readonly type: number;
  /** Beside those of every request. */
  readonly flags: number;
  readonly body: Uint8Array;
}

export interface NetlinkMessage {
  readonly type: number;
  /** Of the request that it answers: its place among those encoded together, from 0. */
  readonly index: number;
  readonly body: Uint8Array;
}

/** How the kernel took a request. */
interface NetlinkVerdict {
  /** Number of the error; 0 for none. */
  readonly errno: number;
  /** The kernel's own words about it; empty where it has none. */
  readonly text: string;
}

const headerSize = 16;
const alignment = 4;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSG_ERROR = 2;
const NLMSGERR_ATTR_MSG = 1;
/** Only what the attribute is, without the flags that say how it is encoded. */
const NLA_TYPE_MASK = 0x3fff;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function padded(size: number): number {
  return (size + alignment - 1) & ~(alignment - 1);
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}

/** Without a zero byte at its end. */
export function word(value: string): Uint8Array {
  return encoder.encode(value);
}

/** With a zero byte at its end. */
export function text(value: string): Uint8Array {
  return encoder.encode(`${value}\0`);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** One attribute, its padding included; `payload` may be attributes in turn. */
export function attribute(type: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const size = payload.reduce((sum, part) => sum + part.length, alignment);
  const padding = new Uint8Array(padded(size) - size);
  return concat(u16(size), u16(type), ...payload, padding);
}

/** All in one buffer, to be sent at once: the kernel works them off in this order, and goes on after one that fails. */
export function encodeRequests(requests: readonly NetlinkRequest[]): Uint8Array {
  const encoded = requests.map(({ type, flags, body }, index) =>
    concat(
      u32(headerSize + body.length),
      u16(type),
      u16(NLM_F_REQUEST | NLM_F_ACK | flags),
      u32(index),
      u32(0),
      body,
      new Uint8Array(padded(body.length) - body.length),
    ),
  );
  return concat(...encoded);
}

/** What one read of the socket gave. @throws {DecodeError} */
export function decodeMessages(bytes: Uint8Array): readonly (NetlinkMessage | Ack)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: (NetlinkMessage | Ack)[] = [];
  let at = 0;
  while (at < bytes.length) {
    const size = at + headerSize <= bytes.length ? view.getUint32(at, true) : 0;
    if (size < headerSize || at + size > bytes.length) {
      throw new DecodeError("truncated", `a netlink message of ${size} bytes is cut`, at);
    }
    const type = view.getUint16(at + 4, true);
    const flags = view.getUint16(at + 6, true);
    const index = view.getUint32(at + 8, true);
    const body = bytes.subarray(at + headerSize, at + size);
    messages.push(
      type === NLMSG_ERROR ? { index, verdict: decodeVerdict(body, flags) } : { type, index, body },
    );
    at += padded(size);
  }
  return messages;
}

/** The end of the answer to one request. */
export interface Ack {
  readonly index: number;
  readonly verdict: NetlinkVerdict;
}

/** struct nlmsgerr: the error's number, the request's header and with it its body, attributes. */
function decodeVerdict(body: Uint8Array, flags: number): NetlinkVerdict {
  const fixed = 4 + headerSize;
  if (body.length < fixed) throw new DecodeError("truncated", "a netlink verdict is cut");
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const errno = Math.abs(view.getInt32(0, true));
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: "" };
  const echoed = (flags & NLM_F_CAPPED) === 0 ? padded(view.getUint32(4, true)) - headerSize : 0;
  const message = decodeAttributes(body.subarray(fixed + echoed)).get(NLMSGERR_ATTR_MSG);
  return { errno, text: message === undefined ? "" : decodeText(message) };
}

/** By type; of several with one type the last. @throws {DecodeError} */
export function decodeAttributes(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const attributes = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length;) {
    const size = at + alignment <= bytes.length ? view.getUint16(at, true) : 0;
    if (size < alignment || at + size > bytes.length) {
      throw new DecodeError("truncated", `a netlink attribute of ${size} bytes is cut`, at);
    }
    const type = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + alignment, at + size));
    at += padded(size);
  }
  return attributes;
}

/** Text as far as its zero byte. */
export function decodeText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
