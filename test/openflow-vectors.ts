// The file of recorded OpenFlow messages, src/openflow/vectors.json.
import type { Message } from "../src/openflow/message.ts";

export interface Vector {
  readonly from: "ovs-ofctl" | "ovs-vswitchd";
  /** What `ovs-ofctl ofp-print` says of it. */
  readonly print: string;
  readonly hex: string;
  /** What the codec makes of it. */
  readonly message: Message;
}

/** Numbers beyond JSON's become `"5n"`, bytes `{"hex": "0a0b"}`. */
function toJson(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
  return value;
}

function fromJson(_key: string, value: unknown): unknown {
  if (typeof value === "string" && /^\d+n$/.test(value)) return BigInt(value.slice(0, -1));
  if (typeof value === "object" && value !== null && "hex" in value && !("print" in value)) {
    return Uint8Array.from(Buffer.from(String(value.hex), "hex"));
  }
  return value;
}

/** As it looks after a turn through JSON, which drops what is undefined. */
export function plainOf(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, toJson));
}

export function encodeVectors(vectors: readonly Vector[]): string {
  return `${JSON.stringify(vectors, toJson, 1)}\n`;
}

export function decodeVectors(text: string): readonly Vector[] {
  const vectors: readonly Vector[] = JSON.parse(text, fromJson);
  return vectors;
}

export function bytesOf(vector: Vector): Uint8Array {
  return Uint8Array.from(Buffer.from(vector.hex, "hex"));
}
