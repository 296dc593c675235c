// Messages about the session itself: OpenFlow Switch Specification 1.5.1, sections 7.5.1 (hello), 7.5.2 (echo), 7.3.1
// (features), 7.3.2 (configuration), 7.3.7 (barrier), 7.3.8 (role), 7.3.10 (asynchronous configuration).
import type { BodyCodec } from "./codec.ts";
import { nameOf } from "./flag.ts";
import { decodeProperties, encodeProperty } from "./property.ts";

const versionBitmap = 1;
const roles = { "no-change": 0, equal: 1, primary: 2, secondary: 3 } as const;

export interface Hello {
  readonly kind: "hello";
  /** Wire versions (0x06 is OpenFlow 1.5) below 32 that the sender offers; undefined when it sent only the header's. */
  readonly versions?: readonly number[];
}

export interface Echo {
  readonly kind: "echo-request" | "echo-reply";
  readonly data: Uint8Array;
}

export interface FeaturesReply {
  readonly kind: "features-reply";
  readonly datapathId: bigint;
  readonly buffers: number;
  readonly tables: number;
  readonly auxiliaryId: number;
  readonly capabilities: number;
}

/** `missSendLength` bounds the bytes of a packet that a packet-in carries; 0xffff is all. */
export interface Config {
  readonly kind: "get-config-reply" | "set-config";
  readonly flags: number;
  readonly missSendLength: number;
}

export interface Role {
  readonly kind: "role-request" | "role-reply";
  readonly role: keyof typeof roles;
  readonly generation: bigint;
}

/** Which reasons of packet-in, port-status, … are sent: properties (ofp_async_config_prop_type) and bit masks. */
export interface SetAsync {
  readonly kind: "set-async";
  readonly masks: readonly { readonly property: number; readonly mask: number }[];
}

/** Messages that are nothing but a header. */
export interface Bare {
  readonly kind: "features-request" | "get-config-request" | "barrier-request" | "barrier-reply";
}

export function bareCodec(kind: Bare["kind"], type: number): BodyCodec<Bare> {
  return { type, encode() {}, decode: () => ({ kind }) };
}

export function echoCodec(kind: Echo["kind"], type: number): BodyCodec<Echo> {
  return {
    type,
    encode: (writer, echo) => writer.bytes(echo.data),
    decode: (reader) => ({ kind, data: reader.rest() }),
  };
}

export function configCodec(kind: Config["kind"], type: number): BodyCodec<Config> {
  return {
    type,
    encode(writer, config) {
      writer.u16(config.flags);
      writer.u16(config.missSendLength);
    },
    decode: (reader) => ({ kind, flags: reader.u16(), missSendLength: reader.u16() }),
  };
}

export function roleCodec(kind: Role["kind"], type: number): BodyCodec<Role> {
  return {
    type,
    encode(writer, message) {
      writer.u32(roles[message.role]);
      writer.zeros(4);
      writer.u64(message.generation);
    },
    decode(reader) {
      const code = reader.u32();
      const role = nameOf(roles, code);
      if (role === undefined) throw reader.error(`expected a controller's role, got ${code}`);
      reader.skip(4);
      return { kind, role, generation: reader.u64() };
    },
  };
}

export const helloCodec: BodyCodec<Hello> = {
  type: 0,
  encode(writer, { versions }) {
    if (versions === undefined) return;
    let bitmap = 0;
    for (const version of versions) bitmap |= 1 << version;
    encodeProperty(writer, versionBitmap, () => writer.u32(bitmap >>> 0));
  },
  decode(reader) {
    for (const { type, body } of decodeProperties(reader)) {
      if (type !== versionBitmap) continue;
      // Versions above 31 would be in further words.
      const bitmap = body.u32();
      const versions = Array.from({ length: 32 }, (_, version) => version);
      return { kind: "hello", versions: versions.filter((v) => ((bitmap >>> v) & 1) === 1) };
    }
    return { kind: "hello" };
  },
};

export const featuresReplyCodec: BodyCodec<FeaturesReply> = {
  type: 6,
  encode(writer, features) {
    writer.u64(features.datapathId);
    writer.u32(features.buffers);
    writer.u8(features.tables);
    writer.u8(features.auxiliaryId);
    writer.zeros(2);
    writer.u32(features.capabilities);
    writer.zeros(4);
  },
  decode(reader) {
    const datapathId = reader.u64();
    const buffers = reader.u32();
    const tables = reader.u8();
    const auxiliaryId = reader.u8();
    reader.skip(2);
    const capabilities = reader.u32();
    reader.skip(4);
    return { kind: "features-reply", datapathId, buffers, tables, auxiliaryId, capabilities };
  },
};

export const setAsyncCodec: BodyCodec<SetAsync> = {
  type: 28,
  encode(writer, { masks }) {
    for (const { property, mask } of masks) {
      encodeProperty(writer, property, () => writer.u32(mask));
    }
  },
  decode: (reader) => ({
    kind: "set-async",
    masks: decodeProperties(reader).map(({ type, body }) => ({ property: type, mask: body.u32() })),
  }),
};
