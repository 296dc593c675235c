// Ports: OpenFlow Switch Specification 1.5.1, sections 7.2.1 (description), 7.3.5.7 (statistics), 7.4.3 (status).
import type { Reader } from "../wire/reader.ts";
import type { Writer } from "../wire/writer.ts";
import type { BodyCodec } from "./codec.ts";
import { decodeFlags, encodeFlags, nameOf } from "./flag.ts";
import { decodeProperties, encodeProperty } from "./property.ts";

const nameSize = 16;
const ethernetProperty = 0;
const portConfig = {
  "port-down": 1,
  "no-receive": 4,
  "no-forward": 32,
  "no-packet-in": 64,
} as const;
const portState = { "link-down": 1, blocked: 2, live: 4 } as const;
const statusReasons = { add: 0, delete: 1, modify: 2 } as const;

export interface Port {
  readonly number: number;
  readonly mac: bigint;
  readonly name: string;
  readonly config: readonly (keyof typeof portConfig)[];
  readonly state: readonly (keyof typeof portState)[];
  /** Of Ethernet ports, in kilobits per second. */
  readonly speed?: { readonly current: number; readonly maximum: number };
}

/** ofp_port. */
export function encodePort(writer: Writer, port: Port): void {
  const start = writer.size;
  const { speed } = port;
  writer.u32(port.number);
  writer.zeros(4);
  writer.uint(port.mac, 6);
  writer.zeros(2);
  writer.text(port.name, nameSize);
  writer.u32(encodeFlags(portConfig, port.config));
  writer.u32(encodeFlags(portState, port.state));
  if (speed !== undefined) {
    encodeProperty(writer, ethernetProperty, () => {
      // Padding, then the bit maps of link features, which nobody here uses.
      writer.zeros(4 + 16);
      writer.u32(speed.current);
      writer.u32(speed.maximum);
    });
  }
  writer.patchU16(start + 4, writer.size - start);
}

/** @throws {DecodeError} */
export function decodePort(outer: Reader): Port {
  const number = outer.u32();
  const length = outer.u16();
  if (length < 40) throw outer.error(`expected a port of at least 40 bytes, got ${length}`);
  const reader = outer.sub(length - 6);
  reader.skip(2);
  const mac = reader.uint(6);
  reader.skip(2);
  const name = reader.text(nameSize);
  const config = decodeFlags(portConfig, reader.u32());
  const state = decodeFlags(portState, reader.u32());
  const port = { number, mac, name, config, state };
  for (const { type, body } of decodeProperties(reader)) {
    if (type !== ethernetProperty) continue;
    body.skip(4 + 16);
    return { ...port, speed: { current: body.u32(), maximum: body.u32() } };
  }
  return port;
}

export interface PortStatus {
  readonly kind: "port-status";
  readonly reason: keyof typeof statusReasons;
  readonly port: Port;
}

export const portStatusCodec: BodyCodec<PortStatus> = {
  type: 12,
  encode(writer, { reason, port }) {
    writer.u8(statusReasons[reason]);
    writer.zeros(7);
    encodePort(writer, port);
  },
  decode(reader) {
    const code = reader.u8();
    const reason = nameOf(statusReasons, code);
    if (reason === undefined) throw reader.error(`expected a port status reason, got ${code}`);
    reader.skip(7);
    return { kind: "port-status", reason, port: decodePort(reader) };
  },
};

/** Counters in the order of ofp_port_stats. What a switch does not count is all ones. */
const counters = [
  "receivedPackets",
  "sentPackets",
  "receivedBytes",
  "sentBytes",
  "receivedDropped",
  "sentDropped",
  "receivedErrors",
  "sentErrors",
] as const;

export type PortStatistics = Readonly<Record<(typeof counters)[number], bigint>> & {
  readonly port: number;
  readonly durationSeconds: number;
};

export function encodePortStatistics(writer: Writer, statistics: PortStatistics): void {
  const start = writer.size;
  writer.zeros(4);
  writer.u32(statistics.port);
  writer.u32(statistics.durationSeconds);
  writer.u32(0);
  for (const counter of counters) writer.u64(statistics[counter]);
  writer.patchU16(start, writer.size - start);
}

/** Properties (the kinds of errors) are not kept. @throws {DecodeError} */
export function decodePortStatistics(outer: Reader): PortStatistics {
  const length = outer.u16();
  if (length < 80) {
    throw outer.error(`expected port statistics of at least 80 bytes, got ${length}`);
  }
  const reader = outer.sub(length - 2);
  reader.skip(2);
  const port = reader.u32();
  const durationSeconds = reader.u32();
  reader.skip(4);
  return {
    port,
    durationSeconds,
    receivedPackets: reader.u64(),
    sentPackets: reader.u64(),
    receivedBytes: reader.u64(),
    sentBytes: reader.u64(),
    receivedDropped: reader.u64(),
    sentDropped: reader.u64(),
    receivedErrors: reader.u64(),
    sentErrors: reader.u64(),
  };
}
