import assert from "node:assert/strict";
import { test } from "node:test";
import { parseYamlBody } from "./yaml-body.ts";

test("YAML takes time in proportion to its length, whatever the number of keys", () => {
  const lines = Array.from({ length: 40_000 }, (_, index) => `key-${index}: value`);
  const before = process.cpuUsage();
  parseYamlBody(lines.join("\n"));
  const { user } = process.cpuUsage(before);
  // A tenth of what comparing every key with every other one takes.
  assert.ok(user < 3_000_000, `${user} us`);
});

test("JSON by the name of YAML is read, and so is YAML that begins like JSON", () => {
  assert.deepEqual(parseYamlBody(' {"a": [1, "b"]}'), { a: [1, "b"] });
  assert.deepEqual(parseYamlBody("{ a: [1, b] }"), { a: [1, "b"] });
  assert.deepEqual(parseYamlBody("a:\n  - 1\n  - b\n"), { a: [1, "b"] });
});

test("a key is refused the second time, at any depth and however it is written", () => {
  for (const text of ["a: 1\na: 2", "a: { b: 1, 'b': 2 }", '- 1: x\n  "1": y']) {
    assert.throws(() => parseYamlBody(text), /Map keys must be unique/, text);
  }
  assert.deepEqual(parseYamlBody("a: { b: 1 }\nc: { b: 1 }"), { a: { b: 1 }, c: { b: 1 } });
});
