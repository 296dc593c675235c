// Groups: OpenFlow Switch Specification 1.5.1, sections 7.3.4.3 (group mod), 7.3.5.9 (statistics), 7.3.5.10 (description). How
// buckets are selected is an extension: include/openflow/netronome-ext.h of Open vSwitch, ntr_group_prop_selection_method.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import { decodeActions, encodeActions } from "./action.ts";
import type { BodyCodec } from "./codec.ts";
import { nameOf } from "./flag.ts";
import { type KnownFieldName, fields, isKnownField } from "./field.ts";
import type { Action } from "./flow.ts";
import { decodeOxmList, encodeOxmList } from "./match.ts";
import { decodeProperties, encodeProperty, encodeU16Property } from "./property.ts";

const groupTypes = { all: 0, select: 1, indirect: 2, "fast-failover": 3 } as const;
const groupCommands = {
  add: 0,
  modify: 1,
  delete: 2,
  "insert-bucket": 3,
  "remove-bucket": 5,
  /** Open vSwitch's own: adds the group or replaces it. */
  "add-or-modify": 0x8000,
} as const;
const bucketProperty = { weight: 0, watchPort: 1, watchGroup: 2 } as const;

type GroupType = keyof typeof groupTypes;

/** Where `insert-bucket` puts its buckets and what `remove-bucket` takes away, when it is not one bucket's id. */
export const bucketPosition = { first: 0xfffffffd, last: 0xfffffffe, all: 0xffffffff } as const;
/** Deletes all groups. */
export const allGroups = 0xfffffffc;
const nowhere = 0xffffffff;

interface Bucket {
  /** Unique within the group, below 0xffffff00. */
  readonly id: number;
  readonly actions: readonly Action[];
  /** Of select groups; Open vSwitch takes 1 when it is absent. */
  readonly weight?: number;
  /** Of fast-failover groups: the port or group whose liveness decides. */
  readonly watchPort?: number;
  readonly watchGroup?: number;
}

export interface Group {
  readonly id: number;
  readonly type: GroupType;
  readonly buckets: readonly Bucket[];
  /**
   * Of select groups: the fields of a packet whose hash selects the bucket. Without them the datapath hashes addresses and,
   * but for UDP, ports.
   */
  readonly hashFields?: readonly KnownFieldName[];
  /** With `hashFields`: another basis of the hash, which makes other choices; 0 when absent. */
  readonly hashBasis?: bigint;
}

export interface GroupMod {
  readonly kind: "group-mod";
  readonly command: keyof typeof groupCommands;
  readonly group: Group;
  /** Of `insert-bucket` and `remove-bucket`: a bucket's id or a `bucketPosition`. */
  readonly commandBucket?: number;
}

function encodeBuckets(writer: Writer, buckets: readonly Bucket[]): void {
  for (const { id, actions, weight, watchPort, watchGroup } of buckets) {
    const start = writer.size;
    writer.zeros(4);
    writer.u32(id);
    encodeActions(writer, actions);
    writer.patchU16(start + 2, writer.size - start - 8);
    if (weight !== undefined) encodeU16Property(writer, bucketProperty.weight, weight);
    if (watchPort !== undefined) {
      encodeProperty(writer, bucketProperty.watchPort, () => writer.u32(watchPort));
    }
    if (watchGroup !== undefined) {
      encodeProperty(writer, bucketProperty.watchGroup, () => writer.u32(watchGroup));
    }
    writer.patchU16(start, writer.size - start);
  }
}

function decodeBucket(outer: Reader): Bucket {
  const length = outer.u16();
  if (length < 8) throw outer.error(`expected a bucket of at least 8 bytes, got ${length}`);
  const reader = outer.sub(length - 2);
  const actionsSize = reader.u16();
  const id = reader.u32();
  const actions = decodeActions(reader.sub(actionsSize));
  const bucket: { -readonly [P in keyof Bucket]: Bucket[P] } = { id, actions };
  for (const { type, body } of decodeProperties(reader)) {
    if (type === bucketProperty.weight) bucket.weight = body.u16();
    else if (type === bucketProperty.watchPort) bucket.watchPort = body.u32();
    else if (type === bucketProperty.watchGroup) bucket.watchGroup = body.u32();
  }
  if (bucket.watchPort === nowhere) delete bucket.watchPort;
  if (bucket.watchGroup === nowhere) delete bucket.watchGroup;
  return bucket;
}

function decodeBuckets(reader: Reader): Bucket[] {
  const buckets: Bucket[] = [];
  while (reader.remaining > 0) buckets.push(decodeBucket(reader));
  return buckets;
}

function decodeType(reader: Reader): GroupType {
  const code = reader.u8();
  const type = nameOf(groupTypes, code);
  if (type === undefined) throw reader.error(`expected a group's type, got ${code}`);
  return type;
}

/** Netronome's, an OpenFlow experimenter like any vendor. */
const netronome = 0x0000154d;
const selectionMethod = 1;
const experimenterProperty = 0xffff;
const methodNameSize = 16;
const hashMethod = "hash";

