// Actions: OpenFlow Switch Specification 1.5.1, section 7.2.6; Nicira's are experimenter actions.
//
//    0        16        32                  64        80
//    +--------+---------+---------------------------- ...        padded to 8 bytes
//    |  type  | length  | body
//    +--------+---------+-------------------+---------+--- ...
//    | 0xffff | length  | Nicira 0x00002320 | subtype | body
//    +--------+---------+-------------------+---------+--- ...
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { ActionCodec, ActionList, ActionOf } from "./action-codec.ts";
import { isPlainLearn } from "./action-learn.ts";
import { type NiciraKind, niciraActions, niciraSubtype, niciraSynonyms } from "./action-nicira.ts";
import { type StandardKind, standardActions } from "./action-standard.ts";
import { niciraExperimenter } from "./field.ts";
import type { Action } from "./flow.ts";

const experimenterType = 0xffff;

type Decoder = (reader: Reader, nested: ActionList) => Action;

// A codec takes its own kind only; the action's kind selects it.
const standard: Readonly<Record<StandardKind, ActionCodec<Action>>> = standardActions;
const nicira: Readonly<Record<NiciraKind, ActionCodec<Action>>> = niciraActions;

function decodersOf(registry: Readonly<Record<string, ActionCodec<Action>>>): Map<number, Decoder> {
  return new Map(
    Object.values(registry).map((codec): [number, Decoder] => [
      codec.type,
      (reader, nested) => codec.decode(reader, nested),
    ]),
  );
}

const standardDecoders = decodersOf(standard);
const niciraDecoders = new Map([...decodersOf(nicira), ...niciraSynonyms]);

function isStandard(action: Action): action is ActionOf<StandardKind> {
  return Object.hasOwn(standard, action.kind);
}

/** @throws {RangeError} when a value does not fit */
function encodeAction(writer: Writer, action: Action): void {
  const start = writer.size;
  if (action.kind === "unknown") {
    writer.u16(action.type);
    writer.u16(0);
    writer.bytes(action.bytes);
  } else if (isStandard(action)) {
    const codec = standard[action.kind];
    writer.u16(codec.type);
    writer.u16(0);
    codec.encode(writer, action, actionList);
  } else {
    writer.u16(experimenterType);
    writer.u16(0);
    writer.u32(niciraExperimenter);
    writer.u16(niciraSubtype(action));
    nicira[action.kind].encode(writer, action, actionList);
  }
  writer.align8(start);
  writer.patchU16(start + 2, writer.size - start);
}

export function encodeActions(writer: Writer, actions: readonly Action[]): void {
  for (const action of actions) encodeAction(writer, action);
}

/** `undefined` when nobody here knows the action. */
function decoderOf(type: number, body: Reader): Decoder | undefined {
  if (type !== experimenterType) return standardDecoders.get(type);
  if (body.remaining < 6) return undefined;
  const header = body.fork();
  if (header.u32() !== niciraExperimenter) return undefined;
  const subtype = header.u16();
  // What only others use of it is kept byte for byte.
  if (subtype === niciraActions.learn.type && !isPlainLearn(header)) return undefined;
  const decoder = niciraDecoders.get(subtype);
  if (decoder !== undefined) body.skip(6);
  return decoder;
}

/** @throws {DecodeError} */
function decodeAction(reader: Reader): Action {
  const type = reader.u16();
  const length = reader.u16();
  if (length < 8 || length % 8 !== 0) {
    throw reader.error(`expected an action of at least 8 bytes, a multiple of 8, got ${length}`);
  }
  const body = reader.sub(length - 4);
  const decoder = decoderOf(type, body);
  if (decoder !== undefined) return decoder(body, actionList);
  return { kind: "unknown", type, bytes: body.rest() };
}

/** Reads to the reader's end. @throws {DecodeError} */
export function decodeActions(reader: Reader): Action[] {
  const actions: Action[] = [];
  while (reader.remaining > 0) actions.push(decodeAction(reader));
  return actions;
}

const actionList: ActionList = { encode: encodeActions, decode: decodeActions };
