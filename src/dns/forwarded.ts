// Questions that other servers answer, and their answers, which are passed on as they are: only the header, the times to live
// and EDNS, which concerns one hop, are the node's own.
import { MessageError } from "./errors.ts";
import type { Query } from "./query.ts";
import { concat, encodeOption } from "./reply.ts";
import {
  type Header,
  type RecordPlace,
  flags,
  headerLengthBytes,
  rcodes,
  readHeader,
  readPlainName,
  readRecords,
  types,
  viewOf,
} from "./wire.ts";

/** What is asked of an upstream server. */
export type ForwardQuery = Pick<Query, "name" | "type" | "question" | "checkingDisabled"> & {
  readonly dnssecOk: boolean;
};

/** The part of a query that its answer depends on. */
export function forwardQueryOf(query: Query): ForwardQuery {
  const { name, type, question, checkingDisabled, edns } = query;
  return { name, type, question, checkingDisabled, dnssecOk: edns?.dnssecOk ?? false };
}

/** Equal for queries with the same answer. */
export function keyOf({ name, type, checkingDisabled, dnssecOk }: ForwardQuery): string {
  return `${type} ${dnssecOk ? "d" : ""}${checkingDisabled ? "c" : ""} ${name}`;
}

export function encodeForwardQuery(query: ForwardQuery, id: number): Uint8Array {
  const header = new Uint8Array(headerLengthBytes);
  const view = viewOf(header);
  view.setUint16(0, id);
  view.setUint16(2, flags.recursionDesired | (query.checkingDisabled ? flags.checkingDisabled : 0));
  view.setUint16(4, 1);
  view.setUint16(10, 1);
  const option = encodeOption(0, query.dnssecOk);
  return concat([header, query.question, option]);
}

/** An upstream server's answer, as it is kept. */
export interface ForwardAnswer {
  /** Without OPT. */
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly rcode: number;
  readonly truncated: boolean;
  readonly questionEnd: number;
  /** Where times to live stand. */
  readonly ttlOffsets: readonly number[];
  /** How long it may be believed; `undefined` for an answer that is not to be kept. */
  readonly lifetimeSeconds: number | undefined;
}

/** `undefined` when it does not answer what was asked, or cannot be read. */
export function decodeForwardAnswer(
  bytes: Uint8Array,
  query: ForwardQuery,
  id: number,
): ForwardAnswer | undefined {
  try {
    const header = readHeader(bytes);
    const isAnswer = (header.flags & flags.response) !== 0 && header.opcode === 0;
    if (!isAnswer || header.id !== id || header.counts[0] !== 1) return undefined;
    const { name, end } = readPlainName(bytes, headerLengthBytes);
    const view = viewOf(bytes);
    if (name !== query.name || view.getUint16(end) !== query.type) return undefined;
    return answerOf(bytes, header, end + 4);
  } catch (error) {
    if (error instanceof MessageError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function answerOf(bytes: Uint8Array, header: Header, questionEnd: number): ForwardAnswer {
  const records = readRecords(bytes, questionEnd, header);
  const { kept, end } = withoutOption(records, bytes.length);
  const copy = bytes.slice(0, end);
  viewOf(copy).setUint16(10, header.counts[3] - (records.length - kept.length));
  const rcode = header.flags & 0xf;
  const truncated = (header.flags & flags.truncated) !== 0;
  return {
    bytes: copy,
    flags: header.flags,
    rcode,
    truncated,
    questionEnd,
    ttlOffsets: kept.filter(({ type }) => type !== types.OPT).map(({ ttlOffset }) => ttlOffset),
    lifetimeSeconds: truncated ? undefined : lifetimeOf(bytes, rcode, kept),
  };
}

/** It comes last, or is left where it is: names further on may point behind it. */
function withoutOption(
  records: readonly RecordPlace[],
  end: number,
): { readonly kept: readonly RecordPlace[]; readonly end: number } {
  const last = records.at(-1);
  const isOption = last?.type === types.OPT && last.section === "additional";
  return isOption
    ? { kept: records.slice(0, -1), end: last.start }
    : { kept: records, end: last?.end ?? end };
}

/** RFC 2181 section 8: the upper bit set counts as nothing. */
function lifetimeIn({ ttl }: RecordPlace): number {
  return ttl >= 0x8000_0000 ? 0 : ttl;
}

/** RFC 2308 section 5 for what there is not: the lesser of the SOA record's time to live and its last field. */
function lifetimeOf(
  bytes: Uint8Array,
  rcode: number,
  records: readonly RecordPlace[],
): number | undefined {
  if (rcode !== rcodes.noError && rcode !== rcodes.nameError) return undefined;
  const counted = records.filter(({ type }) => type !== types.OPT);
  const answers = counted.filter(({ section }) => section === "answer");
  if (rcode === rcodes.noError && answers.length > 0) {
    return Math.min(...counted.map(lifetimeIn));
  }
  const soa = counted.find(({ section, type }) => section === "authority" && type === types.SOA);
  if (soa === undefined || soa.end - soa.dataOffset < 20) return undefined;
  return Math.min(...counted.map(lifetimeIn), viewOf(bytes).getUint32(soa.end - 4));
}

export interface AgedAnswer {
  readonly answer: ForwardAnswer;
  readonly ageSeconds: number;
  /** Past its time, and still the best there is. */
  readonly stale: boolean;
}

/** RFC 8767 section 4. */
const staleTtlSeconds = 30;

/** For one client: `limit` is how many bytes it may have. */
export function encodeForwardAnswer(
  { answer, ageSeconds, stale }: AgedAnswer,
  query: Query,
  limit: number,
): Uint8Array {
  const options = query.edns ? [encodeOption(0, query.edns.dnssecOk)] : [];
  const whole = answer.bytes.length + (options[0]?.length ?? 0);
  const fits = whole <= limit && !answer.truncated;
  const bytes = answer.bytes.slice(0, fits ? undefined : answer.questionEnd);
  bytes.set(query.question, headerLengthBytes);
  const view = viewOf(bytes);
  view.setUint16(0, query.id);
  const authentic = query.edns?.dnssecOk === true ? answer.flags & flags.authenticData : 0;
  view.setUint16(
    2,
    flags.response |
      (fits ? 0 : flags.truncated) |
      (query.recursionDesired ? flags.recursionDesired : 0) |
      flags.recursionAvailable |
      authentic |
      (query.checkingDisabled ? flags.checkingDisabled : 0) |
      answer.rcode,
  );
  if (!fits) {
    for (const offset of [6, 8, 10]) view.setUint16(offset, 0);
  } else {
    for (const offset of answer.ttlOffsets) {
      const left = Math.max(0, view.getUint32(offset) - ageSeconds);
      view.setUint32(offset, stale ? staleTtlSeconds : left);
    }
  }
  view.setUint16(10, view.getUint16(10) + options.length);
  return concat([bytes, ...options]);
}

/** An answer of no more than a code, when nobody gives one. */
export function failureFor(query: ForwardQuery): ForwardAnswer {
  const bytes = new Uint8Array(headerLengthBytes + query.question.length);
  bytes.set(query.question, headerLengthBytes);
  viewOf(bytes).setUint16(4, 1);
  return {
    bytes,
    flags: 0,
    rcode: rcodes.serverFailure,
    truncated: false,
    questionEnd: bytes.length,
    ttlOffsets: [],
    lifetimeSeconds: undefined,
  };
}
