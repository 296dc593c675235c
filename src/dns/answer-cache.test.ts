import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerCache } from "./answer-cache.ts";
import type { ForwardAnswer } from "./forwarded.ts";
import { serversFor } from "./forwarders.ts";

const limits = {
  sizeBytes: 4_000,
  positiveSeconds: 100,
  negativeSeconds: 10,
  staleSeconds: 1_000,
  retrySeconds: 5,
};

function answer(lifetimeSeconds: number | undefined, { positive = true } = {}): ForwardAnswer {
  const bytes = new Uint8Array(100);
  bytes[7] = positive ? 1 : 0;
  const rest = { flags: 0, rcode: 0, truncated: false, questionEnd: 20, ttlOffsets: [] };
  return { bytes, ...rest, lifetimeSeconds };
}

test("an answer is fresh for its time, stale for a while after it, and then gone", () => {
  const cache = new AnswerCache(limits);
  cache.put("a", answer(50), 0);
  assert.partialDeepStrictEqual(cache.find("a", 49_999), {
    ageSeconds: 49,
    stale: false,
    due: false,
  });
  assert.partialDeepStrictEqual(cache.find("a", 50_000), { stale: true, due: true });
  assert.partialDeepStrictEqual(cache.find("a", 1_050_000), { stale: true });
  assert.equal(cache.find("a", 1_050_001), undefined);
  assert.equal(cache.sizeBytes, 0);
});

test("no answer is believed for longer than the limits", () => {
  const cache = new AnswerCache(limits);
  cache.put("yes", answer(1_000), 0);
  cache.put("no", answer(1_000, { positive: false }), 0);
  cache.put("now", answer(0), 0);
  cache.put("never", answer(undefined), 0);
  assert.equal(cache.find("yes", 99_999)?.stale, false);
  assert.equal(cache.find("yes", 100_000)?.stale, true);
  assert.equal(cache.find("no", 10_000)?.stale, true);
  assert.equal(cache.find("now", 0), undefined);
  assert.equal(cache.find("never", 0), undefined);
});

test("after a failure nobody is asked for a while", () => {
  const cache = new AnswerCache(limits);
  cache.put("a", answer(1), 0);
  cache.fail("a", 2_000);
  assert.equal(cache.find("a", 6_999)?.due, false);
  assert.equal(cache.find("a", 7_000)?.due, true);
  cache.put("a", answer(1), 8_000);
  assert.equal(cache.find("a", 8_000)?.stale, false);
});

test("the cache stays within its size, and what was used last stays in it", () => {
  const cache = new AnswerCache(limits);
  for (let index = 0; index < 100; index++) {
    cache.put(`name-${index}`, answer(50), 0);
    cache.find("name-0", 0);
    assert.ok(cache.sizeBytes <= limits.sizeBytes);
  }
  assert.ok(cache.find("name-0", 0) !== undefined);
  assert.equal(cache.find("name-1", 0), undefined);
  assert.ok(cache.find("name-99", 0) !== undefined);
  assert.ok(cache.length > 5);
});

test("the longest zone decides who is asked", () => {
  const at = (address: string) => [{ address, port: 53 }];
  const forwarders = [
    { zone: "example", servers: at("1") },
    { zone: "corp.example", servers: at("2") },
  ];
  const chosen = (name: string) => serversFor(name, forwarders, at("0"))[0]?.address;
  assert.equal(chosen("a.corp.example"), "2");
  assert.equal(chosen("corp.example"), "2");
  assert.equal(chosen("xcorp.example"), "1");
  assert.equal(chosen("example.com"), "0");
});
