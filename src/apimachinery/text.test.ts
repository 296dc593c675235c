import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAge, formatDuration } from "./duration.ts";
import { parseQuantity } from "./quantity.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const durations: readonly (readonly [number, string])[] = [
  [-2 * second, "<invalid>"],
  [-second, "0s"],
  [0, "0s"],
  [119 * second, "119s"],
  [2 * minute, "2m"],
  [3 * minute + 20 * second, "3m20s"],
  [10 * minute + 59 * second, "10m"],
  [179 * minute, "179m"],
  [3 * hour, "3h"],
  [5 * hour + 10 * minute, "5h10m"],
  [47 * hour + 59 * minute, "47h"],
  [2 * day, "2d"],
  [7 * day + 23 * hour, "7d23h"],
  [8 * day + 5 * hour, "8d"],
  [729 * day, "729d"],
  [2 * 365 * day, "2y"],
  [3 * 365 * day + 15 * day, "3y15d"],
  [9 * 365 * day, "9y"],
  [Number.NaN, "<invalid>"],
];

for (const [durationMs, expected] of durations) {
  test(`${durationMs} ms prints as ${expected}`, () => {
    assert.equal(formatDuration(durationMs), expected);
  });
}

test("an age is the time since then", () => {
  const now = new Date("2026-01-01T00:05:00Z");
  assert.equal(formatAge("2026-01-01T00:00:00Z", now), "5m");
  assert.equal(formatAge(undefined, now), "<unknown>");
  assert.equal(formatAge("then", now), "<unknown>");
});

const quantities: Readonly<Record<string, bigint | undefined>> = {
  "0": 0n,
  "1": 10n ** 9n,
  "1.5": 1_500_000_000n,
  ".5": 500_000_000n,
  "5.": 5_000_000_000n,
  "100m": 10n ** 8n,
  "1u": 1000n,
  "1n": 1n,
  "0.1n": 1n,
  "1k": 10n ** 12n,
  "1E": 10n ** 27n,
  "1Ki": 1024n * 10n ** 9n,
  "1.5Gi": 1_610_612_736n * 10n ** 9n,
  "1e3": 10n ** 12n,
  "1E-3": 10n ** 6n,
  "-1": -(10n ** 9n),
  "+1": 10n ** 9n,
  "": undefined,
  ".": undefined,
  m: undefined,
  "1 ": undefined,
  "1KI": undefined,
  "1e": undefined,
  "1e999": undefined,
  "1constructor": undefined,
  "--1": undefined,
};

for (const [text, expected] of Object.entries(quantities)) {
  test(`the quantity "${text}" is ${expected ?? "none"}`, () => {
    assert.equal(parseQuantity(text), expected);
  });
}

test("any text is a quantity or none", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.ok(["bigint", "undefined"].includes(typeof parseQuantity(text)));
    }),
  );
});