function encodeSelection(writer: Writer, { hashFields = [], hashBasis = 0n }: Group): void {
  if (hashFields.length === 0) return;
  encodeProperty(writer, experimenterProperty, () => {
    writer.u32(netronome);
    writer.u32(selectionMethod);
    writer.zeros(4);
    writer.bytes(new TextEncoder().encode(hashMethod));
    writer.zeros(methodNameSize - hashMethod.length);
    writer.u64(hashBasis);
    // The value says which bits count.
    const all = hashFields.map((field) => ({
      field,
      value: (1n << BigInt(fields[field].bits)) - 1n,
    }));
    encodeOxmList(writer, all);
  });
}

/** Other methods than by fields, and other properties, are not kept. */
function decodeSelection(reader: Reader): Pick<Group, "hashFields" | "hashBasis"> {
  for (const { type, body } of decodeProperties(reader)) {
    if (type !== experimenterProperty || body.remaining < 36) continue;
    if (body.u32() !== netronome || body.u32() !== selectionMethod) continue;
    body.skip(4);
    const name = new TextDecoder().decode(body.bytes(methodNameSize)).replaceAll("\0", "");
    const hashBasis = body.u64();
    if (name === hashMethod)
      return {
        ...(hashBasis === 0n ? {} : { hashBasis }),
        hashFields: decodeOxmList(body)
          .map(({ field }) => field)
          .filter(isKnownField),
      };
  }
  return {};
}

export const groupModCodec: BodyCodec<GroupMod> = {
  type: 15,
  encode(writer, { command, group, commandBucket }) {
    writer.u16(groupCommands[command]);
    writer.u8(groupTypes[group.type]);
    writer.zeros(1);
    writer.u32(group.id);
    const lengthAt = writer.size;
    writer.zeros(4);
    writer.u32(commandBucket ?? bucketPosition.all);
    const start = writer.size;
    encodeBuckets(writer, group.buckets);
    writer.patchU16(lengthAt, writer.size - start);
    encodeSelection(writer, group);
  },
  decode(reader) {
    const commandCode = reader.u16();
    const command = nameOf(groupCommands, commandCode);
    if (command === undefined) throw reader.error(`expected a group command, got ${commandCode}`);
    const type = decodeType(reader);
    reader.skip(1);
    const id = reader.u32();
    const bucketsSize = reader.u16();
    reader.skip(2);
    const commandBucket = reader.u32();
    const buckets = decodeBuckets(reader.sub(bucketsSize));
    return {
      kind: "group-mod",
      command,
      group: { id, type, buckets, ...decodeSelection(reader) },
      ...(commandBucket === bucketPosition.all ? {} : { commandBucket }),
    };
  },
};

/** ofp_group_desc. */
export function encodeGroup(writer: Writer, group: Group): void {
  const start = writer.size;
  writer.zeros(2);
  writer.u8(groupTypes[group.type]);
  writer.zeros(1);
  writer.u32(group.id);
  writer.zeros(8);
  encodeBuckets(writer, group.buckets);
  writer.patchU16(start + 8, writer.size - start - 16);
  encodeSelection(writer, group);
  writer.patchU16(start, writer.size - start);
}

/** @throws {DecodeError} */
export function decodeGroup(outer: Reader): Group {
  const length = outer.u16();
  if (length < 16) throw outer.error(`expected a group of at least 16 bytes, got ${length}`);
  const reader = outer.sub(length - 2);
  const type = decodeType(reader);
  reader.skip(1);
  const id = reader.u32();
  const bucketsSize = reader.u16();
  reader.skip(6);
  const buckets = decodeBuckets(reader.sub(bucketsSize));
  return { id, type, buckets, ...decodeSelection(reader) };
}

export interface GroupStatistics {
  readonly id: number;
  /** Flows and groups that lead here. */
  readonly references: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly durationSeconds: number;
  readonly buckets: readonly { readonly packetCount: bigint; readonly byteCount: bigint }[];
}

export function encodeGroupStatistics(writer: Writer, group: GroupStatistics): void {
  const start = writer.size;
  writer.zeros(4);
  writer.u32(group.id);
  writer.u32(group.references);
  writer.zeros(4);
  writer.u64(group.packetCount);
  writer.u64(group.byteCount);
  writer.u32(group.durationSeconds);
  writer.u32(0);
  for (const bucket of group.buckets) {
    writer.u64(bucket.packetCount);
    writer.u64(bucket.byteCount);
  }
  writer.patchU16(start, writer.size - start);
}

/** @throws {DecodeError} */
export function decodeGroupStatistics(outer: Reader): GroupStatistics {
  const length = outer.u16();
  if (length < 40) {
    throw outer.error(`expected group statistics of at least 40 bytes, got ${length}`);
  }
  const reader = outer.sub(length - 2);
  reader.skip(2);
  const id = reader.u32();
  const references = reader.u32();
  reader.skip(4);
  const packetCount = reader.u64();
  const byteCount = reader.u64();
  const durationSeconds = reader.u32();
  reader.skip(4);
  const buckets: { packetCount: bigint; byteCount: bigint }[] = [];
  while (reader.remaining > 0) {
    buckets.push({ packetCount: reader.u64(), byteCount: reader.u64() });
  }
  return { id, references, packetCount, byteCount, durationSeconds, buckets };
}
