// Queries that are read, replies that are written, and what is done about all that is neither.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, decode, encode } from "dns-packet";
import fc from "fast-check";
import {
  decodeForwardAnswer,
  encodeForwardAnswer,
  encodeForwardQuery,
  failureFor,
  forwardQueryOf,
  keyOf,
} from "./forwarded.ts";
import { type Query, decodeQuery } from "./query.ts";
import { type Reply, datagramSize, encodeError, encodeReply } from "./reply.ts";
import { type QueryExtras, queryBytes } from "./test-query.ts";
import { flags, rcodes, readHeader } from "./wire.ts";

function queryOf(name: string, type: string, extras?: QueryExtras): Query {
  const decoded = decodeQuery(queryBytes(name, type, extras));
  assert.ok(decoded?.kind === "query", JSON.stringify(decoded));
  return decoded.query;
}

function errorOf(bytes: Uint8Array): number | undefined {
  const decoded = decodeQuery(bytes);
  assert.ok(decoded?.kind !== "query");
  if (decoded === undefined) return undefined;
  const reply = encodeError(decoded);
  assert.ok(reply.length <= bytes.length + 11, "an error is much larger than what caused it");
  const header = readHeader(reply);
  assert.ok((header.flags & flags.response) !== 0);
  assert.equal(header.id, readHeader(bytes).id);
  return decoded.rcode;
}

/** As `edit` leaves it. */
function edited(edit: (bytes: Uint8Array) => void, extras?: QueryExtras): Uint8Array {
  const bytes = queryBytes("web.shop.svc.cluster.local", "A", extras);
  edit(bytes);
  return bytes;
}

test("what is no query that can be answered gets an error, or nothing", () => {
  const set = (offset: number, value: number) => (bytes: Uint8Array) => {
    bytes[offset] = value;
  };
  const expected: readonly (readonly [string, Uint8Array, number | undefined])[] = [
    ["a response", edited(set(2, 0x81)), undefined],
    ["less than a header", queryBytes("a", "A").slice(0, 11), undefined],
    ["a header alone", queryBytes("a", "A").slice(0, 12), rcodes.formatError],
    ["an update", edited(set(2, 5 << 3)), rcodes.notImplemented],
    ["a notification", edited(set(2, 4 << 3)), rcodes.notImplemented],
    ["no question", edited(set(5, 0)), rcodes.formatError],
    ["two questions", edited(set(5, 2)), rcodes.formatError],
    ["an answer", edited(set(7, 1)), rcodes.formatError],
    ["a cut question", edited(() => undefined).slice(0, -3), rcodes.formatError],
    ["a pointer in the question", edited(set(12, 0xc0)), rcodes.formatError],
    ["a reserved label", edited(set(12, 0x41)), rcodes.formatError],
    ["an additional record that is not there", edited(set(11, 1)), rcodes.formatError],
    ["another class", edited(() => undefined, { class: 3 }), rcodes.refused],
    ["a transfer", queryBytes("cluster.local", "AXFR"), rcodes.refused],
    ["an option as type", queryBytes("a", "TYPE41"), rcodes.formatError],
    ["EDNS of another version", edited(() => undefined, { ednsSize: 1232, ednsVersion: 1 }), 16],
  ];
  for (const [what, bytes, rcode] of expected) assert.equal(errorOf(bytes), rcode, what);
});

test("EDNS of another version is answered with the code that only EDNS has", () => {
  const decoded = decodeQuery(queryBytes("a", "A", { ednsSize: 1232, ednsVersion: 1 }));
  assert.ok(decoded?.kind === "bad");
  const message = decode(Buffer.from(encodeError(decoded)));
  const [option] = message.additionals ?? [];
  assert.ok(option?.type === "OPT");
  assert.equal(option.extendedRcode, 1);
  assert.equal(option.ednsVersion, 0);
});

test("any bytes are answered with little or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 600 }), (bytes) => {
      const decoded = decodeQuery(bytes);
      if (decoded === undefined || decoded.kind === "query") return;
      assert.ok(encodeError(decoded).length <= bytes.length + 11);
    }),
    { numRuns: 3_000 },
  );
});

