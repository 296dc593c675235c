import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalNumbers, numberRanges } from "./numbers.ts";
import { NumberUse } from "./number-use.ts";

test("a key keeps its number until it is released", () => {
  const numbers = new LocalNumbers();
  const first = numbers.numberOf("rule", "a");
  assert.equal(first, numberRanges.rule.first);
  assert.notEqual(numbers.numberOf("rule", "b"), first);
  assert.equal(numbers.numberOf("rule", "a"), first);
});

test("kinds count apart", () => {
  const numbers = new LocalNumbers();
  assert.equal(numbers.numberOf("domain", "a"), 1);
  assert.equal(numbers.numberOf("node", "a"), 1);
});

test("a freed number is used again only after many others were freed", () => {
  const numbers = new LocalNumbers();
  const freed = numbers.numberOf("identity", "first");
  numbers.release("identity", "first");
  for (let round = 0; round < 1024; round++) {
    assert.notEqual(numbers.numberOf("identity", `x${round}`), freed);
    numbers.release("identity", `x${round}`);
  }
  assert.equal(numbers.numberOf("identity", "again"), freed);
});

test("numbers stay dense, whatever comes and goes", () => {
  const numbers = new LocalNumbers();
  let largest = 0;
  for (let round = 0; round < 10_000; round++) {
    largest = Math.max(largest, numbers.numberOf("rule", `r${round}`));
    if (round >= 100) numbers.release("rule", `r${round - 100}`);
  }
  assert.ok(largest < numberRanges.rule.first + 100 + 1024 + 2, `${largest}`);
});

test("what is stored and loaded again has the same numbers, and new keys get others", () => {
  const numbers = new LocalNumbers();
  for (const key of ["a", "b", "c", "d"]) numbers.numberOf("identity", key);
  numbers.release("identity", "b");
  const loaded = new LocalNumbers([...numbers.entries()]);
  assert.deepEqual([...loaded.entries()], [...numbers.entries()]);
  const used = new Set(Array.from(numbers.entries(), ({ number }) => number));
  assert.ok(!used.has(loaded.numberOf("identity", "e")));
});

test("when a kind's numbers are used up, freed ones are taken at once, and then none is left", () => {
  const { last } = numberRanges.domain;
  const numbers = new LocalNumbers([{ kind: "domain", key: "z", number: last }]);
  for (let number = 1; number < last; number++) numbers.numberOf("domain", String(number));
  assert.throws(() => numbers.numberOf("domain", "more"), RangeError);
  numbers.release("domain", "17");
  assert.ok(numbers.numberOf("domain", "more") < last);
});

test("releasing what has no number changes nothing", () => {
  const numbers = new LocalNumbers();
  numbers.release("rule", "a");
  assert.deepEqual([...numbers.entries()], []);
});

test("a number lives as long as a unit's latest rendering asked for it", () => {
  const numbers = new LocalNumbers();
  const use = new NumberUse(numbers);
  const keys = (): string[] => Array.from(numbers.entries(), ({ key }) => key).toSorted();
  use.track("u", (number) => [number("rule", "a"), number("rule", "b")]);
  use.track("v", (number) => number("rule", "b"));
  use.releaseUnused();
  assert.deepEqual(keys(), ["a", "b"]);
  // In one round b moves from one unit to another, and a is dropped and asked for again.
  const a = numbers.numberOf("rule", "a");
  use.track("v", () => undefined);
  use.track("u", () => undefined);
  assert.equal(
    use.track("w", (number) => number("rule", "a")),
    a,
  );
  use.releaseUnused();
  assert.deepEqual(keys(), ["a"]);
  use.track("w", () => undefined);
  use.releaseUnused();
  assert.deepEqual(keys(), []);
});
