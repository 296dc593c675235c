// Nicira extension actions: ovs-actions(7); layouts in lib/ofp-actions.c of Open vSwitch.
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { ActionOf, ActionRegistry } from "./action-codec.ts";
import { ctAction } from "./action-ct.ts";
import { learnAction } from "./action-learn.ts";
import type { Action } from "./flow.ts";
import { decodeBitRange, decodeFieldId, encodeBitRange, encodeFieldId } from "./oxm.ts";
import { decodePort16, encodePort16, reservedPorts } from "./port-number.ts";
import { decodeProperties, encodeProperty, encodeU16Property } from "./property.ts";

export type NiciraKind =
  | "resubmit"
  | "output-field"
  | "controller"
  | "conjunction"
  | "ct"
  | "ct-clear"
  | "learn"
  | "note"
  | "sample";

const noLimit = 0xffff;
const currentTable = 255;
const reasonAction = 1;
const resubmitWithCt = 44;

/** Properties of NXAST_CONTROLLER2. */
const controllerProperty = {
  maxLength: 0,
  controllerId: 1,
  reason: 2,
  userdata: 3,
  pause: 4,
  meter: 5,
} as const;

function encodeResubmit(writer: Writer, action: ActionOf<"resubmit">): void {
  writer.u16(encodePort16(action.port ?? reservedPorts.inPort));
  writer.u8(action.table);
}

function decodeResubmit(reader: Reader): ActionOf<"resubmit"> {
  const port = decodePort16(reader.u16());
  const table = reader.u8();
  return { kind: "resubmit", table, ...(port === reservedPorts.inPort ? {} : { port }) };
}

function encodeController(writer: Writer, action: ActionOf<"controller">): void {
  const { maxLength, controllerId, reason, userdata, meter } = action;
  writer.zeros(6);
  if (maxLength !== undefined && maxLength !== noLimit) {
    encodeU16Property(writer, controllerProperty.maxLength, maxLength);
  }
  if (controllerId !== undefined && controllerId !== 0) {
    encodeU16Property(writer, controllerProperty.controllerId, controllerId);
  }
  if (reason !== undefined && reason !== reasonAction) {
    encodeProperty(writer, controllerProperty.reason, () => writer.u8(reason));
  }
  if (userdata !== undefined && userdata.length > 0) {
    encodeProperty(writer, controllerProperty.userdata, () => writer.bytes(userdata));
  }
  if (action.pause === true) encodeProperty(writer, controllerProperty.pause, () => {});
  if (meter !== undefined)
    encodeProperty(writer, controllerProperty.meter, () => writer.u32(meter));
}

/** Mutable while it is decoded. */
type Draft<T> = { -readonly [P in keyof T]: T[P] };

function decodeController(reader: Reader): ActionOf<"controller"> {
  const action: Draft<ActionOf<"controller">> = { kind: "controller" };
  reader.skip(6);
  for (const { type, body } of decodeProperties(reader)) {
    switch (type) {
      case controllerProperty.maxLength:
        action.maxLength = body.u16();
        break;
      case controllerProperty.controllerId:
        action.controllerId = body.u16();
        break;
      case controllerProperty.reason:
        action.reason = body.u8();
        break;
      case controllerProperty.userdata:
        action.userdata = body.rest();
        break;
      case controllerProperty.pause:
        action.pause = true;
        break;
      case controllerProperty.meter:
        action.meter = body.u32();
        break;
      default:
        throw reader.error(`expected a property of controller, got type ${type}`, "unsupported");
    }
  }
  return action;
}

/** By kind; `type` is the subtype. */
export const niciraActions: ActionRegistry<NiciraKind> = {
  resubmit: { type: 14, encode: encodeResubmit, decode: decodeResubmit },
  // NXAST_OUTPUT_REG2.
  "output-field": {
    type: 32,
    encode(writer, action) {
      writer.u16(encodeBitRange(action.from));
      writer.u16(action.maxLength ?? noLimit);
      encodeFieldId(writer, action.from.field);
    },
    decode(reader) {
      const range = decodeBitRange(reader.u16());
      const maxLength = reader.u16();
      return {
        kind: "output-field",
        from: { field: decodeFieldId(reader), ...range },
        ...(maxLength === noLimit ? {} : { maxLength }),
      };
    },
  },
  // NXAST_CONTROLLER2.
  controller: { type: 37, encode: encodeController, decode: decodeController },
  conjunction: {
    type: 34,
    encode(writer, action) {
      // On the wire clauses count from zero.
      writer.u8(action.clause - 1);
      writer.u8(action.clauses);
      writer.u32(action.id);
    },
    decode(reader) {
      const clause = reader.u8() + 1;
      const clauses = reader.u8();
      return { kind: "conjunction", id: reader.u32(), clause, clauses };
    },
  },
  ct: ctAction,
  "ct-clear": { type: 43, encode() {}, decode: () => ({ kind: "ct-clear" }) },
  learn: learnAction,
  // The padding cannot be told from the note: a note comes back with zeros at its end.
  note: {
    type: 8,
    encode: (writer, action) => writer.bytes(action.bytes),
    decode: (reader) => ({ kind: "note", bytes: reader.rest() }),
  },
  sample: {
    type: 29,
    encode(writer, action) {
      writer.u16(action.probability);
      writer.u32(action.collectorSet);
      writer.u32(action.domain);
      writer.u32(action.point);
    },
    decode: (reader) => ({
      kind: "sample",
      probability: reader.u16(),
      collectorSet: reader.u32(),
      domain: reader.u32(),
      point: reader.u32(),
    }),
  },
};

/** The subtype in which an action goes out: only resubmit has two. */
export function niciraSubtype(action: ActionOf<NiciraKind>): number {
  if (action.kind === "resubmit" && action.ct === true) return resubmitWithCt;
  return niciraActions[action.kind].type;
}

/** Other subtypes that mean what a kind above says. */
export const niciraSynonyms: ReadonlyMap<number, (reader: Reader) => Action> = new Map<
  number,
  (reader: Reader) => Action
>([
  // NXAST_RESUBMIT_TABLE_CT.
  [resubmitWithCt, (reader) => ({ ...decodeResubmit(reader), ct: true })],
  // NXAST_RESUBMIT.
  [1, (reader) => ({ kind: "resubmit", table: currentTable, port: decodePort16(reader.u16()) })],
  // NXAST_OUTPUT_REG.
  [
    15,
    (reader) => {
      const range = decodeBitRange(reader.u16());
      const from = { field: decodeFieldId(reader), ...range };
      const maxLength = reader.u16();
      return { kind: "output-field", from, ...(maxLength === noLimit ? {} : { maxLength }) };
    },
  ],
  // NXAST_CONTROLLER.
  [
    20,
    (reader) => {
      const maxLength = reader.u16();
      const controllerId = reader.u16();
      const reason = reader.u8();
      return { kind: "controller", maxLength, controllerId, reason };
    },
  ],
]);
