import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { equalJson, isDeeperThan, setMember, type JsonObject } from "./json.ts";
import type { Schema } from "./schema.ts";
import { applySchemaDefaults, checkConstraints, readStructure } from "./structural.ts";

const schema: Schema = {
  type: "object",
  required: ["name"],
  properties: {
    name: { type: "string", minLength: 1, maxLength: 5, pattern: "^[a-z]*$" },
    word: { type: "string", enum: ["a", "b"] },
    count: { type: "integer", format: "int32", minimum: 0, maximum: 10 },
    big: { type: "integer", format: "int64" },
    ratio: { type: "number" },
    on: { type: "boolean" },
    port: { "x-kubernetes-int-or-string": true },
    cpu: { type: "string", format: "quantity" },
    time: { type: "string", format: "date-time" },
    bytes: { type: "string", format: "byte" },
    any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    labels: { type: "object", additionalProperties: { type: "string" } },
    list: { type: "array", minItems: 1, maxItems: 2, items: { type: "string" } },
    part: {
      type: "object",
      default: {},
      properties: {
        size: { type: "integer", default: 7 },
        deep: { type: "object", required: ["x"] },
      },
    },
  },
};

test("what fits is kept, unknown fields are dropped and named", () => {
  const input = {
    name: "a",
    port: 80,
    any: { x: [1, { y: null }] },
    labels: { a: "b" },
    extra: 1,
    part: { size: 1, extra: { deep: 1 } },
  };
  const { value, typeErrors, unknownFields } = readStructure(schema, input);
  assert.deepEqual(value, {
    name: "a",
    port: 80,
    any: { x: [1, { y: null }] },
    labels: { a: "b" },
    part: { size: 1 },
  });
  assert.deepEqual(typeErrors, []);
  assert.deepEqual(unknownFields, ["extra", "part.extra"]);
});

test("null is absence for a field, and the zero value in maps and lists", () => {
  const { value } = readStructure(schema, {
    name: null,
    labels: { a: null },
    list: ["x", null],
    part: null,
  });
  assert.deepEqual(value, { labels: { a: "" }, list: ["x", ""] });
});

const mistyped: readonly (readonly [JsonObject, string])[] = [
  [{ name: 1 }, 'name: Invalid value: "integer": name in body must be of type string: "integer"'],
  [
    { count: "1" },
    'count: Invalid value: "string": count in body must be of type integer: "string"',
  ],
  [
    { count: 1.5 },
    'count: Invalid value: "number": count in body must be of type integer: "number"',
  ],
  [
    { ratio: "x" },
    'ratio: Invalid value: "string": ratio in body must be of type number: "string"',
  ],
  [{ on: "true" }, 'on: Invalid value: "string": on in body must be of type boolean: "string"'],
  [
    { port: 1.5 },
    'port: Invalid value: "number": port in body must be of type integer or string: "number"',
  ],
  [
    { labels: [] },
    'labels: Invalid value: "array": labels in body must be of type object: "array"',
  ],
  [
    { labels: { a: 1 } },
    'labels.a: Invalid value: "integer": labels.a in body must be of type string: "integer"',
  ],
  [{ list: {} }, 'list: Invalid value: "object": list in body must be of type array: "object"'],
  [
    { list: ["a", 1] },
    'list[1]: Invalid value: "integer": list[1] in body must be of type string: "integer"',
  ],
];

for (const [input, expected] of mistyped) {
  test(`${JSON.stringify(input)} has the wrong type`, () => {
    const { typeErrors } = readStructure(schema, input);
    assert.deepEqual(
      typeErrors.map(({ field, message }) => `${field}: ${message}`),
      [expected],
    );
    assert.equal(typeErrors[0]?.reason, "FieldValueTypeInvalid");
  });
}

