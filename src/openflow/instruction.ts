// Instructions: OpenFlow Switch Specification 1.5.1, section 7.2.5.
import { Reader } from "../wire/reader.ts";
import { Writer } from "../wire/writer.ts";
import { decodeActions, encodeActions } from "./action.ts";
import { meterActionType } from "./action-standard.ts";
import type { Action, Flow } from "./flow.ts";

const instruction = { gotoTable: 1, applyActions: 4 } as const;

/** The part of a flow that says what happens to its packets. */
export type Instructions = Pick<Flow, "meter" | "actions" | "gotoTable" | "otherInstructions">;

export function encodeInstructions(writer: Writer, flow: Instructions): void {
  if (flow.actions.length > 0 || flow.meter !== undefined) {
    const start = writer.size;
    writer.u16(instruction.applyActions);
    writer.u16(0);
    writer.zeros(4);
    if (flow.meter !== undefined) {
      // OpenFlow 1.5 has the meter as an action.
      writer.u16(meterActionType);
      writer.u16(8);
      writer.u32(flow.meter);
    }
    encodeActions(writer, flow.actions);
    writer.patchU16(start + 2, writer.size - start);
  }
  if (flow.otherInstructions !== undefined) writer.bytes(flow.otherInstructions);
  if (flow.gotoTable !== undefined) {
    writer.u16(instruction.gotoTable);
    writer.u16(8);
    writer.u8(flow.gotoTable);
    writer.zeros(3);
  }
}

function meterOf(action: Action | undefined): number | undefined {
  if (action?.kind !== "unknown" || action.type !== meterActionType) return undefined;
  return new Reader(action.bytes).u32();
}

/** An instruction as it came, its header included. */
function rawInstruction(type: number, length: number, body: Reader): Uint8Array {
  const writer = new Writer(length);
  writer.u16(type);
  writer.u16(length);
  writer.bytes(body.rest());
  return writer.view();
}

function concatenate(first: Uint8Array | undefined, second: Uint8Array): Uint8Array {
  if (first === undefined) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Reads to the reader's end. @throws {DecodeError} */
export function decodeInstructions(reader: Reader): Instructions {
  // Written without spreads: dumps decode hundreds of thousands of these.
  const result: { -readonly [P in keyof Instructions]: Instructions[P] } = { actions: [] };
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    if (length < 8 || length % 8 !== 0) {
      throw reader.error(
        `expected an instruction of at least 8 bytes, a multiple of 8, got ${length}`,
      );
    }
    const body = reader.sub(length - 4);
    if (type === instruction.applyActions) {
      body.skip(4);
      const actions = decodeActions(body);
      const meter = meterOf(actions[0]);
      if (meter !== undefined) result.meter = meter;
      result.actions = meter === undefined ? actions : actions.slice(1);
    } else if (type === instruction.gotoTable) {
      result.gotoTable = body.u8();
    } else {
      const raw = rawInstruction(type, length, body);
      result.otherInstructions = concatenate(result.otherInstructions, raw);
    }
  }
  return result;
}