test("a query with any byte changed is read or refused", () => {
  const whole = queryBytes("web.shop.svc.cluster.local", "A", { ednsSize: 1232 });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const bytes = Uint8Array.from(whole);
      bytes[at] = value;
      const decoded = decodeQuery(bytes);
      if (decoded?.kind !== "query") return;
      const none = { rcode: 0, authoritative: true, answers: [], authorities: [], additionals: [] };
      decode(Buffer.from(encodeReply(decoded.query, none, 512)));
    }),
    { numRuns: 3_000 },
  );
});

function manyAddresses(count: number, name = "db.shop.svc.cluster.local"): Reply {
  const answers = Array.from({ length: count }, (_, index): Answer => ({
    type: "A",
    name,
    ttl: 5,
    data: `10.1.${index >> 8}.${index & 255}`,
  }));
  return { rcode: 0, authoritative: true, answers, authorities: [], additionals: answers };
}

test("a datagram holds what fits, says so when that is not all, and is never larger than the client takes", () => {
  const sizes = [undefined, 100, 512, 600, 1232, 4096, 65_535];
  for (const ednsSize of sizes) {
    const query = queryOf(
      "db.shop.svc.cluster.local",
      "A",
      ednsSize === undefined ? {} : { ednsSize },
    );
    const limit = datagramSize(query.edns);
    assert.ok(limit <= 1232 && limit <= Math.max(ednsSize ?? 512, 512));
    for (const count of [1, 20, 28, 29, 70, 500]) {
      const bytes = encodeReply(query, manyAddresses(count), limit);
      assert.ok(bytes.length <= limit, `${bytes.length} of ${limit}`);
      const message = decode(Buffer.from(bytes));
      const all = message.answers?.length === count;
      assert.equal((readHeader(bytes).flags & flags.truncated) === 0, all, `${ednsSize} ${count}`);
      assert.equal(
        message.additionals?.filter(({ type }) => type === "OPT").length,
        query.edns ? 1 : 0,
      );
    }
  }
});

test("without EDNS 28 addresses fit beside a name of 25 letters", () => {
  const query = queryOf("db.shop.svc.cluster.local", "A");
  const message = decode(Buffer.from(encodeReply(query, manyAddresses(28), 512)));
  assert.equal(message.answers?.length, 28);
});

test("replies repeat what the client asked, its bits and its id", () => {
  const query = queryOf("A.b", "A", { id: 0xbeef, flags: 0x0110, ednsSize: 4096, dnssecOk: true });
  const bytes = encodeReply(query, manyAddresses(1, "a.b"), 1232);
  const header = readHeader(bytes);
  assert.equal(header.id, 0xbeef);
  const set = flags.response | flags.authoritative | flags.recursionDesired;
  assert.equal(header.flags, set | flags.recursionAvailable | flags.checkingDisabled);
  const message = decode(Buffer.from(bytes));
  assert.deepEqual(
    message.questions?.map(({ name }) => name),
    ["A.b"],
  );
  const option = message.additionals?.at(-1);
  assert.ok(option?.type === "OPT" && option.flag_do);
});

const upstreamAnswers: Answer[] = [
  { type: "CNAME", name: "www.Example.com", ttl: 300, data: "host.example.net" },
  { type: "A", name: "host.example.net", ttl: 60, data: "192.0.2.1" },
];
const option: Answer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 4096,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

function upstream(parts: Parameters<typeof encode>[0]): Uint8Array {
  const questions = [{ type: "A", name: "www.Example.com" }] as const;
  return encode({ type: "response", id: 9, flags: 0x0180, questions: [...questions], ...parts });
}

