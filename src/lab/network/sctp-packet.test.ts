import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { crc32c } from "./crc32c.ts";
import { type SctpPacket, decodeSctp, encodeSctp } from "./sctp-packet.ts";

test("CRC-32C gives the values of RFC 3720 appendix B.4", () => {
  const vectors: [Uint8Array, number][] = [
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
    [Buffer.from("123456789"), 0xe3069283],
    [new Uint8Array(0), 0],
  ];
  for (const [bytes, sum] of vectors) assert.equal(crc32c(bytes), sum);
});

test("an INIT is laid out as RFC 9260 sections 3.1 and 3.3.2 say", () => {
  const bytes = encodeSctp({
    kind: "init",
    sourcePort: 0x1234,
    destinationPort: 0x5678,
    initiateTag: 0x9abcdef0,
  });
  const withoutSum = Buffer.concat([bytes.subarray(0, 8), bytes.subarray(12)]).toString("hex");
  assert.equal(
    withoutSum,
    ["1234567800000000", "01000014", "9abcdef0", "0000ffff", "00010001", "9abcdef0"].join(""),
  );
  const zeroed = Buffer.from(bytes);
  zeroed.fill(0, 8, 12);
  assert.equal(bytes.readUInt32LE(8), crc32c(zeroed));
});

const port = fc.integer({ min: 0, max: 65535 });
const tag = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const ports = { sourcePort: port, destinationPort: port };
const cookie = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const packets: fc.Arbitrary<SctpPacket> = fc.oneof(
  fc.record({ kind: fc.constant("init"), ...ports, initiateTag: tag }),
  fc.record({
    kind: fc.constant("init-ack"),
    ...ports,
    verificationTag: tag,
    initiateTag: tag,
    cookie,
  }),
  fc.record({ kind: fc.constant("abort"), ...ports, verificationTag: tag }),
);

test("any packet is the same after a round trip", () => {
  fc.assert(
    fc.property(packets, (packet) =>
      assert.deepEqual({ ...decodeSctp(encodeSctp(packet)) }, { ...packet }),
    ),
  );
});

test("a packet with any bit flipped, or cut anywhere, is none", () => {
  fc.assert(
    fc.property(packets, fc.nat(), fc.nat(7), (packet, at, bit) => {
      const bytes = encodeSctp(packet);
      assert.equal(decodeSctp(bytes.subarray(0, at % bytes.length)), undefined);
      bytes[at % bytes.length]! ^= 1 << bit;
      assert.equal(decodeSctp(bytes), undefined);
    }),
  );
});

test("any bytes with a right checksum give a packet or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 1, 2, 6), (tail, type) => {
      const bytes = Buffer.concat([Buffer.alloc(12), Buffer.from([type]), tail]);
      bytes.writeUInt32LE(crc32c(bytes), 8);
      decodeSctp(bytes);
    }),
  );
});
