// OXM and NXM entries: OpenFlow Switch Specification 1.5.1, sections 7.2.3.2 to 7.2.3.7; nicira-ext.h for NXM.
//
//    0               16        23  24        32            (64)
//    +----------------+--------+---+---------+--------------+-------+--------+
//    |     class      | number | M | length  | experimenter | value | [mask] |
//    +----------------+--------+---+---------+--------------+-------+--------+
//
// `length` counts all that follows it; the experimenter is there in class 0xffff only.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import { type Field, type FieldName, fieldNames, fields, oxmClass } from "./field.ts";
import type { MatchField, Subfield } from "./flow.ts";

const maskBit = 0x100;

/** What encoding a field takes, computed once. */
interface Oxm {
  readonly name: FieldName;
  /** Without the mask bit. */
  readonly header: number;
  readonly experimenter: number | undefined;
  readonly sizeBytes: number;
  readonly bits: number;
  readonly allBits: bigint;
}

/** Older headers of fields that have an OXM one: Open vSwitch uses them in some Nicira actions. */
const nxmHeaders: readonly (readonly [FieldName, number, number])[] = [
  ["eth_dst", oxmClass.nxm0, 1],
  ["eth_src", oxmClass.nxm0, 2],
  ["eth_type", oxmClass.nxm0, 3],
  ["ip_proto", oxmClass.nxm0, 6],
  ["ip_src", oxmClass.nxm0, 7],
  ["ip_dst", oxmClass.nxm0, 8],
  ["tcp_src", oxmClass.nxm0, 9],
  ["tcp_dst", oxmClass.nxm0, 10],
  ["udp_src", oxmClass.nxm0, 11],
  ["udp_dst", oxmClass.nxm0, 12],
  ["icmp_type", oxmClass.nxm0, 13],
  ["icmp_code", oxmClass.nxm0, 14],
  ["arp_op", oxmClass.nxm0, 15],
  ["arp_spa", oxmClass.nxm0, 16],
  ["arp_tpa", oxmClass.nxm0, 17],
  ["tun_id", oxmClass.nxm1, 16],
  ["arp_sha", oxmClass.nxm1, 17],
  ["arp_tha", oxmClass.nxm1, 18],
  ["ipv6_src", oxmClass.nxm1, 19],
  ["ipv6_dst", oxmClass.nxm1, 20],
  ["icmpv6_type", oxmClass.nxm1, 21],
  ["icmpv6_code", oxmClass.nxm1, 22],
  ["nd_target", oxmClass.nxm1, 23],
  ["nd_sll", oxmClass.nxm1, 24],
  ["nd_tll", oxmClass.nxm1, 25],
  ["ipv6_label", oxmClass.nxm1, 27],
  ["ip_ecn", oxmClass.nxm1, 28],
  ["tcp_flags", oxmClass.nxm1, 34],
];

function headerOf(oxmClassNumber: number, number: number, length: number): number {
  return ((oxmClassNumber << 16) | (number << 9) | length) >>> 0;
}

function oxmOf(name: FieldName, field: Field): Oxm {
  const { sizeBytes, bits } = field;
  const header = headerOf(field.class, field.number, sizeBytes);
  const allBits = (1n << BigInt(bits)) - 1n;
  return { name, header, experimenter: undefined, sizeBytes, bits, allBits };
}

const byName = new Map<string, Oxm>();
const byHeader = new Map<number, Oxm>();

function unknownName(header: number, experimenter: number | undefined): FieldName {
  const text = header.toString(16).padStart(8, "0");
  return experimenter === undefined ? `oxm:${text}` : `oxm:${text}:${experimenter.toString(16)}`;
}

for (const name of fieldNames) {
  const oxm = oxmOf(name, fields[name]);
  byName.set(name, oxm);
  byHeader.set(oxm.header, oxm);
}
for (const [name, oxmClassNumber, number] of nxmHeaders) {
  const oxm = byName.get(name)!;
  byHeader.set(headerOf(oxmClassNumber, number, oxm.sizeBytes), oxm);
}

function unknownOxm(name: FieldName): Oxm {
  const found = /^oxm:([0-9a-f]{8})(?::([0-9a-f]{1,8}))?$/.exec(name);
  if (found === null) throw new RangeError(`expected a field's name, got "${name}"`);
  const header = Number.parseInt(found[1]!, 16);
  const experimenter = found[2] === undefined ? undefined : Number.parseInt(found[2], 16);
  const sizeBytes = (header & 0xff) - (experimenter === undefined ? 0 : 4);
  const bits = 8 * sizeBytes;
  return { name, header, experimenter, sizeBytes, bits, allBits: (1n << BigInt(bits)) - 1n };
}

