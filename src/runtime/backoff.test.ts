import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.ts";

test("delays double up to the longest and start again after a success", () => {
  const backoff = new Backoff({ minMs: 100, maxMs: 1000, random: () => 0 });
  assert.deepEqual(
    Array.from({ length: 6 }, () => backoff.next()),
    [100, 200, 400, 800, 1000, 1000],
  );
  backoff.reset();
  assert.equal(backoff.next(), 100);
});

test("the random part takes up to half away", () => {
  const backoff = new Backoff({ minMs: 100, maxMs: 100, random: () => 0.999 });
  assert.ok(backoff.next() > 50);
  assert.ok(backoff.next() < 51);
});
