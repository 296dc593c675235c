// Of the switch as a whole: OpenFlow Switch Specification 1.5.1, sections 7.3.5.1 (description) and 7.3.5.5 (tables).
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";

const textSize = 256;
const serialSize = 32;

export interface SwitchDescription {
  readonly manufacturer: string;
  readonly hardware: string;
  readonly software: string;
  readonly serial: string;
  readonly datapath: string;
}

export function encodeDescription(writer: Writer, description: SwitchDescription): void {
  writer.text(description.manufacturer, textSize);
  writer.text(description.hardware, textSize);
  writer.text(description.software, textSize);
  writer.text(description.serial, serialSize);
  writer.text(description.datapath, textSize);
}

/** @throws {DecodeError} */
export function decodeDescription(reader: Reader): SwitchDescription {
  return {
    manufacturer: reader.text(textSize),
    hardware: reader.text(textSize),
    software: reader.text(textSize),
    serial: reader.text(serialSize),
    datapath: reader.text(textSize),
  };
}

export interface TableStatistics {
  readonly table: number;
  readonly activeFlows: number;
  readonly lookups: bigint;
  readonly matches: bigint;
}

export function encodeTableStatistics(writer: Writer, statistics: TableStatistics): void {
  writer.u8(statistics.table);
  writer.zeros(3);
  writer.u32(statistics.activeFlows);
  writer.u64(statistics.lookups);
  writer.u64(statistics.matches);
}

/** @throws {DecodeError} */
export function decodeTableStatistics(reader: Reader): TableStatistics {
  const table = reader.u8();
  reader.skip(3);
  return {
    table,
    activeFlows: reader.u32(),
    lookups: reader.u64(),
    matches: reader.u64(),
  };
}
