import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DecodeError } from "./errors.ts";
import { JsonStream } from "./json-stream.ts";

const encoder = new TextEncoder();

function feed(stream: JsonStream, bytes: Uint8Array, size: number): unknown[] {
  const values: unknown[] = [];
  for (let at = 0; at < bytes.length; at += size)
    values.push(...stream.push(bytes.subarray(at, at + size)));
  return values;
}

const sample = [
  { id: 0, method: "echo", params: [] },
  [["set", []], '}]"\\', "ünï 🐟 \u2028"],
  { nested: { a: [[{}]], text: '\\" { [' }, n: -1.5e3, t: true, nil: null },
];

test("values come out the same at every chunk size", () => {
  const bytes = encoder.encode(sample.map((value) => JSON.stringify(value)).join(""));
  for (let size = 1; size <= bytes.length; size++) {
    assert.deepEqual(feed(new JsonStream(1000), bytes, size), sample, `chunks of ${size}`);
  }
});

test("white space between values is skipped", () => {
  const bytes = encoder.encode(" \r\n\t{} \n []\n");
  assert.deepEqual(feed(new JsonStream(10), bytes, 1), [{}, []]);
});

test("any sequence of objects survives any cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue())),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      (objects, size, pretty) => {
        const texts = objects.map((object) => JSON.stringify(object, null, pretty ? 1 : undefined));
        const stream = new JsonStream(1e6);
        const values = feed(stream, encoder.encode(texts.join(pretty ? "\n" : "")), size);
        stream.end();
        assert.deepEqual(
          values,
          texts.map((text) => JSON.parse(text) as unknown),
        );
      },
    ),
  );
});

test("any bytes give values or a DecodeError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom("", "{", '["'), (bytes, head) => {
      const stream = new JsonStream(50);
      try {
        stream.push(encoder.encode(head));
        stream.push(bytes);
        stream.end();
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
  );
});

test("a stream that ends inside a value is truncated, at every cut", () => {
  const bytes = encoder.encode(JSON.stringify(sample[2]));
  for (let length = 1; length < bytes.length; length++) {
    const stream = new JsonStream(1000);
    assert.deepEqual(stream.push(bytes.subarray(0, length)), []);
    assert.throws(() => stream.end(), { name: "DecodeError", code: "truncated" });
  }
});

test("what cannot start a value is refused at once, with its place", () => {
  for (const text of ["x", "1", '"a"', "true", "}", "]"]) {
    const stream = new JsonStream(100);
    assert.throws(() => stream.push(encoder.encode(`{} ${text}`)), {
      code: "malformed",
      offset: 3,
    });
  }
});

test("wrong JSON inside brackets and wrong UTF-8 are malformed", () => {
  const inputs = ['{"a":}', "{]", "[1,]", "{'a':1}"].map((text) => encoder.encode(text));
  inputs.push(Uint8Array.of(0x5b, 0x22, 0xc3, 0x28, 0x22, 0x5d));
  for (const bytes of inputs) {
    for (const size of [1, bytes.length]) {
      assert.throws(() => feed(new JsonStream(100), bytes, size), { code: "malformed" });
    }
  }
});

test("a value of the largest size passes and one byte more does not, before it is complete", () => {
  const fits = encoder.encode(`["${"x".repeat(96)}"]`);
  for (const size of [1, 7, 100]) {
    assert.equal(feed(new JsonStream(100), fits, size).length, 1);
    assert.throws(() => feed(new JsonStream(99), fits, size), { code: "too-large" });
  }
  assert.throws(() => feed(new JsonStream(100), encoder.encode(`["${"x".repeat(99)}`), 10), {
    code: "too-large",
  });
});

test("after an error every call throws it again", () => {
  const stream = new JsonStream(100);
  assert.throws(() => stream.push(encoder.encode("?")), DecodeError);
  assert.throws(() => stream.push(encoder.encode("{}")), { code: "malformed", offset: 0 });
  assert.throws(() => stream.end(), { code: "malformed", offset: 0 });
});

test("a chunk may be overwritten once it was pushed", () => {
  const stream = new JsonStream(100);
  const chunk = encoder.encode('{"a":');
  stream.push(chunk);
  chunk.fill(0);
  assert.deepEqual(stream.push(encoder.encode("1}")), [{ a: 1 }]);
});
