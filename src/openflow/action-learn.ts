// NXAST_LEARN: ovs-actions(7), "The learn action"; layout in nicira-ext.h of Open vSwitch (nx_action_learn).
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { ActionCodec, ActionOf } from "./action-codec.ts";
import type { Action, LearnPart, Subfield } from "./flow.ts";
import { decodeFieldId, encodeFieldId } from "./oxm.ts";

type Learn = ActionOf<"learn">;

const lengthBits = 0x7ff;
const immediate = 1 << 13;
const destinations = { match: 0, load: 1 << 11 } as const;
const destinationBits = 3 << 11;

/** A value stands in whole units of 16 bits. */
function valueSize(bits: number): number {
  return 2 * Math.ceil(bits / 16);
}

function encodeSubfield(writer: Writer, { field, offset }: Subfield): void {
  encodeFieldId(writer, field);
  writer.u16(offset);
}

function encodePart(writer: Writer, { kind, to, from }: LearnPart): void {
  const isValue = typeof from === "bigint";
  writer.u16(to.bits | destinations[kind] | (isValue ? immediate : 0));
  if (isValue) writer.uint(from, valueSize(to.bits));
  else encodeSubfield(writer, from);
  encodeSubfield(writer, to);
}

function decodeSubfield(reader: Reader, bits: number): Subfield {
  return { field: decodeFieldId(reader), offset: reader.u16(), bits };
}

/** `undefined` for one that puts out packets. */
function decodePart(header: number, reader: Reader): LearnPart | undefined {
  const bits = header & lengthBits;
  const destination = header & destinationBits;
  const kind =
    destination === destinations.match
      ? "match"
      : destination === destinations.load
        ? "load"
        : undefined;
  if (kind === undefined) return undefined;
  const from =
    (header & immediate) === 0 ? decodeSubfield(reader, bits) : reader.uint(valueSize(bits));
  return { kind, to: decodeSubfield(reader, bits), from };
}

export const learnAction: ActionCodec<Learn> = {
  type: 16,
  encode(writer, action) {
    writer.u16(action.idleTimeoutSeconds ?? 0);
    writer.u16(action.hardTimeoutSeconds ?? 0);
    writer.u16(action.priority);
    writer.u64(action.cookie);
    writer.u16(0);
    writer.u8(action.table);
    writer.zeros(5);
    for (const part of action.parts) encodePart(writer, part);
  },
  decode(reader) {
    const learn = tryDecode(reader.fork());
    if (learn === undefined) {
      throw reader.error("expected a learn action of matches and loads", "unsupported");
    }
    return learn;
  },
};

function tryDecode(reader: Reader): Learn | undefined {
  const idle = reader.u16();
  const hard = reader.u16();
  const priority = reader.u16();
  const cookie = reader.u64();
  const flags = reader.u16();
  const table = reader.u8();
  reader.skip(1);
  const finTimeouts = reader.u32();
  if (flags !== 0 || finTimeouts !== 0) return undefined;
  const parts: LearnPart[] = [];
  while (reader.remaining >= 2) {
    const header = reader.u16();
    // Padding.
    if (header === 0) break;
    const part = decodePart(header, reader);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return {
    kind: "learn",
    table,
    priority,
    cookie,
    ...(idle === 0 ? {} : { idleTimeoutSeconds: idle }),
    ...(hard === 0 ? {} : { hardTimeoutSeconds: hard }),
    parts,
  };
}

/** Another's learn action, which is kept as it is. @returns whether this codec says all of it. */
export function isPlainLearn(reader: Reader): boolean {
  return tryDecode(reader.fork()) !== undefined;
}

/** As ovs-ofctl(8) takes it. */
export function formatLearn(
  action: Extract<Action, { kind: "learn" }>,
  format: { readonly subfield: (subfield: Subfield) => string },
): string {
  const texts = action.parts.map(({ kind, to, from }) => {
    if (typeof from === "bigint") {
      const value = `0x${from.toString(16)}`;
      return kind === "load"
        ? `load:${value}->${format.subfield(to)}`
        : `${format.subfield(to)}=${value}`;
    }
    return kind === "load"
      ? `load:${format.subfield(from)}->${format.subfield(to)}`
      : `${format.subfield(to)}=${format.subfield(from)}`;
  });
  return [
    `table=${action.table}`,
    ...(action.idleTimeoutSeconds === undefined
      ? []
      : [`idle_timeout=${action.idleTimeoutSeconds}`]),
    ...(action.hardTimeoutSeconds === undefined
      ? []
      : [`hard_timeout=${action.hardTimeoutSeconds}`]),
    `priority=${action.priority}`,
    `cookie=0x${action.cookie.toString(16)}`,
    ...texts,
  ].join(",");
}
