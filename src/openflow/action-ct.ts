// NXAST_CT and NXAST_NAT: ovs-actions(7), "The ct action"; layouts in lib/ofp-actions.c of Open vSwitch.
import { formatAddress, parseAddress } from "../net/address.ts";
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { ActionCodec, ActionList, ActionOf } from "./action-codec.ts";
import { niciraExperimenter } from "./field.ts";
import type { Nat, Subfield } from "./flow.ts";
import {
  decodeBitRange,
  decodeFieldId,
  encodeBitRange,
  encodeFieldId,
  isShortFieldId,
} from "./oxm.ts";

const experimenterType = 0xffff;
const natSubtype = 36;
const natHeaderSize = 16;
const noTable = 255;

const ctFlag = { commit: 1, force: 2 } as const;
const natFlag = { src: 1, dst: 2, persistent: 4, hash: 8, random: 16 } as const;
const natFlagNames = ["persistent", "hash", "random"] as const;
const natRange = { v4Min: 1, v4Max: 2, v6Min: 4, v6Max: 8, portMin: 16, portMax: 32 } as const;

/** Appends an address and returns the bit that announces it: the one of IPv4, or two further up the one of IPv6. */
function encodeNatAddress(writer: Writer, text: string | undefined, v4Bit: number): number {
  if (text === undefined) return 0;
  const { family, bits } = parseAddress(text);
  writer.uint(bits, family === 4 ? 4 : 16);
  return family === 4 ? v4Bit : v4Bit << 2;
}

function encodeNat(writer: Writer, nat: Nat): void {
  const start = writer.size;
  let flags = nat.type === undefined ? 0 : natFlag[nat.type];
  for (const flag of nat.flags ?? []) flags |= natFlag[flag];
  writer.u16(experimenterType);
  writer.u16(0);
  writer.u32(niciraExperimenter);
  writer.u16(natSubtype);
  writer.zeros(2);
  writer.u16(flags);
  writer.u16(0);
  let present = encodeNatAddress(writer, nat.addressMin, natRange.v4Min);
  present |= encodeNatAddress(writer, nat.addressMax, natRange.v4Max);
  if (nat.portMin !== undefined) {
    writer.u16(nat.portMin);
    present |= natRange.portMin;
  }
  if (nat.portMax !== undefined) {
    writer.u16(nat.portMax);
    present |= natRange.portMax;
  }
  writer.patchU16(start + 14, present);
  writer.align8(start);
  writer.patchU16(start + 2, writer.size - start);
}

/** Reads what follows the subtype. */
function decodeNat(reader: Reader): Nat {
  reader.skip(2);
  const flags = reader.u16();
  const present = reader.u16();
  const nat: { -readonly [P in keyof Nat]: Nat[P] } = {};
  if ((flags & natFlag.src) !== 0) nat.type = "src";
  else if ((flags & natFlag.dst) !== 0) nat.type = "dst";
  const named = natFlagNames.filter((name) => (flags & natFlag[name]) !== 0);
  if (named.length > 0) nat.flags = named;
  const address = (family: 4 | 6): string =>
    formatAddress({ family, bits: reader.uint(family === 4 ? 4 : 16) });
  if ((present & natRange.v4Min) !== 0) nat.addressMin = address(4);
  if ((present & natRange.v4Max) !== 0) nat.addressMax = address(4);
  if ((present & natRange.v6Min) !== 0) nat.addressMin = address(6);
  if ((present & natRange.v6Max) !== 0) nat.addressMax = address(6);
  if ((present & natRange.portMin) !== 0) nat.portMin = reader.u16();
  if ((present & natRange.portMax) !== 0) nat.portMax = reader.u16();
  return nat;
}

/** The NAT action that begins the list, if one does: the cursor then stands after it. */
function decodeLeadingNat(reader: Reader): Nat | undefined {
  if (reader.remaining < natHeaderSize) return undefined;
  const ahead = reader.fork();
  const type = ahead.u16();
  const length = ahead.u16();
  if (type !== experimenterType || ahead.u32() !== niciraExperimenter) return undefined;
  if (ahead.u16() !== natSubtype) return undefined;
  if (length < natHeaderSize || length % 8 !== 0) {
    throw reader.error(
      `expected a NAT action of at least 16 bytes, a multiple of 8, got ${length}`,
    );
  }
  const body = reader.sub(length);
  body.skip(10);
  return decodeNat(body);
}

function encodeZone(writer: Writer, zone: number | Subfield): void {
  if (typeof zone === "number") {
    writer.u32(0);
    writer.u16(zone);
    return;
  }
  if (!isShortFieldId(zone.field)) {
    throw new RangeError(`expected a zone from a field without experimenter, got ${zone.field}`);
  }
  encodeFieldId(writer, zone.field);
  writer.u16(encodeBitRange(zone));
}

function decodeZone(reader: Reader): number | Subfield {
  const header = reader.fork();
  if (header.u32() === 0) {
    reader.skip(4);
    return reader.u16();
  }
  const field = decodeFieldId(reader);
  return { field, ...decodeBitRange(reader.u16()) };
}

function encodeCt(writer: Writer, action: ActionOf<"ct">, nested: ActionList): void {
  writer.u16(
    (action.commit === true ? ctFlag.commit : 0) | (action.force === true ? ctFlag.force : 0),
  );
  encodeZone(writer, action.zone);
  writer.u8(action.table ?? noTable);
  writer.zeros(3);
  writer.u16(action.alg ?? 0);
  if (action.nat !== undefined) encodeNat(writer, action.nat);
  if (action.exec !== undefined) nested.encode(writer, action.exec);
}

function decodeCt(reader: Reader, nested: ActionList): ActionOf<"ct"> {
  const flags = reader.u16();
  const zone = decodeZone(reader);
  const table = reader.u8();
  reader.skip(3);
  const alg = reader.u16();
  const nat = decodeLeadingNat(reader);
  const exec = nested.decode(reader);
  return {
    kind: "ct",
    zone,
    ...((flags & ctFlag.commit) === 0 ? {} : { commit: true }),
    ...((flags & ctFlag.force) === 0 ? {} : { force: true }),
    ...(table === noTable ? {} : { table }),
    ...(alg === 0 ? {} : { alg }),
    ...(nat === undefined ? {} : { nat }),
    ...(exec.length === 0 ? {} : { exec }),
  };
}

export const ctAction: ActionCodec<ActionOf<"ct">> = {
  type: 35,
  encode: encodeCt,
  decode: decodeCt,
};
