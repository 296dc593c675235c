import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeUdpFrame } from "./udp-frame.ts";

const ethernet = (type: number): number[] => [...Array<number>(12).fill(2), type >> 8, type & 255];
const udp = [0, 53, 0x30, 0x39, 0, 11, 0, 0, 1, 2, 3];
const bytesOf = (hex: string): number[] => [...Buffer.from(hex, "hex")];
const v4 = (fragment = 0, protocol = 17): number[] =>
  bytesOf("4500001f00000000400000000a0000010a000002")
    .with(6, fragment >> 8)
    .with(7, fragment & 255)
    .with(9, protocol);
const v6 = bytesOf(`60000000000b1140fd${"00".repeat(14)}01fd${"00".repeat(14)}02`);

test("a datagram in either family is read", () => {
  const expected = { sourcePort: 53, destinationPort: 12345, payload: Uint8Array.of(1, 2, 3) };
  const inV4 = Uint8Array.from([...ethernet(0x0800), ...v4(), ...udp, 0, 0]);
  assert.deepEqual(decodeUdpFrame(inV4), {
    source: "10.0.0.1",
    destination: "10.0.0.2",
    ...expected,
  });
  const inV6 = Uint8Array.from([...ethernet(0x86dd), ...v6, ...udp]);
  assert.deepEqual(decodeUdpFrame(inV6), {
    source: "fd00::1",
    destination: "fd00::2",
    ...expected,
  });
});

test("fragments, other protocols and what is cut short are none", () => {
  const frames = [
    [...ethernet(0x0800), ...v4(0x2000), ...udp],
    [...ethernet(0x0800), ...v4(1), ...udp],
    [...ethernet(0x0800), ...v4(0, 6), ...udp],
    [...ethernet(0x0806), ...v4(), ...udp],
    [...ethernet(0x0800), ...v4(), ...udp.slice(0, -1)],
    [...ethernet(0x86dd), ...v6.slice(0, -1)],
    [],
  ];
  for (const frame of frames) assert.equal(decodeUdpFrame(Uint8Array.from(frame)), undefined);
});

test("any bytes are a datagram or none", () => {
  const frame = fc
    .tuple(fc.constantFrom(0x0800, 0x86dd), fc.uint8Array({ maxLength: 80 }))
    .map(([type, bytes]) => Uint8Array.from([...ethernet(type), ...bytes]));
  fc.assert(
    fc.property(frame, (bytes) => void decodeUdpFrame(bytes)),
    { numRuns: 1_000 },
  );
});
