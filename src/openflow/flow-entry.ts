// Flows as the switch reports them: OpenFlow Switch Specification 1.5.1, sections 7.3.5.2 (description) and 7.4.2 (removed).
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { BodyCodec } from "./codec.ts";
import { decodeFlags, encodeFlags, nameOf } from "./flag.ts";
import type { Flow, Match } from "./flow.ts";
import { type FlowFlag, allTables, decodeTimeouts, flowFlags } from "./flow-mod.ts";
import { decodeInstructions, encodeInstructions } from "./instruction.ts";
import { decodeMatch, encodeMatch } from "./match.ts";
import { type FlowStatistics, decodeOxs, encodeOxs } from "./oxs.ts";
import { reservedPorts } from "./port-number.ts";

const anyGroup = 0xffffffff;

/** Which flows to report: those whose match contains the given one, all when it is absent. */
export interface FlowFilter {
  /** All tables when absent. */
  readonly table?: number;
  readonly match?: Match;
  readonly cookie?: bigint;
  readonly cookieMask?: bigint;
  readonly outPort?: number;
  readonly outGroup?: number;
}

export function encodeFlowFilter(writer: Writer, filter: FlowFilter): void {
  writer.u8(filter.table ?? allTables);
  writer.zeros(3);
  writer.u32(filter.outPort ?? reservedPorts.any);
  writer.u32(filter.outGroup ?? anyGroup);
  writer.zeros(4);
  writer.u64(filter.cookie ?? 0n);
  writer.u64(filter.cookieMask ?? 0n);
  encodeMatch(writer, filter.match ?? []);
}

export function decodeFlowFilter(reader: Reader): FlowFilter {
  const table = reader.u8();
  reader.skip(3);
  const outPort = reader.u32();
  const outGroup = reader.u32();
  reader.skip(4);
  const cookie = reader.u64();
  const cookieMask = reader.u64();
  const match = decodeMatch(reader);
  return {
    ...(table === allTables ? {} : { table }),
    ...(outPort === reservedPorts.any ? {} : { outPort }),
    ...(outGroup === anyGroup ? {} : { outGroup }),
    ...(cookieMask === 0n ? {} : { cookie, cookieMask }),
    ...(match.length === 0 ? {} : { match }),
  };
}

export interface FlowEntry {
  readonly flow: Flow;
  readonly flags: readonly FlowFlag[];
  readonly importance: number;
  readonly statistics: FlowStatistics;
}

/** ofp_flow_desc, as Open vSwitch sends it: description and statistics in one. */
export function encodeFlowEntry(writer: Writer, entry: FlowEntry): void {
  const start = writer.size;
  const { flow } = entry;
  writer.u16(0);
  writer.zeros(2);
  writer.u8(flow.table);
  writer.zeros(1);
  writer.u16(flow.priority);
  writer.u16(flow.idleTimeoutSeconds ?? 0);
  writer.u16(flow.hardTimeoutSeconds ?? 0);
  writer.u16(encodeFlags(flowFlags, entry.flags));
  writer.u16(entry.importance);
  writer.u64(flow.cookie);
  encodeMatch(writer, flow.match);
  encodeOxs(writer, entry.statistics);
  encodeInstructions(writer, flow);
  writer.patchU16(start, writer.size - start);
}

/** @throws {DecodeError} */
export function decodeFlowEntry(outer: Reader): FlowEntry {
  const length = outer.u16();
  if (length < 24) throw outer.error(`expected a flow entry of at least 24 bytes, got ${length}`);
  const reader = outer.sub(length - 2);
  reader.skip(2);
  const table = reader.u8();
  reader.skip(1);
  const priority = reader.u16();
  const timeouts = decodeTimeouts(reader.u16(), reader.u16());
  const flags = decodeFlags(flowFlags, reader.u16());
  const importance = reader.u16();
  const cookie = reader.u64();
  const match = decodeMatch(reader);
  const statistics = decodeOxs(reader);
  const instructions = decodeInstructions(reader);
  const flow = { table, priority, cookie, match, ...instructions, ...timeouts };
  return { flow, flags, importance, statistics };
}

const removalReasons = {
  "idle-timeout": 0,
  "hard-timeout": 1,
  delete: 2,
  "group-delete": 3,
  "meter-delete": 4,
  eviction: 5,
} as const;

/** Sent for flows with the flag `send-flow-removed`. The flow's actions are not told. */
export interface FlowRemoved {
  readonly kind: "flow-removed";
  readonly reason: keyof typeof removalReasons;
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: Match;
  readonly idleTimeoutSeconds?: number;
  readonly hardTimeoutSeconds?: number;
  readonly statistics: FlowStatistics;
}

export const flowRemovedCodec: BodyCodec<FlowRemoved> = {
  type: 11,
  encode(writer, removed) {
    writer.u8(removed.table);
    writer.u8(removalReasons[removed.reason]);
    writer.u16(removed.priority);
    writer.u16(removed.idleTimeoutSeconds ?? 0);
    writer.u16(removed.hardTimeoutSeconds ?? 0);
    writer.u64(removed.cookie);
    encodeMatch(writer, removed.match);
    encodeOxs(writer, removed.statistics);
  },
  decode(reader) {
    const table = reader.u8();
    const reasonCode = reader.u8();
    const reason = nameOf(removalReasons, reasonCode);
    if (reason === undefined) throw reader.error(`expected a removal's reason, got ${reasonCode}`);
    const priority = reader.u16();
    const timeouts = decodeTimeouts(reader.u16(), reader.u16());
    const cookie = reader.u64();
    const match = decodeMatch(reader);
    const statistics = decodeOxs(reader);
    return {
      kind: "flow-removed",
      reason,
      table,
      priority,
      cookie,
      match,
      ...timeouts,
      statistics,
    };
  },
};
