// Meters: OpenFlow Switch Specification 1.5.1, sections 7.3.4.5 (meter mod), 7.3.5.13 (statistics), 7.3.5.14 (description).
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { BodyCodec } from "./codec.ts";
import { decodeFlags, encodeFlags, nameOf } from "./flag.ts";

const meterCommands = { add: 0, modify: 1, delete: 2 } as const;
const meterFlags = {
  "kilobits-per-second": 1,
  "packets-per-second": 2,
  burst: 4,
  stats: 8,
} as const;
const bandType = { drop: 1, dscpRemark: 2 } as const;
const bandSize = 16;
const statisticsSize = 40;

/** Deletes or reports all meters. */
export const allMeters = 0xffffffff;

type MeterFlag = keyof typeof meterFlags;

/** `rate` and `burst` count kilobits or packets, as the meter's flags say. */
interface MeterBand {
  readonly rate: number;
  readonly burst: number;
  /** The band raises the drop precedence by this instead of dropping. */
  readonly dscpRemark?: number;
}

export interface Meter {
  readonly id: number;
  readonly flags: readonly MeterFlag[];
  readonly bands: readonly MeterBand[];
}

export interface MeterMod {
  readonly kind: "meter-mod";
  readonly command: keyof typeof meterCommands;
  readonly meter: Meter;
}

function encodeBands(writer: Writer, bands: readonly MeterBand[]): void {
  for (const { rate, burst, dscpRemark } of bands) {
    writer.u16(dscpRemark === undefined ? bandType.drop : bandType.dscpRemark);
    writer.u16(bandSize);
    writer.u32(rate);
    writer.u32(burst);
    writer.u8(dscpRemark ?? 0);
    writer.zeros(3);
  }
}

function decodeBands(reader: Reader): MeterBand[] {
  const bands: MeterBand[] = [];
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    if (length < bandSize) throw reader.error(`expected a band of 16 bytes, got ${length}`);
    const body = reader.sub(length - 4);
    const rate = body.u32();
    const burst = body.u32();
    if (type === bandType.drop) bands.push({ rate, burst });
    else if (type === bandType.dscpRemark) bands.push({ rate, burst, dscpRemark: body.u8() });
    else throw reader.error(`expected a drop or DSCP band, got type ${type}`, "unsupported");
  }
  return bands;
}

export const meterModCodec: BodyCodec<MeterMod> = {
  type: 29,
  encode(writer, { command, meter }) {
    writer.u16(meterCommands[command]);
    writer.u16(encodeFlags(meterFlags, meter.flags));
    writer.u32(meter.id);
    encodeBands(writer, meter.bands);
  },
  decode(reader) {
    const commandCode = reader.u16();
    const command = nameOf(meterCommands, commandCode);
    if (command === undefined) throw reader.error(`expected a meter command, got ${commandCode}`);
    const flags = decodeFlags(meterFlags, reader.u16());
    const id = reader.u32();
    return { kind: "meter-mod", command, meter: { id, flags, bands: decodeBands(reader) } };
  },
};

/** ofp_meter_desc. */
export function encodeMeter(writer: Writer, meter: Meter): void {
  const start = writer.size;
  writer.u16(0);
  writer.u16(encodeFlags(meterFlags, meter.flags));
  writer.u32(meter.id);
  encodeBands(writer, meter.bands);
  writer.patchU16(start, writer.size - start);
}

/** @throws {DecodeError} */
export function decodeMeter(outer: Reader): Meter {
  const length = outer.u16();
  if (length < 8) throw outer.error(`expected a meter of at least 8 bytes, got ${length}`);
  const reader = outer.sub(length - 2);
  const flags = decodeFlags(meterFlags, reader.u16());
  const id = reader.u32();
  return { id, flags, bands: decodeBands(reader) };
}

export interface MeterStatistics {
  readonly id: number;
  readonly flowCount: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly durationSeconds: number;
  /** What each band dropped or marked. */
  readonly bands: readonly { readonly packetCount: bigint; readonly byteCount: bigint }[];
}

export function encodeMeterStatistics(writer: Writer, meter: MeterStatistics): void {
  const start = writer.size;
  writer.u32(meter.id);
  writer.zeros(8);
  writer.u32(meter.flowCount);
  writer.u64(meter.packetCount);
  writer.u64(meter.byteCount);
  writer.u32(meter.durationSeconds);
  writer.u32(0);
  for (const band of meter.bands) {
    writer.u64(band.packetCount);
    writer.u64(band.byteCount);
  }
  writer.patchU16(start + 4, writer.size - start);
}

/** @throws {DecodeError} */
export function decodeMeterStatistics(outer: Reader): MeterStatistics {
  const id = outer.u32();
  const length = outer.u16();
  if (length < statisticsSize) {
    throw outer.error(`expected meter statistics of at least 40 bytes, got ${length}`);
  }
  const reader = outer.sub(length - 6);
  reader.skip(6);
  const flowCount = reader.u32();
  const packetCount = reader.u64();
  const byteCount = reader.u64();
  const durationSeconds = reader.u32();
  reader.skip(4);
  const bands: { packetCount: bigint; byteCount: bigint }[] = [];
  while (reader.remaining > 0) {
    bands.push({ packetCount: reader.u64(), byteCount: reader.u64() });
  }
  return { id, flowCount, packetCount, byteCount, durationSeconds, bands };
}
