// Actions of the specification: OpenFlow Switch Specification 1.5.1, section 7.2.6.
import type { ActionRegistry } from "./action-codec.ts";
import { checkSubfield, decodeFieldId, decodeOxm, encodeFieldId, encodeOxm } from "./oxm.ts";
import { reservedPorts } from "./port-number.ts";

export type StandardKind =
  | "output"
  | "push-vlan"
  | "pop-vlan"
  | "set-queue"
  | "group"
  | "dec-ttl"
  | "set-field"
  | "move";

/** OFPAT_METER; it comes first in the list, and `Flow` holds it apart. */
export const meterActionType = 29;

/** The whole packet (OFPCML_NO_BUFFER) to a controller; to other ports the field means nothing. */
function defaultMaxLength(port: number): number {
  return port === reservedPorts.controller ? 0xffff : 0;
}

export const standardActions: ActionRegistry<StandardKind> = {
  output: {
    type: 0,
    encode(writer, action) {
      writer.u32(action.port);
      writer.u16(action.maxLength ?? defaultMaxLength(action.port));
    },
    decode(reader) {
      const port = reader.u32();
      const maxLength = reader.u16();
      return {
        kind: "output",
        port,
        ...(maxLength === defaultMaxLength(port) ? {} : { maxLength }),
      };
    },
  },
  "push-vlan": {
    type: 17,
    encode: (writer, action) => writer.u16(action.etherType),
    decode: (reader) => ({ kind: "push-vlan", etherType: reader.u16() }),
  },
  "pop-vlan": {
    type: 18,
    encode() {},
    decode: () => ({ kind: "pop-vlan" }),
  },
  "set-queue": {
    type: 21,
    encode: (writer, action) => writer.u32(action.queue),
    decode: (reader) => ({ kind: "set-queue", queue: reader.u32() }),
  },
  group: {
    type: 22,
    encode: (writer, action) => writer.u32(action.group),
    decode: (reader) => ({ kind: "group", group: reader.u32() }),
  },
  "dec-ttl": {
    type: 24,
    encode() {},
    decode: () => ({ kind: "dec-ttl" }),
  },
  "set-field": {
    type: 25,
    encode: (writer, action) => encodeOxm(writer, action),
    decode: (reader) => ({ kind: "set-field", ...decodeOxm(reader) }),
  },
  // OFPAT_COPY_FIELD.
  move: {
    type: 28,
    encode(writer, { from, to }) {
      checkSubfield(from);
      checkSubfield(to);
      if (from.bits !== to.bits) {
        throw new RangeError(
          `expected a move of equal widths, got ${from.bits} and ${to.bits} bits`,
        );
      }
      writer.u16(from.bits);
      writer.u16(from.offset);
      writer.u16(to.offset);
      writer.zeros(2);
      encodeFieldId(writer, from.field);
      encodeFieldId(writer, to.field);
    },
    decode(reader) {
      const bits = reader.u16();
      const fromOffset = reader.u16();
      const toOffset = reader.u16();
      reader.skip(2);
      const from = { field: decodeFieldId(reader), offset: fromOffset, bits };
      return { kind: "move", from, to: { field: decodeFieldId(reader), offset: toOffset, bits } };
    },
  },
};
