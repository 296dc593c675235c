// Queries as clients send them, for tests.
import { viewOf } from "./wire.ts";

const numbers: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  AXFR: 252,
  ANY: 255,
};

export interface QueryExtras {
  readonly id?: number;
  readonly flags?: number;
  readonly class?: number;
  /** Size that the client takes; no EDNS when absent. */
  readonly ednsSize?: number;
  readonly ednsVersion?: number;
  readonly dnssecOk?: boolean;
}

function encodeName(name: string): Uint8Array {
  const labels = name === "" ? [] : name.split(".");
  return Uint8Array.from([...labels.flatMap((label) => [label.length, ...Buffer.from(label)]), 0]);
}

/** `type` may be `TYPE65` for a number without a name. */
export function queryBytes(name: string, type: string, extras: QueryExtras = {}): Uint8Array {
  const { id = 0x1234, flags = 0x0100, ednsSize, ednsVersion = 0, dnssecOk = false } = extras;
  const question = encodeName(name);
  const option = ednsSize === undefined ? 0 : 11;
  const bytes = new Uint8Array(12 + question.length + 4 + option);
  const view = viewOf(bytes);
  view.setUint16(0, id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  view.setUint16(10, option > 0 ? 1 : 0);
  bytes.set(question, 12);
  const end = 12 + question.length;
  view.setUint16(end, numbers[type] ?? Number(type.replace("TYPE", "")));
  view.setUint16(end + 2, extras.class ?? 1);
  if (ednsSize !== undefined) {
    view.setUint16(end + 5, 41);
    view.setUint16(end + 7, ednsSize);
    view.setUint8(end + 10, ednsVersion);
    view.setUint16(end + 11, dnssecOk ? 0x8000 : 0);
  }
  return bytes;
}
