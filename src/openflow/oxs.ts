// Flow statistics as OXS entries: OpenFlow Switch Specification 1.5.1, section 7.2.4.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";

const basicClass = 0x8002;
const oxsField = { duration: 0, idleTime: 1, flowCount: 3, packetCount: 4, byteCount: 5 } as const;

/** What the switch reports, of a flow or of several together. Times are whole seconds. */
export interface FlowStatistics {
  readonly durationSeconds?: number;
  readonly idleSeconds?: number;
  readonly flowCount?: number;
  readonly packetCount?: bigint;
  readonly byteCount?: bigint;
}

function encodeEntry(writer: Writer, field: number, size: number): void {
  writer.u16(basicClass);
  writer.u8(field << 1);
  writer.u8(size);
}

export function encodeOxs(writer: Writer, statistics: FlowStatistics): void {
  const start = writer.size;
  const { durationSeconds, idleSeconds, flowCount, packetCount, byteCount } = statistics;
  writer.zeros(4);
  if (durationSeconds !== undefined) {
    encodeEntry(writer, oxsField.duration, 8);
    writer.u32(durationSeconds);
    writer.u32(0);
  }
  if (idleSeconds !== undefined) {
    encodeEntry(writer, oxsField.idleTime, 8);
    writer.u32(idleSeconds);
    writer.u32(0);
  }
  if (packetCount !== undefined) {
    encodeEntry(writer, oxsField.packetCount, 8);
    writer.u64(packetCount);
  }
  if (byteCount !== undefined) {
    encodeEntry(writer, oxsField.byteCount, 8);
    writer.u64(byteCount);
  }
  if (flowCount !== undefined) {
    encodeEntry(writer, oxsField.flowCount, 4);
    writer.u32(flowCount);
  }
  writer.patchU16(start + 2, writer.size - start);
  writer.align8(start);
}

/** Entries of other classes and kinds are skipped. @throws {DecodeError} */
export function decodeOxs(reader: Reader): FlowStatistics {
  reader.skip(2);
  const length = reader.u16();
  if (length < 4) throw reader.error(`expected statistics of at least 4 bytes, got ${length}`);
  const entries = reader.sub(length - 4);
  reader.skip((8 - (length % 8)) % 8);
  const statistics: { -readonly [P in keyof FlowStatistics]: FlowStatistics[P] } = {};
  while (entries.remaining > 0) {
    const entryClass = entries.u16();
    const field = entries.u8() >> 1;
    const value = entries.sub(entries.u8());
    if (entryClass !== basicClass) continue;
    if (field === oxsField.duration) statistics.durationSeconds = value.u32();
    else if (field === oxsField.idleTime) statistics.idleSeconds = value.u32();
    else if (field === oxsField.flowCount) statistics.flowCount = value.u32();
    else if (field === oxsField.packetCount) statistics.packetCount = value.u64();
    else if (field === oxsField.byteCount) statistics.byteCount = value.u64();
  }
  return statistics;
}
