import assert from "node:assert/strict";
import { test } from "node:test";
import { Shared } from "./sharing.ts";

test("equal values become one, and differing ones stay apart", () => {
  const labels = new Shared<object>();
  const first = labels.of({ app: "web" });
  assert.equal(labels.of({ app: "web" }), first);
  assert.notEqual(labels.of({ app: "db" }), first);
});

test("what is asked for stays shared, and what is not is forgotten", () => {
  const labels = new Shared<object>();
  const often = labels.of({ app: "web" });
  const once = labels.of({ app: "once" });
  for (let number = 0; number < 50_000; number++) {
    labels.of({ number });
    if (number % 1_000 === 0) assert.equal(labels.of({ app: "web" }), often);
  }
  assert.notEqual(labels.of({ app: "once" }), once);
});
