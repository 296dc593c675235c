import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bytesOf, decodeVectors, plainOf } from "../../test/openflow-vectors.ts";
import { DecodeError } from "../wire/errors.ts";
import { Writer } from "../wire/writer.ts";
import { Framer } from "./framer.ts";
import { decodeMessage, encodeMessage } from "./message.ts";

const file = new URL("vectors.json", import.meta.url);
const vectors = decodeVectors(readFileSync(file, "utf8"));

function title(print: string): string {
  return print.replaceAll("\n", " ").slice(0, 90);
}

/** What the codec leaves out on purpose, so that encoding gives other bytes of the same meaning. */
function isAbridged(kind: string, print: string): boolean {
  return (
    kind === "port-status" ||
    /^OFPST_PORT_DESC reply|^OFPST_PORT reply/.test(print) ||
    // Fractions of seconds.
    /^OFPST_(FLOW|GROUP|METER) reply|^OFPT_FLOW_REMOVED/.test(print) ||
    // The older form of an action.
    print.includes("output:NXM_NX_REG0")
  );
}

for (const vector of vectors) {
  const { from, print, hex, message } = vector;
  test(`${from}: ${title(print)}`, () => {
    const bytes = bytesOf(vector);
    const expected = plainOf({ xid: 1, message });
    assert.deepEqual(plainOf(decodeMessage(bytes)), expected);
    const writer = new Writer(0);
    encodeMessage(writer, message, 1);
    assert.deepEqual(plainOf(decodeMessage(writer.view())), expected);
    if (isAbridged(message.kind, print)) return;
    assert.equal(Buffer.from(writer.view()).toString("hex"), hex);
  });
}

test("the vectors show every kind of message that ovs-ofctl and ovs-vswitchd exchange", () => {
  const kinds = new Set(vectors.map((vector) => vector.message.kind));
  const expected =
    "barrier-reply barrier-request bundle-add bundle-control echo-reply echo-request error " +
    "features-reply features-request flow-mod flow-removed flush-zone get-config-reply " +
    "get-config-request group-mod hello meter-mod multipart-reply multipart-request packet-in " +
    "packet-in2 packet-out port-status set-config set-packet-in-format unknown";
  assert.equal([...kinds].toSorted().join(" "), expected);
});

test("a message cut off anywhere is truncated", () => {
  for (const vector of vectors) {
    const bytes = bytesOf(vector);
    for (let size = 0; size < bytes.length; size++) {
      assert.throws(() => decodeMessage(bytes.subarray(0, size)), { code: "truncated" });
    }
  }
});

test("a message that ends early by its own length is decoded or refused, and nothing else", () => {
  for (const vector of vectors) {
    for (let size = 8; size < bytesOf(vector).length; size++) {
      const bytes = bytesOf(vector).subarray(0, size);
      new DataView(bytes.buffer).setUint16(2, size);
      try {
        decodeMessage(bytes);
      } catch (error) {
        assert.ok(
          error instanceof DecodeError,
          `${title(vector.print)} at ${size}: ${String(error)}`,
        );
      }
    }
  }
});

test("a stream gives the same messages at every chunk size", () => {
  const all = vectors.filter((vector) => vector.hex.length < 2000).map(bytesOf);
  const stream = Buffer.concat(all);
  for (let size = 1; size <= stream.length; size = size < 300 ? size + 1 : size * 2) {
    const framer = new Framer();
    const messages: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += size) {
      const chunk = Uint8Array.from(stream.subarray(at, at + size));
      messages.push(...framer.push(chunk).map((message) => message.slice()));
      chunk.fill(0xff);
    }
    assert.deepEqual(messages, all, `chunks of ${size}`);
  }
});

test("a length below the header's ends the stream", () => {
  assert.throws(() => new Framer().push(Uint8Array.of(6, 0, 0, 7, 0, 0, 0, 1)), {
    name: "DecodeError",
    code: "malformed",
  });
});