test("what an upstream server answers is passed on with the client's id, question, bits and EDNS", () => {
  const query = queryOf("WWW.example.COM", "A", { id: 77 });
  const forward = forwardQueryOf(query);
  assert.equal(
    decode(Buffer.from(encodeForwardQuery(forward, 9))).questions?.[0]?.name,
    "WWW.example.COM",
  );
  const answer = decodeForwardAnswer(
    upstream({ answers: upstreamAnswers, additionals: [option] }),
    forward,
    9,
  );
  assert.ok(answer !== undefined);
  assert.equal(answer.lifetimeSeconds, 60);
  const aged = { answer, ageSeconds: 10, stale: false };
  const message = decode(Buffer.from(encodeForwardAnswer(aged, query, 512)));
  assert.equal(message.id, 77);
  assert.equal(message.questions?.[0]?.name, "WWW.example.COM");
  assert.deepEqual(message.additionals, []);
  const ttls = message.answers?.map((each) => (each.type === "OPT" ? -1 : each.ttl));
  assert.deepEqual(ttls, [290, 50]);
  const stale = encodeForwardAnswer({ answer, ageSeconds: 100, stale: true }, query, 512);
  const old = decode(Buffer.from(stale)).answers;
  assert.deepEqual(
    old?.map((each) => (each.type === "OPT" ? -1 : each.ttl)),
    [30, 30],
  );
  const withOption = queryOf("www.example.com", "A", { ednsSize: 1232 });
  const second = decode(Buffer.from(encodeForwardAnswer(aged, withOption, 1232)));
  assert.deepEqual(
    second.additionals?.map(({ type }) => type),
    ["OPT"],
  );
  // Less room than it takes: nothing but the question, and the client comes back by TCP.
  const cut = encodeForwardAnswer(aged, query, 60);
  assert.ok((readHeader(cut).flags & flags.truncated) !== 0);
  assert.deepEqual(decode(Buffer.from(cut)).answers, []);
});

test("an answer to something else is none", () => {
  const forward = forwardQueryOf(queryOf("www.example.com", "A"));
  const right = upstream({ answers: upstreamAnswers });
  assert.ok(decodeForwardAnswer(right, forward, 9) !== undefined);
  assert.equal(decodeForwardAnswer(right, forward, 8), undefined);
  assert.equal(decodeForwardAnswer(upstream({ type: "query" }), forward, 9), undefined);
  const other = upstream({ questions: [{ type: "A", name: "www.example.org" }] });
  assert.equal(decodeForwardAnswer(other, forward, 9), undefined);
  const type = upstream({ questions: [{ type: "AAAA", name: "www.example.com" }] });
  assert.equal(decodeForwardAnswer(type, forward, 9), undefined);
  for (let length = 0; length < right.length; length++) {
    assert.equal(decodeForwardAnswer(right.subarray(0, length), forward, 9), undefined);
  }
});

test("what is not there is believed as long as its SOA record says, and not without one", () => {
  const forward = forwardQueryOf(queryOf("www.example.com", "A"));
  const soa: Answer = {
    type: "SOA",
    name: "example.com",
    ttl: 100,
    data: { mname: "a", rname: "b", serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 40 },
  };
  const lifetime = (parts: Parameters<typeof encode>[0]): number | undefined =>
    decodeForwardAnswer(upstream(parts), forward, 9)?.lifetimeSeconds;
  assert.equal(lifetime({ flags: 0x0183, authorities: [soa] }), 40);
  assert.equal(lifetime({ authorities: [soa] }), 40);
  assert.equal(lifetime({ flags: 0x0183 }), undefined);
  assert.equal(lifetime({ flags: 0x0182, authorities: [soa] }), undefined);
  assert.equal(lifetime({ flags: 0x0380, answers: upstreamAnswers }), undefined);
});

test("when nobody answers the client hears that", () => {
  const query = queryOf("www.example.com", "A", { ednsSize: 1232 });
  const failure = failureFor(forwardQueryOf(query));
  const bytes = encodeForwardAnswer({ answer: failure, ageSeconds: 0, stale: false }, query, 512);
  assert.equal(readHeader(bytes).flags & 0xf, rcodes.serverFailure);
  assert.equal(decode(Buffer.from(bytes)).questions?.length, 1);
});

test("queries with the same answer have the same key, and no others", () => {
  const key = (name: string, type = "A", extras: QueryExtras = {}): string =>
    keyOf(forwardQueryOf(queryOf(name, type, extras)));
  assert.equal(key("A.b", "A", { id: 1, ednsSize: 512 }), key("a.B", "A", { id: 2 }));
  const different = [
    key("a.b"),
    key("a.b.c"),
    key("a.b", "AAAA"),
    key("a.b", "A", { flags: 0x0110 }),
    key("a.b", "A", { ednsSize: 512, dnssecOk: true }),
  ];
  assert.equal(new Set(different).size, different.length);
});
