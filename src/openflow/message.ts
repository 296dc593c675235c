// Messages: OpenFlow Switch Specification 1.5.1, section 7.1.1.
//
//    0         8         16                  32                  64
//    +---------+---------+-------------------+-------------------+----
//    | version |  type   |      length       |  transaction id   | body
//    +---------+---------+-------------------+-------------------+----
import { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import { type BundleControl, bundleControlCodec, bundleFlagBits } from "./bundle.ts";
import type { BodyCodec } from "./codec.ts";
import { type ErrorMessage, errorCodec } from "./error-message.ts";
import { niciraExperimenter } from "./field.ts";
import { decodeFlags, encodeFlags } from "./flag.ts";
import { type FlowRemoved, flowRemovedCodec } from "./flow-entry.ts";
import { type FlowMod, flowModCodec } from "./flow-mod.ts";
import { type GroupMod, groupModCodec } from "./group.ts";
import { type MeterMod, meterModCodec } from "./meter.ts";
import {
  type MultipartReply,
  type MultipartRequest,
  multipartReplyCodec,
  multipartRequestCodec,
} from "./multipart.ts";
import { type NiciraMessage, niciraMessages } from "./nicira-message.ts";
import { type PacketIn, type PacketOut, packetInCodec, packetOutCodec } from "./packet.ts";
import { type PortStatus, portStatusCodec } from "./port.ts";
import {
  type Bare,
  type Config,
  type Echo,
  type FeaturesReply,
  type Hello,
  type Role,
  type SetAsync,
  bareCodec,
  configCodec,
  echoCodec,
  featuresReplyCodec,
  helloCodec,
  roleCodec,
  setAsyncCodec,
} from "./session-message.ts";

/** The wire's number of OpenFlow 1.5. */
export const openFlow15 = 0x06;
export const headerSize = 8;
const experimenterType = 4;
const bundleAddType = 34;

type StandardMessage =
  | Hello
  | ErrorMessage
  | Echo
  | FeaturesReply
  | Config
  | Bare
  | Role
  | SetAsync
  | PacketIn
  | PacketOut
  | FlowRemoved
  | PortStatus
  | FlowMod
  | GroupMod
  | MeterMod
  | MultipartRequest
  | MultipartReply
  | BundleControl;

/** A change that waits in an open bundle for the commit; it goes out under the transaction id of the whole message. */
export interface BundleAdd {
  readonly kind: "bundle-add";
  readonly bundle: number;
  readonly flags: BundleControl["flags"];
  readonly message: FlowMod | GroupMod | PacketOut;
}

/** What this side does not know, byte for byte. */
interface UnknownMessage {
  readonly kind: "unknown";
  readonly type: number;
  readonly body: Uint8Array;
}

export type Message = StandardMessage | NiciraMessage | BundleAdd | UnknownMessage;

export interface Envelope {
  /** Transaction id: the same in a reply as in its request. */
  readonly xid: number;
  readonly message: Message;
}

/** The member of the union `M` that can be of kind `K`. */
type MemberOf<M, K> = M extends { kind: unknown } ? (K extends M["kind"] ? M : never) : never;

const standardMessages: {
  readonly [K in StandardMessage["kind"]]: BodyCodec<MemberOf<StandardMessage, K>>;
} = {
  hello: helloCodec,
  error: errorCodec,
  "echo-request": echoCodec("echo-request", 2),
  "echo-reply": echoCodec("echo-reply", 3),
  "features-request": bareCodec("features-request", 5),
  "features-reply": featuresReplyCodec,
  "get-config-request": bareCodec("get-config-request", 7),
  "get-config-reply": configCodec("get-config-reply", 8),
  "set-config": configCodec("set-config", 9),
  "packet-in": packetInCodec,
  "flow-removed": flowRemovedCodec,
  "port-status": portStatusCodec,
  "packet-out": packetOutCodec,
  "flow-mod": flowModCodec,
  "group-mod": groupModCodec,
  "multipart-request": multipartRequestCodec,
  "multipart-reply": multipartReplyCodec,
  "barrier-request": bareCodec("barrier-request", 20),
  "barrier-reply": bareCodec("barrier-reply", 21),
  "role-request": roleCodec("role-request", 24),
  "role-reply": roleCodec("role-reply", 25),
  "set-async": setAsyncCodec,
  "meter-mod": meterModCodec,
  "bundle-control": bundleControlCodec,
};

// A codec takes its own kind only; the message's kind selects it.
const standard: Readonly<Record<StandardMessage["kind"], BodyCodec<Message>>> = standardMessages;
const nicira: Readonly<Record<NiciraMessage["kind"], BodyCodec<Message>>> = niciraMessages;
const standardByType = new Map(Object.values(standard).map((codec) => [codec.type, codec]));
const niciraByType = new Map(Object.values(nicira).map((codec) => [codec.type, codec]));

function isNicira(message: Exclude<Message, BundleAdd | UnknownMessage>): message is NiciraMessage {
  return Object.hasOwn(nicira, message.kind);
}

function encodeHeader(writer: Writer, type: number, xid: number): void {
  writer.u8(openFlow15);
  writer.u8(type);
  writer.u16(0);
  writer.u32(xid);
}

function encodeBody(writer: Writer, message: Message, xid: number): void {
  if (message.kind === "unknown") {
    encodeHeader(writer, message.type, xid);
    writer.bytes(message.body);
  } else if (message.kind === "bundle-add") {
    encodeHeader(writer, bundleAddType, xid);
    writer.u32(message.bundle);
    writer.zeros(2);
    writer.u16(encodeFlags(bundleFlagBits, message.flags));
    encodeMessage(writer, message.message, xid);
  } else if (isNicira(message)) {
    const codec = nicira[message.kind];
    encodeHeader(writer, experimenterType, xid);
    writer.u32(niciraExperimenter);
    writer.u32(codec.type);
    codec.encode(writer, message);
  } else {
    const codec = standard[message.kind];
    encodeHeader(writer, codec.type, xid);
    codec.encode(writer, message);
  }
}

/** Appends one message. @throws {RangeError} when a value does not fit or the message exceeds 65535 bytes */
export function encodeMessage(writer: Writer, message: Message, xid: number): void {
  const start = writer.size;
  encodeBody(writer, message, xid);
  const size = writer.size - start;
  if (size > 0xffff) {
    throw new RangeError(`expected a ${message.kind} of at most 65535 bytes, got ${size}`);
  }
  writer.patchU16(start + 2, size);
}

function decodeBundleAdd(reader: Reader): BundleAdd | undefined {
  const bundle = reader.u32();
  reader.skip(2);
  const flags = decodeFlags(bundleFlagBits, reader.u16());
  const { message } = decodeMessage(reader.rest());
  if (
    message.kind !== "flow-mod" &&
    message.kind !== "group-mod" &&
    message.kind !== "packet-out"
  ) {
    return undefined;
  }
  return { kind: "bundle-add", bundle, flags, message };
}

function decodeBody(type: number, reader: Reader): Message {
  const codec = standardByType.get(type);
  if (codec !== undefined) return codec.decode(reader);
  const whole = reader.fork();
  if (type === experimenterType && reader.remaining >= 8) {
    if (reader.u32() === niciraExperimenter) {
      const niciraCodec = niciraByType.get(reader.u32());
      if (niciraCodec !== undefined) return niciraCodec.decode(reader);
    }
  }
  if (type === bundleAddType) {
    const add = decodeBundleAdd(reader);
    if (add !== undefined) return add;
  }
  return { kind: "unknown", type, body: whole.rest() };
}

/** Reads one whole message. Byte strings within are views of it. @throws {DecodeError} */
export function decodeMessage(bytes: Uint8Array): Envelope {
  const reader = new Reader(bytes);
  const version = reader.u8();
  const type = reader.u8();
  const length = reader.u16();
  const xid = reader.u32();
  if (length < headerSize) {
    throw reader.error(`expected a message of at least 8 bytes, got ${length}`);
  }
  const body = reader.sub(length - headerSize);
  // A peer of another version says hello, and complains about ours, in its own.
  if (version !== openFlow15 && type !== helloCodec.type && type !== errorCodec.type) {
    throw reader.error(`expected version 0x06, got 0x${version.toString(16)}`, "unsupported");
  }
  return { xid, message: decodeBody(type, body) };
}
