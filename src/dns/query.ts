// What a client asks: RFC 1035 section 4, EDNS of RFC 6891.
import { MessageError } from "./errors.ts";
import {
  type Header,
  classes,
  flags,
  headerLengthBytes,
  rcodes,
  readHeader,
  readPlainName,
  readRecords,
  types,
  viewOf,
} from "./wire.ts";

export interface Query {
  readonly id: number;
  /** In lower case, without the last dot; empty for the root. */
  readonly name: string;
  readonly type: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** Bytes of the question, with the case that the client has chosen. */
  readonly question: Uint8Array;
  readonly edns: Edns | undefined;
}

export interface Edns {
  /** How large a datagram may be. */
  readonly size: number;
  readonly dnssecOk: boolean;
}

/** What is known of a query that gets no other answer than an error. */
export interface BadQuery {
  readonly kind: "bad";
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly rcode: number;
  /** Absent where it could not be read. */
  readonly question?: Uint8Array;
  readonly edns: Edns | undefined;
}

export type DecodedQuery = { readonly kind: "query"; readonly query: Query } | BadQuery;

/** RFC 6891 section 6.2.3: less counts as this. */
export const plainSize = 512;

const dnssecOk = 0x8000;

/** `undefined` for what nobody may answer: responses, and what has not even a header. */
export function decodeQuery(bytes: Uint8Array): DecodedQuery | undefined {
  if (bytes.length < headerLengthBytes) return undefined;
  const header = readHeader(bytes);
  if ((header.flags & flags.response) !== 0) return undefined;
  const recursionDesired = (header.flags & flags.recursionDesired) !== 0;
  const { id, opcode } = header;
  const bad = (rcode: number, rest: Partial<BadQuery> = {}): BadQuery => ({
    kind: "bad",
    id,
    opcode,
    recursionDesired,
    rcode,
    edns: undefined,
    ...rest,
  });
  if (opcode !== 0) return bad(rcodes.notImplemented);
  const [questions, answers] = header.counts;
  if (questions !== 1 || answers !== 0) return bad(rcodes.formatError);
  try {
    const found = readQuestion(bytes, header);
    const { question, edns } = found;
    if (found.version > 0) return bad(rcodes.badVersion, { question, edns });
    if (found.class !== classes.IN) return bad(rcodes.refused, { question, edns });
    if (found.type === types.AXFR || found.type === types.IXFR) {
      return bad(rcodes.refused, { question, edns });
    }
    // OPT is part of messages and never of a zone.
    if (found.type === types.OPT) return bad(rcodes.formatError);
    const checkingDisabled = (header.flags & flags.checkingDisabled) !== 0;
    const { name, type } = found;
    return {
      kind: "query",
      query: { id, name, type, recursionDesired, checkingDisabled, question, edns },
    };
  } catch (error) {
    if (error instanceof MessageError) return bad(rcodes.formatError);
    throw error;
  }
}

interface FoundQuestion {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly question: Uint8Array;
  readonly edns: Edns | undefined;
  /** Of EDNS. */
  readonly version: number;
}

function readQuestion(bytes: Uint8Array, header: Header): FoundQuestion {
  const view = viewOf(bytes);
  const { name, end: nameEnd } = readPlainName(bytes, headerLengthBytes);
  const end = nameEnd + 4;
  if (end > bytes.length) throw new MessageError("the question is cut off");
  const options = readRecords(bytes, end, header).filter(({ type }) => type === types.OPT);
  const [option, ...more] = options;
  if (more.length > 0) throw new MessageError("OPT is there twice");
  if (option !== undefined && (option.section !== "additional" || bytes[option.start] !== 0)) {
    throw new MessageError("OPT is in a wrong place");
  }
  return {
    name,
    type: view.getUint16(nameEnd),
    class: view.getUint16(nameEnd + 2),
    question: bytes.slice(headerLengthBytes, end),
    edns: option && {
      size: Math.max(option.class, plainSize),
      dnssecOk: (option.ttl & dnssecOk) !== 0,
    },
    version: option === undefined ? 0 : (option.ttl >> 16) & 0xff,
  };
}
