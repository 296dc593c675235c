// Where things stand in a DNS message: RFC 1035 section 4.1. Nothing is copied, so that what is passed on stays as it was,
// types that nobody here knows included.
import { MessageError } from "./errors.ts";

export const headerLengthBytes = 12;
/** RFC 1035 section 2.3.4. */
const longestName = 255;
const longestLabel = 63;

/** Numbers of types: the IANA registry "Domain Name System (DNS) Parameters". */
export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const classes = { IN: 1 } as const;

/** RFC 1035 section 4.1.1, RFC 6891 section 9. */
export const rcodes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;

/** In the second 16 bits of the header. */
export const flags = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  authenticData: 0x0020,
  checkingDisabled: 0x0010,
} as const;

const opcodeMask = 0x7800;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export interface Header {
  readonly id: number;
  readonly flags: number;
  readonly opcode: number;
  /** Of questions, answers, authorities and additionals. */
  readonly counts: readonly [number, number, number, number];
}

/** @throws {MessageError} */
export function readHeader(bytes: Uint8Array): Header {
  if (bytes.length < headerLengthBytes) throw new MessageError("shorter than a header");
  const view = viewOf(bytes);
  const word = view.getUint16(2);
  return {
    id: view.getUint16(0),
    flags: word,
    opcode: (word & opcodeMask) >> 11,
    counts: [view.getUint16(4), view.getUint16(6), view.getUint16(8), view.getUint16(10)],
  };
}

/** The offset behind a name, which may end in a pointer. @throws {MessageError} */
export function skipName(bytes: Uint8Array, start: number): number {
  for (let offset = start; ;) {
    const length = bytes[offset];
    if (length === undefined) throw new MessageError(`a name at ${start} is cut off`);
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2;
    if (length > longestLabel) throw new MessageError(`a label at ${offset} has a reserved form`);
    offset += length + 1;
  }
}

const utf8 = new TextDecoder();

/** Names are ASCII but for those that mean nothing here, and are read with every query. */
function readLabel(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let offset = start; offset < end; offset++) {
    const byte = bytes[offset] ?? 0;
    if (byte >= 0x80) return utf8.decode(bytes.subarray(start, end)).toLowerCase();
    const isUpper = byte >= 0x41 && byte <= 0x5a;
    text += String.fromCharCode(isUpper ? byte | 0x20 : byte);
  }
  return text;
}

/**
 * A name without pointers, in lower case, without the last dot; empty for the root. What is no letter, digit or sign of ASCII
 * stands for itself as far as UTF-8 has it; dots within labels cannot be told from those between them.
 * @throws {MessageError}
 */
export function readPlainName(
  bytes: Uint8Array,
  start: number,
): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  for (let offset = start; ;) {
    const length = bytes[offset];
    if (length === undefined || length > longestLabel) {
      throw new MessageError(`expected a plain name at ${start}`);
    }
    const end = offset + length + 1;
    if (end > bytes.length || end - start > longestName) {
      throw new MessageError(`a name at ${start} is too long`);
    }
    if (length === 0) return { name: labels.join("."), end };
    labels.push(readLabel(bytes, offset + 1, end));
    offset = end;
  }
}

/** A resource record, by its place. */
export interface RecordPlace {
  readonly section: "answer" | "authority" | "additional";
  /** Of its name. */
  readonly start: number;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly ttlOffset: number;
  readonly dataOffset: number;
  readonly end: number;
}

/** All records behind `offset`. @throws {MessageError} */
export function readRecords(
  bytes: Uint8Array,
  offset: number,
  { counts: [, answers, authorities, additionals] }: Header,
): readonly RecordPlace[] {
  const view = viewOf(bytes);
  const places: RecordPlace[] = [];
  let start = offset;
  for (const [section, count] of [
    ["answer", answers],
    ["authority", authorities],
    ["additional", additionals],
  ] as const) {
    for (let index = 0; index < count; index++) {
      const fixed = skipName(bytes, start);
      if (fixed + 10 > bytes.length) throw new MessageError(`a record at ${start} is cut off`);
      const end = fixed + 10 + view.getUint16(fixed + 8);
      if (end > bytes.length) throw new MessageError(`a record at ${start} is cut off`);
      places.push({
        section,
        start,
        type: view.getUint16(fixed),
        class: view.getUint16(fixed + 2),
        ttl: view.getUint32(fixed + 4),
        ttlOffset: fixed + 4,
        dataOffset: fixed + 10,
        end,
      });
      start = end;
    }
  }
  return places;
}
