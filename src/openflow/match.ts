// ofp_match: OpenFlow Switch Specification 1.5.1, section 7.2.3.1.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { Match, MatchField } from "./flow.ts";
import { decodeOxm, encodeOxm } from "./oxm.ts";

const oxmMatchType = 1;

/** OXM entries one after the other, without a header around them. */
export function encodeOxmList(writer: Writer, match: Match): void {
  for (const entry of match) encodeOxm(writer, entry);
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
