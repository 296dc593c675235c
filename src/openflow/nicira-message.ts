// Nicira extension messages: nicira-ext.h of Open vSwitch. Their bodies follow the experimenter header
// (OpenFlow Switch Specification 1.5.1, section 7.5.5).
import type { BodyCodec } from "./codec.ts";
import { type PacketIn2, decodePacketProperties, encodePacketProperties } from "./packet.ts";

const packetInFormats = { standard: 0, packetIn2: 2 } as const;

/** Which kind of packet-in the switch sends on this connection. */
interface SetPacketInFormat {
  readonly kind: "set-packet-in-format";
  readonly format: keyof typeof packetInFormats;
}

/** Controller actions with this id come to this connection; 0 is every connection's id at first. */
interface SetControllerId {
  readonly kind: "set-controller-id";
  readonly id: number;
}

/** Forgets all connections of a conntrack zone. */
export interface FlushZone {
  readonly kind: "flush-zone";
  readonly zone: number;
}

/** Lets a packet that paused in a controller action go on. Its fields are those of the packet-in, changed or not. */
type Resume = Omit<PacketIn2, "kind"> & { readonly kind: "resume" };

export type NiciraMessage = SetPacketInFormat | SetControllerId | FlushZone | PacketIn2 | Resume;

type ByKind<K extends NiciraMessage["kind"]> = Extract<NiciraMessage, { kind: K }>;

/** By kind; `type` is the subtype. */
export const niciraMessages: {
  readonly [K in NiciraMessage["kind"]]: BodyCodec<ByKind<K>>;
} = {
  "set-packet-in-format": {
    type: 16,
    encode: (writer, message) => writer.u32(packetInFormats[message.format]),
    decode(reader) {
      const code = reader.u32();
      if (code === packetInFormats.standard) {
        return { kind: "set-packet-in-format", format: "standard" };
      }
      if (code !== packetInFormats.packetIn2) {
        throw reader.error(`expected a packet-in format, got ${code}`, "unsupported");
      }
      return { kind: "set-packet-in-format", format: "packetIn2" };
    },
  },
  "set-controller-id": {
    type: 20,
    encode(writer, message) {
      writer.zeros(6);
      writer.u16(message.id);
    },
    decode(reader) {
      reader.skip(6);
      return { kind: "set-controller-id", id: reader.u16() };
    },
  },
  "flush-zone": {
    type: 29,
    encode(writer, message) {
      writer.zeros(6);
      writer.u16(message.zone);
    },
    decode(reader) {
      reader.skip(6);
      return { kind: "flush-zone", zone: reader.u16() };
    },
  },
  "packet-in2": {
    type: 30,
    encode: encodePacketProperties,
    decode: (reader) => ({ kind: "packet-in2", ...decodePacketProperties(reader) }),
  },
  resume: {
    type: 28,
    encode: encodePacketProperties,
    decode: (reader) => ({ kind: "resume", ...decodePacketProperties(reader) }),
  },
};
