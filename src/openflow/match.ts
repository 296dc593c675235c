// ofp_match: OpenFlow Switch Specification 1.5.1, section 7.2.3.1.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import { fieldRank } from "./field.ts";
import type { Match, MatchField } from "./flow.ts";
import { decodeOxm, encodeOxm } from "./oxm.ts";

const oxmMatchType = 1;

function isSorted(match: Match): boolean {
  let last = -1;
  for (const { field } of match) {
    const rank = fieldRank(field);
    if (rank < last) return false;
    last = rank;
  }
  return true;
}

/** In the registry's order, so that each field follows its prerequisites. */
export function sortMatch(match: Match): Match {
  if (isSorted(match)) return match;
  return match.toSorted((a, b) => fieldRank(a.field) - fieldRank(b.field));
}

/** OXM entries one after the other, without a header around them. */
export function encodeOxmList(writer: Writer, match: Match): void {
  for (const entry of sortMatch(match)) encodeOxm(writer, entry);
}

/** Reads to the reader's end. @throws {DecodeError} */
export function decodeOxmList(reader: Reader): Match {
  const match: MatchField[] = [];
  while (reader.remaining > 0) match.push(decodeOxm(reader));
  return match;
}

export function encodeMatch(writer: Writer, match: Match): void {
  const start = writer.size;
  writer.u16(oxmMatchType);
  writer.u16(0);
  encodeOxmList(writer, match);
  // The length leaves the padding out.
  writer.patchU16(start + 2, writer.size - start);
  writer.align8(start);
}

/** @throws {DecodeError} */
export function decodeMatch(reader: Reader): Match {
  const type = reader.u16();
  const length = reader.u16();
  if (type !== oxmMatchType) throw reader.error(`expected an OXM match, got type ${type}`);
  if (length < 4) throw reader.error(`expected a match of at least 4 bytes, got ${length}`);
  const match = decodeOxmList(reader.sub(length - 4));
  reader.skip((8 - (length % 8)) % 8);
  return match;
}