const constrained: readonly (readonly [JsonObject, readonly string[]])[] = [
  [{}, ["name: Required value"]],
  [{ name: "" }, ['name: Invalid value: "": name in body should be at least 1 chars long']],
  [
    { name: "abcdef" },
    ['name: Invalid value: "abcdef": name in body should be at most 5 chars long'],
  ],
  [{ name: "A" }, ["name: Invalid value: \"A\": name in body should match '^[a-z]*$'"]],
  [{ name: "a", word: "c" }, ['word: Unsupported value: "c": supported values: "a", "b"']],
  [
    { name: "a", count: -1 },
    ["count: Invalid value: -1: count in body should be greater than or equal to 0"],
  ],
  [
    { name: "a", count: 11 },
    ["count: Invalid value: 11: count in body should be less than or equal to 10"],
  ],
  [
    { name: "a", count: 2 ** 31 },
    ["count: Invalid value: 2147483648: must be between -2147483648 and 2147483647, inclusive"],
  ],
  [{ name: "a", big: 2 ** 40 }, []],
  [
    { name: "a", port: 2 ** 31 },
    ["port: Invalid value: 2147483648: must be between -2147483648 and 2147483647, inclusive"],
  ],
  [
    { name: "a", cpu: "x" },
    [
      "cpu: Invalid value: \"x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ],
  [
    { name: "a", time: "2026-13-01T00:00:00Z" },
    [
      'time: Invalid value: "2026-13-01T00:00:00Z": must be a date and time of the form 2006-01-02T15:04:05Z (RFC 3339)',
    ],
  ],
  [{ name: "a", time: "2026-01-01T00:00:00.123456+02:00", bytes: "YQ==" }, []],
  [
    { name: "a", bytes: "YQ=" },
    ['bytes: Invalid value: "YQ=": must be base64 (RFC 4648 section 4)'],
  ],
  [{ name: "a", list: [] }, ["list: Invalid value: 0: list in body should have at least 1 items"]],
  [{ name: "a", list: ["a", "b", "c"] }, ["list: Too many: 3: must have at most 2 items"]],
  [{ name: "a", part: { deep: {} } }, ["part.deep.x: Required value"]],
];

for (const [input, expected] of constrained) {
  test(`${JSON.stringify(input)} has ${expected.length} findings`, () => {
    const errors = checkConstraints(schema, input);
    assert.deepEqual(
      errors.map(({ field, message }) => `${field}: ${message}`),
      expected,
    );
  });
}

test("a quantity may be a number and is kept as text", () => {
  assert.deepEqual(readStructure(schema, { cpu: 2 }).value, { cpu: "2" });
});

test("defaults are filled in from outside to inside, and never shared", () => {
  const first: JsonObject = { name: "a" };
  applySchemaDefaults(schema, first);
  assert.deepEqual(first, { name: "a", part: { size: 7 } });
  const second: JsonObject = { name: "b", part: { size: 1 } };
  applySchemaDefaults(schema, second);
  assert.deepEqual(second, { name: "b", part: { size: 1 } });
  const third: JsonObject = {};
  applySchemaDefaults(schema, third);
  assert.notEqual(third["part"], first["part"]);
});

test("any JSON is read without a crash, reads again as itself, and is not changed", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (input) => {
      const before = structuredClone(input);
      const { value } = readStructure(schema, input);
      checkConstraints(schema, value);
      assert.deepEqual(input, before);
      const again = readStructure(schema, value);
      assert.deepEqual([again.value, again.unknownFields], [value, []]);
    }),
  );
});

test("__proto__ is a field like any other and changes no prototype", () => {
  const input: unknown = JSON.parse(
    '{"name":"a","labels":{"__proto__":"x"},"__proto__":{"polluted":true}}',
  );
  const { value, unknownFields } = readStructure(schema, input);
  assert.deepEqual(unknownFields, ["__proto__"]);
  assert.equal(JSON.stringify(value), '{"name":"a","labels":{"__proto__":"x"}}');
  const object: JsonObject = {};
  setMember(object, "__proto__", 1);
  assert.equal(Object.getPrototypeOf(object), Object.prototype);
});

test("depth and equality of JSON values", () => {
  assert.equal(isDeeperThan([[1]], 1), true);
  assert.equal(isDeeperThan([[1]], 2), false);
  assert.equal(isDeeperThan("x", 0), false);
  assert.equal(equalJson({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }), true);
  assert.equal(equalJson({ a: undefined }, { b: undefined }), false);
  assert.equal(equalJson([], {}), false);
  assert.equal(equalJson([1], [1, 2]), false);
  assert.equal(equalJson(JSON.parse('{"__proto__":1}'), {}), false);
});
