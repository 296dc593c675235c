import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, type Packet, encode } from "dns-packet";
import fc from "fast-check";
import { decodeDnsAnswer, decodeDnsQuery } from "./message.ts";

const question = { type: "A", name: "WWW.Example.com" } as const;

function answer(answers: Answer[], more: Packet = {}): ReturnType<typeof decodeDnsAnswer> {
  return decodeDnsAnswer(
    encode({ type: "response", id: 7, questions: [question], answers, ...more }),
  );
}

function addresses(answers: Answer[]): string[] | undefined {
  return answer(answers)?.addresses.map(({ address, ttlSeconds }) => `${address} ${ttlSeconds}`);
}

test("a query is its id, type and name in canonical form", () => {
  const message = encode({ type: "query", id: 7, questions: [question] });
  assert.deepEqual(decodeDnsQuery(message), { id: 7, type: "A", name: "www.example.com" });
  assert.equal(decodeDnsAnswer(message), undefined);
});

test("an answer gives the addresses of the name that was asked for", () => {
  assert.deepEqual(
    addresses([
      { type: "A", name: "www.EXAMPLE.com", ttl: 30, data: "203.0.113.7" },
      { type: "AAAA", name: "www.example.com", ttl: 60, data: "2001:DB8:0:0::7" },
      { type: "A", name: "other.example.com", ttl: 60, data: "203.0.113.8" },
      { type: "TXT", name: "www.example.com", ttl: 60, data: "203.0.113.9" },
    ]),
    ["203.0.113.7 30", "2001:db8::7 60"],
  );
});

test("aliases are followed within the answer, in whatever order, and the least TTL counts", () => {
  assert.deepEqual(
    addresses([
      { type: "A", name: "c.net", ttl: 50, data: "203.0.113.7" },
      { type: "CNAME", name: "b.net", ttl: 20, data: "C.net" },
      { type: "CNAME", name: "www.example.com", ttl: 300, data: "b.net" },
      { type: "A", name: "www.example.com", ttl: 300, data: "203.0.113.8" },
    ]),
    ["203.0.113.7 20"],
  );
});

test("aliases in a circle, or without an end, give nothing", () => {
  const circle: Answer[] = [
    { type: "CNAME", name: "www.example.com", ttl: 1, data: "b.net" },
    { type: "CNAME", name: "b.net", ttl: 1, data: "www.example.com" },
  ];
  assert.deepEqual(addresses(circle), []);
  assert.deepEqual(addresses(circle.slice(0, 1)), []);
});

test("errors, other classes and several questions say nothing", () => {
  const record: Answer = { type: "A", name: "www.example.com", ttl: 1, data: "203.0.113.7" };
  const nameError = 3;
  assert.equal(answer([record], { flags: nameError }), undefined);
  assert.equal(answer([record], { questions: [question, question] }), undefined);
  assert.equal(answer([record], { questions: [] }), undefined);
  assert.deepEqual(addresses([{ ...record, class: "CH" }]), []);
});

test("any bytes are a message or none, and never a crash", () => {
  const real = encode({
    type: "response",
    id: 7,
    questions: [question],
    answers: [{ type: "A", name: "www.example.com", ttl: 1, data: "203.0.113.7" }],
  });
  const damaged = fc
    .tuple(fc.nat({ max: real.length - 1 }), fc.nat({ max: 255 }), fc.nat({ max: real.length }))
    .map(([at, value, length]) => {
      const copy = Uint8Array.from(real);
      copy[at] = value;
      return copy.subarray(0, length);
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), damaged), (bytes) => {
      decodeDnsQuery(bytes);
      decodeDnsAnswer(bytes);
    }),
    { numRuns: 1_000 },
  );
});
