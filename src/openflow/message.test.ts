import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { action, flow } from "../../test/openflow-arbitraries.ts";
import { DecodeError, type DecodeErrorCode } from "../wire/errors.ts";
import { Writer } from "../wire/writer.ts";
import type { Flow } from "./flow.ts";
import { addFlow } from "./flow-mod.ts";
import { type Message, decodeMessage, encodeMessage } from "./message.ts";

function encoded(message: Message, xid = 1): Uint8Array {
  const writer = new Writer(16);
  encodeMessage(writer, message, xid);
  return writer.view();
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

function assertTurn(message: Message): void {
  assert.deepEqual(decodeMessage(encoded(message, 7)), { xid: 7, message });
}

test("any flow comes back from its bytes as it was", () => {
  fc.assert(
    fc.property(flow, (one) => {
      const add = addFlow(one);
      assertTurn(add);
      assertTurn({ kind: "bundle-add", bundle: 3, flags: ["atomic"], message: add });
      const entry = { flow: one, flags: [], importance: 0, statistics: {} };
      assertTurn({ kind: "multipart-reply", part: "flows", more: false, items: [entry, entry] });
    }),
  );
});

test("any bytes give a message or a DecodeError", () => {
  const header = fc.constantFrom(0, 1, 4, 6, 10, 11, 12, 13, 14, 15, 18, 19, 28, 29, 33, 34);
  const body = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(header, body, (type, bytes) => {
      const message = new Uint8Array(8 + bytes.length);
      message.set([6, type, 0, message.length]);
      message.set(bytes, 8);
      try {
        decodeMessage(message);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("a message with one byte changed is another message or a DecodeError", () => {
  fc.assert(
    fc.property(fc.array(action), fc.nat(), fc.nat(255), (actions, at, value) => {
      const match = [{ field: "reg0", value: 5n, mask: 0xfn } as const];
      const bytes = encoded(addFlow({ table: 0, priority: 0, cookie: 0n, match, actions }));
      bytes[8 + (at % (bytes.length - 8))] = value;
      try {
        decodeMessage(bytes);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
  );
});

test("messages that ovs-ofctl and ovs-vswitchd do not exchange come back as they were", () => {
  const packet = {
    reason: 1,
    table: 3,
    cookie: 5n,
    metadata: [{ field: "in_port", value: 3n }],
    data: bytesOf("0a0b0c"),
    packetSize: 100,
    userdata: bytesOf("01"),
    continuation: bytesOf("0102030405"),
  } as const;
  assertTurn({ kind: "resume", ...packet });
  assertTurn({ kind: "packet-in2", ...packet });
  assertTurn({ kind: "role-request", role: "primary", generation: 5n });
  assertTurn({ kind: "role-reply", role: "no-change", generation: 0n });
  assertTurn({ kind: "set-async", masks: [{ property: 1, mask: 3 }] });
  assertTurn({ kind: "set-controller-id", id: 5 });
  assertTurn({ kind: "hello" });
});

/** A flow mod's body up to its match. */
const flowModStart =
  "0000000000000000 0000000000000000 00 00 0000 0000 0000 ffffffff ffffffff ffffffff 0000 0000";
const noMatch = "0001 0004 00000000";

/** Body of a message of that type, and what is wrong with it. */
const rejected: readonly (readonly [string, number, string, DecodeErrorCode])[] = [
  [
    "a flow command that does not exist",
    14,
    flowModStart.replace(" 00 00 0000", " 00 05 0000"),
    "malformed",
  ],
  ["a match of another type", 14, `${flowModStart} 0000 0004 00000000`, "malformed"],
  ["a match shorter than its header", 14, `${flowModStart} 0001 0003 00000000`, "malformed"],
  ["a match field without a value", 14, `${flowModStart} 0001 0008 80000000`, "malformed"],
  [
    "a field beyond the match's end",
    14,
    `${flowModStart} 0001 0008 80000004 00000001`,
    "truncated",
  ],
  [
    "a masked field of odd length",
    14,
    `${flowModStart} 0001 000b 80000103 000001 0000000000`,
    "malformed",
  ],
  [
    "a value wider than its field",
    14,
    `${flowModStart} 0001 0009 80001001 40 00000000000000`,
    "malformed",
  ],
  ["an instruction of length 0", 14, `${flowModStart} ${noMatch} 0001 0000 00000000`, "malformed"],
  [
    "an instruction of length 12",
    14,
    `${flowModStart} ${noMatch} 0001 000c 00000000 00000000`,
    "malformed",
  ],
  [
    "an action of length 0",
    14,
    `${flowModStart} ${noMatch} 0004 0010 00000000 0018 0000 00000000`,
    "malformed",
  ],
  [
    "an action of length 4",
    14,
    `${flowModStart} ${noMatch} 0004 0010 00000000 0018 0004 00000000`,
    "malformed",
  ],
  [
    "an action of length 12",
    14,
    `${flowModStart} ${noMatch} 0004 0018 00000000 0018 000c 00000000 00000000 00000000`,
    "malformed",
  ],
  [
    "an action beyond its instruction",
    14,
    `${flowModStart} ${noMatch} 0004 0010 00000000 0018 0010 00000000 0000000000000000`,
    "truncated",
  ],
  [
    "an action too short for its kind",
    14,
    `${flowModStart} ${noMatch} 0004 0010 00000000 0000 0008 00000001`,
    "truncated",
  ],
  [
    "a NAT action of length 8",
    14,
    `${flowModStart} ${noMatch} 0004 0030 00000000 ffff 0028 00002320 0023 0001 00000000 0000 ff 000000 0000 ffff 0008 00002320 0024 0000 0000 0000`,
    "malformed",
  ],
  [
    "an unknown property of controller",
    14,
    `${flowModStart} ${noMatch} 0004 0020 00000000 ffff 0018 00002320 0025 000000000000 0009 0004 00000000`,
    "unsupported",
  ],
  ["a property of length 3", 0, "0001 0003 00000000", "malformed"],
  [
    "a group command that does not exist",
    15,
    "0004 00 00 00000001 0000 0000 ffffffff",
    "malformed",
  ],
  ["a group type that does not exist", 15, "0000 09 00 00000001 0000 0000 ffffffff", "malformed"],
  [
    "a bucket of length 4",
    15,
    "0000 00 00 00000001 0008 0000 ffffffff 0004 0000 00000001",
    "malformed",
  ],
  [
    "buckets beyond the message",
    15,
    "0000 00 00 00000001 0010 0000 ffffffff 0008 0000 00000001",
    "truncated",
  ],
  ["a meter command that does not exist", 29, "0003 0000 00000001", "malformed"],
  ["a meter band of length 12", 29, "0000 0001 00000001 0001 000c 00000001 00000001", "malformed"],
  [
    "a meter band of an unknown type",
    29,
    "0000 0001 00000001 0007 0010 00000001 00000001 00000000",
    "unsupported",
  ],
  ["a bundle control that does not exist", 33, "00000001 0008 0003", "malformed"],
  ["a role that does not exist", 24, "00000004 00000000 0000000000000000", "malformed"],
  ["a port status reason that does not exist", 12, "03 00000000000000", "malformed"],
  ["a port of length 39", 12, "00 00000000000000 00000001 0027 0000", "malformed"],
  [
    "a removal's reason that does not exist",
    11,
    "00 06 0000 0000 0000 0000000000000000",
    "malformed",
  ],
  ["an unknown multipart", 19, "000c 0000 00000000", "unsupported"],
  ["a flow entry of length 23", 19, "0001 0000 00000000 0017 0000", "malformed"],
  [
    "statistics shorter than their header",
    19,
    "0002 0000 00000000 0000 0003 00000000",
    "malformed",
  ],
  ["a group of length 15", 19, "0007 0000 00000000 000f 00 00", "malformed"],
  ["group statistics of length 39", 19, "0006 0000 00000000 0027 0000", "malformed"],
  ["a meter of length 7", 19, "000a 0000 00000000 0007 0000", "malformed"],
  ["meter statistics of length 39", 19, "0009 0000 00000000 00000001 0027", "malformed"],
  ["port statistics of length 79", 19, "0004 0000 00000000 004f 0000", "malformed"],
  ["a packet-in format that does not exist", 4, "00002320 00000010 00000007", "unsupported"],
];

for (const [name, type, hex, code] of rejected) {
  test(`${name} is ${code}`, () => {
    const body = bytesOf(hex);
    const message = new Uint8Array(8 + body.length);
    message.set([6, type, 0, message.length]);
    message.set(body, 8);
    assert.throws(() => decodeMessage(message), { name: "DecodeError", code });
  });
}

test("another version is refused, but for hello and errors", () => {
  assert.throws(() => decodeMessage(bytesOf("04 14 0008 00000001")), { code: "unsupported" });
  assert.equal(decodeMessage(bytesOf("04 00 0008 00000001")).message.kind, "hello");
  assert.equal(decodeMessage(bytesOf("01 01 000c 00000001 0000 0000")).message.kind, "error");
});

test("a length below the header's is malformed", () => {
  assert.throws(() => decodeMessage(bytesOf("06 14 0007 00000001")), { code: "malformed" });
});

test("an unknown type keeps its bytes", () => {
  const message = decodeMessage(bytesOf("06 63 000b 00000001 010203")).message;
  assert.deepEqual(message, { kind: "unknown", type: 0x63, body: bytesOf("010203") });
  assert.deepEqual(encoded(message), bytesOf("06 63 000b 00000001 010203"));
});

test("an experimenter's message that nobody here knows keeps its bytes", () => {
  for (const hex of [
    "06 04 0010 00000001 00002320 000000ff",
    "06 04 0010 00000001 12345678 00000010",
  ]) {
    assert.deepEqual(encoded(decodeMessage(bytesOf(hex)).message), bytesOf(hex));
  }
});

function nameOf(hex: string): string {
  const { message } = decodeMessage(bytesOf(hex));
  return message.kind === "error" ? message.name : "";
}

test("errors are called by their names", () => {
  assert.equal(nameOf("06 01 000c 00000001 0004 0009"), "OFPBMC_BAD_PREREQ");
  assert.equal(nameOf("06 01 000c 00000001 0011 000d"), "OFPBFC_MSG_FAILED");
  assert.equal(nameOf("06 01 0010 00000001 ffff 000f 00002320"), "NXBAC_BAD_CONJUNCTION");
  assert.equal(nameOf("06 01 000c 00000001 0063 0009"), "99/9");
  assert.equal(nameOf("06 01 0010 00000001 ffff 000f 00012345"), "experimenter 0x12345/15");
});

const empty: Flow = { table: 0, priority: 0, cookie: 0n, match: [], actions: [] };

/** What cannot be put on the wire. */
const unencodable: readonly (readonly [string, Partial<Flow>])[] = [
  ["a value wider than its field", { match: [{ field: "ip_proto", value: 256n }] }],
  ["a mask wider than its field", { match: [{ field: "reg0", value: 0n, mask: 1n << 32n }] }],
  ["a negative value", { match: [{ field: "reg0", value: -1n }] }],
  ["a field that is none", { match: [{ field: "oxm:what", value: 1n }] }],
  [
    "a move between widths",
    {
      actions: [
        {
          kind: "move",
          from: { field: "reg0", offset: 0, bits: 8 },
          to: { field: "reg1", offset: 0, bits: 9 },
        },
      ],
    },
  ],
  [
    "bits beyond a field",
    { actions: [{ kind: "output-field", from: { field: "reg0", offset: 20, bits: 16 } }] },
  ],
  [
    "a conntrack zone from an experimenter's field",
    { actions: [{ kind: "ct", zone: { field: "oxm:ffff0208:1234abcd", offset: 0, bits: 16 } }] },
  ],
  [
    "a resubmit to a port of more than 16 bits",
    { actions: [{ kind: "resubmit", table: 1, port: 0xff00 }] },
  ],
  [
    "a flow of more than 65535 bytes",
    {
      actions: Array.from(
        { length: 5000 },
        () => ({ kind: "conjunction", id: 1, clause: 1, clauses: 2 }) as const,
      ),
    },
  ],
];

for (const [name, part] of unencodable) {
  test(`${name} is a RangeError`, () => {
    assert.throws(() => encoded(addFlow({ ...empty, ...part })), RangeError);
  });
}

test("a match goes out with prerequisites first, in whatever order it lists them", () => {
  const type = { field: "eth_type", value: 0x800n } as const;
  const proto = { field: "ip_proto", value: 6n } as const;
  const port = { field: "tcp_dst", value: 80n } as const;
  const sorted = encoded(addFlow({ ...empty, match: [type, proto, port] }));
  assert.deepEqual(encoded(addFlow({ ...empty, match: [port, proto, type] })), sorted);
});
