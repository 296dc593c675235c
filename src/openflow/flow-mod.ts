// OFPT_FLOW_MOD: OpenFlow Switch Specification 1.5.1, section 7.3.4.2.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { BodyCodec } from "./codec.ts";
import { decodeFlags, encodeFlags, nameOf } from "./flag.ts";
import type { Flow } from "./flow.ts";
import { decodeInstructions, encodeInstructions } from "./instruction.ts";
import { decodeMatch, encodeMatch } from "./match.ts";
import { reservedPorts } from "./port-number.ts";

const commands = { add: 0, modify: 1, "modify-strict": 2, delete: 3, "delete-strict": 4 } as const;

export const flowFlags = {
  "send-flow-removed": 1,
  "check-overlap": 2,
  "reset-counts": 4,
  "no-packet-counts": 8,
  "no-byte-counts": 16,
} as const;

export type FlowFlag = keyof typeof flowFlags;

/** Of deletions: all tables. */
export const allTables = 255;
const anyGroup = 0xffffffff;
const noBuffer = 0xffffffff;

export interface FlowMod {
  readonly kind: "flow-mod";
  readonly command: keyof typeof commands;
  /** Deletions and modifications look at its table, cookie and match; the strict ones at the priority too. */
  readonly flow: Flow;
  /** Which bits of the flow's cookie a modified or deleted flow must have; none when absent. */
  readonly cookieMask?: bigint;
  readonly flags?: readonly FlowFlag[];
  /** Order of eviction from a full table. */
  readonly importance?: number;
  /** Deletions: only flows that output there. */
  readonly outPort?: number;
  readonly outGroup?: number;
}

function encodeFlowMod(writer: Writer, mod: FlowMod): void {
  const { flow } = mod;
  writer.u64(flow.cookie);
  writer.u64(mod.cookieMask ?? 0n);
  writer.u8(flow.table);
  writer.u8(commands[mod.command]);
  writer.u16(flow.idleTimeoutSeconds ?? 0);
  writer.u16(flow.hardTimeoutSeconds ?? 0);
  writer.u16(flow.priority);
  writer.u32(noBuffer);
  writer.u32(mod.outPort ?? reservedPorts.any);
  writer.u32(mod.outGroup ?? anyGroup);
  writer.u16(encodeFlags(flowFlags, mod.flags));
  writer.u16(mod.importance ?? 0);
  encodeMatch(writer, flow.match);
  encodeInstructions(writer, flow);
}

/** Timeouts of zero are none. */
export function decodeTimeouts(
  idle: number,
  hard: number,
): Pick<Flow, "idleTimeoutSeconds" | "hardTimeoutSeconds"> {
  return {
    ...(idle === 0 ? {} : { idleTimeoutSeconds: idle }),
    ...(hard === 0 ? {} : { hardTimeoutSeconds: hard }),
  };
}

function decodeFlowMod(reader: Reader): FlowMod {
  const cookie = reader.u64();
  const cookieMask = reader.u64();
  const table = reader.u8();
  const commandCode = reader.u8();
  const command = nameOf(commands, commandCode);
  if (command === undefined) throw reader.error(`expected a flow command, got ${commandCode}`);
  const timeouts = decodeTimeouts(reader.u16(), reader.u16());
  const priority = reader.u16();
  reader.skip(4);
  const outPort = reader.u32();
  const outGroup = reader.u32();
  const flags = decodeFlags(flowFlags, reader.u16());
  const importance = reader.u16();
  const match = decodeMatch(reader);
  const instructions = decodeInstructions(reader);
  return {
    kind: "flow-mod",
    command,
    flow: { table, priority, cookie, match, ...instructions, ...timeouts },
    ...(cookieMask === 0n ? {} : { cookieMask }),
    ...(flags.length === 0 ? {} : { flags }),
    ...(importance === 0 ? {} : { importance }),
    ...(outPort === reservedPorts.any ? {} : { outPort }),
    ...(outGroup === anyGroup ? {} : { outGroup }),
  };
}

export const flowModCodec: BodyCodec<FlowMod> = {
  type: 14,
  encode: encodeFlowMod,
  decode: decodeFlowMod,
};

/** Adds the flow, or replaces the one of the same table, priority and match; its counters then go on. */
export function addFlow(flow: Flow): FlowMod {
  return { kind: "flow-mod", command: "add", flow };
}

/** Deletes the flow with exactly this table, priority and match. */
export function deleteFlow(flow: Flow): FlowMod {
  const { table, priority, match } = flow;
  return {
    kind: "flow-mod",
    command: "delete-strict",
    flow: { table, priority, match, cookie: 0n, actions: [] },
  };
}
