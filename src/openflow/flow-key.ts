// Flows compared as the switch sees them. Open vSwitch reports a flow in its own form: fields in another order, pairs of
// registers as one, the packet type spelt out. Both sides are brought to one canonical encoding here.
import { Writer } from "../wire/writer.ts";
import { type FieldName, fieldNames } from "./field.ts";
import type { Flow, Match, MatchField } from "./flow.ts";
import { encodeInstructions } from "./instruction.ts";
import { encodeOxmList } from "./match.ts";

const registerBits = 32n;
const registerMask = (1n << registerBits) - 1n;

/** The registers that overlap a wide one, its most significant part first. */
const registersOf = new Map<FieldName, readonly FieldName[]>(
  fieldNames.flatMap((name) => {
    const found = /^(xx?)reg(\d+)$/.exec(name);
    if (found === null) return [];
    const length = found[1] === "x" ? 2 : 4;
    const first = length * Number(found[2]);
    return [
      [name, fieldNames.filter((part) => isRegisterIn(part, first, first + length))] as const,
    ];
  }),
);

function isRegisterIn(name: FieldName, from: number, to: number): boolean {
  const found = /^reg(\d+)$/.exec(name);
  return found !== null && Number(found[1]) >= from && Number(found[1]) < to;
}

/** Matches every packet, so that it makes no difference: no bit counts, or it is the type of every packet here. */
function isVoid(entry: MatchField): boolean {
  return entry.mask === 0n || (entry.field === "packet_type" && entry.value === 0n);
}

/** Narrow registers only, and nothing without effect. */
function canonicalMatch(match: Match): Match {
  const result: MatchField[] = [];
  for (const entry of match) {
    const registers = registersOf.get(entry.field);
    if (registers === undefined) {
      if (!isVoid(entry)) result.push(entry);
      continue;
    }
    for (const [index, field] of registers.entries()) {
      const part = registerPart(entry, field, registers.length - 1 - index);
      if (!isVoid(part)) result.push(part);
    }
  }
  return result;
}

/** The register at `position`, counted in registers from the wide one's least significant end. */
function registerPart(entry: MatchField, field: FieldName, position: number): MatchField {
  const shift = registerBits * BigInt(position);
  const value = (entry.value >> shift) & registerMask;
  if (entry.mask === undefined) return { field, value };
  return { field, value, mask: (entry.mask >> shift) & registerMask };
}

/** A string with one character for each byte. */
function textOf(bytes: Uint8Array): string {
  // Arguments of a call have a limit. Spreading the bytes would take four times as long.
  const piece = 4096;
  if (bytes.length <= piece) return Reflect.apply(String.fromCharCode, undefined, bytes);
  let text = "";
  for (let at = 0; at < bytes.length; at += piece) text += textOf(bytes.subarray(at, at + piece));
  return text;
}

/** Reused by every call: what it holds is turned into a string before the call returns. */
const scratch = new Writer(1024);

/** Equal for flows that are the same entry of the switch: same table, priority and match. */
export function flowKey(flow: Pick<Flow, "table" | "priority" | "match">): string {
  scratch.clear();
  scratch.u8(flow.table);
  scratch.u16(flow.priority);
  encodeOxmList(scratch, canonicalMatch(flow.match));
  return textOf(scratch.view());
}

/** Equal for flows that differ in their key at most: same cookie, timeouts and instructions. */
export function flowBody(flow: Flow): string {
  scratch.clear();
  scratch.u64(flow.cookie);
  scratch.u16(flow.idleTimeoutSeconds ?? 0);
  scratch.u16(flow.hardTimeoutSeconds ?? 0);
  encodeInstructions(scratch, flow);
  return textOf(scratch.view());
}
