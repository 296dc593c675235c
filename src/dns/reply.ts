// What a client is answered. A datagram holds what fits, and says so where that is not all: RFC 2181 section 9.
import { type Answer, encode } from "dns-packet";
import type { BadQuery, Edns, Query } from "./query.ts";
import { plainSize } from "./query.ts";
import { flags, headerLengthBytes, rcodes, skipName, types, viewOf } from "./wire.ts";

export interface Reply {
  readonly rcode: number;
  /** Whether it is from the node's own knowledge. */
  readonly authoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  /** Left out where there is no room, without a word. */
  readonly additionals: readonly Answer[];
}

/** No datagram is larger, whatever the client takes: larger ones are cut on the way (DNS flag day 2020). */
const largestDatagram = 1232;

const optionLengthBytes = 11;

/** How large an answer over UDP may be. */
export function datagramSize(edns: Edns | undefined): number {
  return Math.min(edns?.size ?? plainSize, largestDatagram);
}

/** OPT of RFC 6891 section 6.1.2: what this server takes, and the upper bits of the code. */
export function encodeOption(rcode: number, dnssecOk: boolean): Uint8Array {
  const bytes = new Uint8Array(optionLengthBytes);
  const view = viewOf(bytes);
  view.setUint16(1, types.OPT);
  view.setUint16(3, largestDatagram);
  view.setUint8(5, rcode >> 4);
  view.setUint16(7, dnssecOk ? 0x8000 : 0);
  return bytes;
}

/** A pointer to the question's name (RFC 1035 section 4.1.4). */
const questionPointer = Uint8Array.of(0xc0, headerLengthBytes);

/** A record; its owner is a pointer where it is the question's name. */
function encodeRecord(record: Answer, questionName: string): Uint8Array {
  const bytes = encode({ answers: [record] }).subarray(headerLengthBytes);
  if (record.name.toLowerCase() !== questionName || questionName === "") return bytes;
  return concat([questionPointer, bytes.subarray(skipName(bytes, 0))]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** As many records as fit into the room. */
function fill(records: readonly Uint8Array[], room: number): readonly Uint8Array[] {
  let used = 0;
  const count = records.findIndex((record) => (used += record.length) > room);
  return count === -1 ? records : records.slice(0, count);
}

function sizeOf(records: readonly Uint8Array[]): number {
  return records.reduce((sum, { length }) => sum + length, 0);
}

/** `limit` is how many bytes it may have. */
export function encodeReply(query: Query, reply: Reply, limit: number): Uint8Array {
  const encodeAll = (records: readonly Answer[]): readonly Uint8Array[] =>
    records.map((record) => encodeRecord(record, query.name));
  const options = query.edns ? [encodeOption(reply.rcode, query.edns.dnssecOk)] : [];
  const room = limit - headerLengthBytes - query.question.length - sizeOf(options);
  const wanted = encodeAll(reply.answers);
  const answers = fill(wanted, room);
  const needed = encodeAll(reply.authorities);
  const authorities = fill(needed, room - sizeOf(answers));
  const truncated = answers.length < wanted.length || authorities.length < needed.length;
  const left = room - sizeOf(answers) - sizeOf(authorities);
  const additionals = truncated ? [] : fill(encodeAll(reply.additionals), left);
  const header = new Uint8Array(headerLengthBytes);
  const view = viewOf(header);
  view.setUint16(0, query.id);
  view.setUint16(
    2,
    flags.response |
      (reply.authoritative ? flags.authoritative : 0) |
      (truncated ? flags.truncated : 0) |
      (query.recursionDesired ? flags.recursionDesired : 0) |
      flags.recursionAvailable |
      (query.checkingDisabled ? flags.checkingDisabled : 0) |
      (reply.rcode & 0xf),
  );
  view.setUint16(4, 1);
  view.setUint16(6, answers.length);
  view.setUint16(8, authorities.length);
  view.setUint16(10, additionals.length + options.length);
  return concat([header, query.question, ...answers, ...authorities, ...additionals, ...options]);
}

/** What a query gets that cannot be answered: never more than a few bytes above what it has. */
export function encodeError(query: BadQuery): Uint8Array {
  const header = new Uint8Array(headerLengthBytes);
  const view = viewOf(header);
  view.setUint16(0, query.id);
  const desired = query.recursionDesired ? flags.recursionDesired : 0;
  view.setUint16(2, flags.response | (query.opcode << 11) | desired | (query.rcode & 0xf));
  const question = query.question ?? new Uint8Array();
  view.setUint16(4, question.length > 0 ? 1 : 0);
  const needsOption = query.edns !== undefined || query.rcode === rcodes.badVersion;
  const option = needsOption ? [encodeOption(query.rcode, false)] : [];
  view.setUint16(10, option.length);
  return concat([header, question, ...option]);
}