function lookUp(name: FieldName): Oxm {
  return byName.get(name) ?? unknownOxm(name);
}

/** Width of a field in bits. @throws {RangeError} when there is no such field */
function bitsOf(name: FieldName): number {
  return lookUp(name).bits;
}

function checkRange(oxm: Oxm, value: bigint): void {
  if (value < 0n || value > oxm.allBits) {
    throw new RangeError(`expected ${oxm.name} to fit in ${oxm.bits} bits, got ${value}`);
  }
}

/**
 * In one form for each meaning: a mask of all bits is left out, and so are the value's bits outside the mask.
 * @throws {RangeError} when the value or the mask does not fit the field
 */
export function encodeOxm(writer: Writer, entry: MatchField): void {
  const oxm = lookUp(entry.field);
  const { value, mask } = entry;
  checkRange(oxm, value);
  if (mask === undefined || mask === oxm.allBits) {
    writer.u32(oxm.header);
    if (oxm.experimenter !== undefined) writer.u32(oxm.experimenter);
    writer.uint(value, oxm.sizeBytes);
    return;
  }
  checkRange(oxm, mask);
  writer.u32(oxm.header + maskBit + oxm.sizeBytes);
  if (oxm.experimenter !== undefined) writer.u32(oxm.experimenter);
  writer.uint(value & mask, oxm.sizeBytes);
  writer.uint(mask, oxm.sizeBytes);
}

/** The field that an entry is about: consumes its header. */
function decodeHeader(reader: Reader): { oxm: Oxm; masked: boolean } {
  const raw = reader.u32();
  const masked = (raw & maskBit) !== 0;
  const experimenter = raw >>> 16 === oxmClass.experimenter ? reader.u32() : undefined;
  const payload = (raw & 0xff) - (experimenter === undefined ? 0 : 4);
  if (payload <= 0 || (masked && payload % 2 !== 0)) {
    throw reader.error(`expected an OXM entry with a value, got header 0x${raw.toString(16)}`);
  }
  const header = masked ? raw - maskBit - payload / 2 : raw;
  const known = experimenter === undefined ? byHeader.get(header) : undefined;
  return { oxm: known ?? unknownOxm(unknownName(header, experimenter)), masked };
}

/** @throws {DecodeError} */
export function decodeOxm(reader: Reader): MatchField {
  const { oxm, masked } = decodeHeader(reader);
  const value = reader.uint(oxm.sizeBytes);
  const mask = masked ? reader.uint(oxm.sizeBytes) : undefined;
  if (value > oxm.allBits) {
    throw reader.error(`expected ${oxm.name} to fit in ${oxm.bits} bits, got ${value}`);
  }
  // Masks may have bits beyond the field's: what is left of them may be the whole field.
  const bits = mask === undefined ? oxm.allBits : mask & oxm.allBits;
  return bits === oxm.allBits ? { field: oxm.name, value } : { field: oxm.name, value, mask: bits };
}

/** A header alone, which names a field in actions. */
export function encodeFieldId(writer: Writer, name: FieldName): void {
  const oxm = lookUp(name);
  writer.u32(oxm.header);
  if (oxm.experimenter !== undefined) writer.u32(oxm.experimenter);
}

/** @throws {DecodeError} */
export function decodeFieldId(reader: Reader): FieldName {
  return decodeHeader(reader).oxm.name;
}

/** Whether the field's header takes the 4 bytes that some Nicira actions have for it. */
export function isShortFieldId(name: FieldName): boolean {
  return lookUp(name).experimenter === undefined;
}

/** Offset and width in one number, as Nicira actions have it. @throws {RangeError} */
export function encodeBitRange(subfield: Subfield): number {
  checkSubfield(subfield);
  return (subfield.offset << 6) | (subfield.bits - 1);
}

export function decodeBitRange(range: number): { offset: number; bits: number } {
  return { offset: range >> 6, bits: (range & 0x3f) + 1 };
}

/** @throws {RangeError} when the bits lie outside the field */
export function checkSubfield(subfield: Subfield): void {
  const { field, offset, bits } = subfield;
  if (bits < 1 || offset < 0 || offset + bits > bitsOf(field)) {
    throw new RangeError(`expected bits of ${field}, got ${bits} from bit ${offset}`);
  }
}
