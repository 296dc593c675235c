import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

const sizes = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 16);
const numbers = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    value: fc.bigInt({ min: 0n, max: (1n << BigInt(8 * size)) - 1n }),
  }),
);

test("numbers of any size come back in network byte order", () => {
  fc.assert(
    fc.property(fc.array(numbers), (list) => {
      const writer = new Writer(1);
      for (const { value, size } of list) writer.uint(value, size);
      const hex = list.map(({ value, size }) => value.toString(16).padStart(2 * size, "0"));
      assert.equal(Buffer.from(writer.view()).toString("hex"), hex.join(""));
      const reader = new Reader(writer.view());
      for (const { value, size } of list) assert.equal(reader.uint(size), value);
      assert.equal(reader.remaining, 0);
    }),
  );
});

test("no read goes past the end, and a failed one names its place", () => {
  const reads: ((reader: Reader) => unknown)[] = [
    (reader) => reader.u8(),
    (reader) => reader.u16(),
    (reader) => reader.u32(),
    (reader) => reader.u64(),
    (reader) => reader.uint(3),
    (reader) => reader.bytes(1),
    (reader) => reader.text(1),
    (reader) => reader.skip(1),
    (reader) => reader.sub(1),
  ];
  for (const read of reads) {
    const reader = new Reader(new Uint8Array(5));
    reader.skip(5);
    assert.throws(() => read(reader), { name: "DecodeError", code: "truncated", offset: 5 });
  }
});

test("a reader within another sees its own bytes only, at the outer one's offsets", () => {
  const outer = new Reader(Uint8Array.of(1, 2, 3, 4, 5));
  outer.skip(1);
  const inner = outer.sub(2);
  assert.equal(outer.u8(), 4);
  assert.equal(inner.offset, 1);
  assert.equal(inner.u16(), 0x0203);
  assert.throws(() => inner.u8(), { code: "truncated", offset: 3 });
  assert.deepEqual(outer.rest(), Uint8Array.of(5));
});

test("looking ahead leaves the reader where it is", () => {
  const reader = new Reader(Uint8Array.of(1, 2));
  assert.equal(reader.fork().u16(), 0x0102);
  assert.equal(reader.u8(), 1);
});

test("bytes of a view are read, not those of the buffer around it", () => {
  const reader = new Reader(Uint8Array.of(9, 1, 2, 9).subarray(1, 3));
  assert.equal(reader.u16(), 0x0102);
  assert.equal(reader.remaining, 0);
});

test("text ends at the first zero byte or with its field", () => {
  const writer = new Writer();
  writer.text("br-int", 16);
  writer.text("a name too long", 8);
  const reader = new Reader(writer.view());
  assert.equal(reader.text(16), "br-int");
  assert.equal(reader.text(8), "a name ");
  assert.equal(new Reader(Uint8Array.of(65, 66)).text(2), "AB");
});

test("padding is counted from where the structure began", () => {
  const writer = new Writer(4);
  writer.u8(1);
  writer.u16(2);
  writer.align8(1);
  assert.equal(writer.size, 9);
  writer.align8(1);
  assert.equal(writer.size, 9);
  writer.patchU16(1, 0xabcd);
  assert.deepEqual(writer.view(), Uint8Array.of(1, 0xab, 0xcd, 0, 0, 0, 0, 0, 0));
});

test("a cleared writer leaves nothing of what it held", () => {
  const writer = new Writer(8);
  writer.u64(0xffff_ffff_ffff_ffffn);
  writer.clear();
  writer.zeros(3);
  writer.text("", 2);
  assert.deepEqual(writer.view(), new Uint8Array(5));
});
