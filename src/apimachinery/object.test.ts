import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "./errors.ts";
import type { KindDefinition } from "./kind.ts";
import { applyDefaults, decodeObject, validateObject } from "./object.ts";
import type { Schema } from "./schema.ts";

const text: Schema = { type: "string" };
const texts: Schema = { type: "object", additionalProperties: text };
const kind: KindDefinition = {
  group: "test.io",
  version: "v1",
  kind: "Thing",
  plural: "things",
  singular: "thing",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: {
    type: "object",
    properties: {
      apiVersion: text,
      kind: text,
      metadata: {
        type: "object",
        properties: {
          name: text,
          namespace: text,
          labels: texts,
          annotations: texts,
          finalizers: { type: "array", items: text },
        },
      },
      spec: {
        type: "object",
        required: ["color"],
        properties: { color: text, size: { type: "integer", default: 1 } },
      },
    },
  },
  hasStatus: false,
  columns: [],
  selectableFields: {},
  applyDefaults: (object) => ({ ...object, defaulted: true }),
  validate: (_object, old) => [
    { field: "spec", reason: "FieldValueInvalid", message: old ? "updated" : "created" },
  ],
};

const metadata = { name: "x", namespace: "n" };

const refused: readonly (readonly [unknown, number, string])[] = [
  [3, 400, 'Thing in version "v1" cannot be handled as a Thing: the body is no JSON object'],
  [null, 400, 'Thing in version "v1" cannot be handled as a Thing: the body is no JSON object'],
  [
    { apiVersion: "test.io/v2" },
    400,
    "the API version in the data (test.io/v2) does not match the expected API version (test.io/v1)",
  ],
  [{ kind: "Other" }, 400, "the kind in the data (Other) does not match the expected kind (Thing)"],
  [{ kind: {} }, 400, "the kind in the data ({}) does not match the expected kind (Thing)"],
  [
    { metadata: { name: 3 } },
    422,
    'Thing.test.io "" is invalid: metadata.name: Invalid value: "integer": metadata.name in body must be of type string: "integer"',
  ],
  [
    { metadata: [] },
    422,
    'Thing.test.io "" is invalid: metadata: Invalid value: "array": metadata in body must be of type object: "array"',
  ],
];

for (const [body, code, message] of refused) {
  test(`the body ${JSON.stringify(body)} is refused with ${code}`, () => {
    assert.throws(
      () => decodeObject(kind, body),
      (error) => {
        assert.ok(error instanceof StatusError);
        assert.deepEqual([error.status.code, error.message], [code, message]);
        return true;
      },
    );
  });
}

test("a body that is nested too deep is refused before it is walked", () => {
  let deep: unknown = {};
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  assert.throws(() => decodeObject(kind, { spec: deep }), /nested more than 128 deep/);
});

test("an object gets its type, and empty parts of metadata are left out", () => {
  const body = { metadata: { ...metadata, labels: {}, annotations: {}, finalizers: [] } };
  assert.deepEqual(decodeObject(kind, body).object, {
    apiVersion: "test.io/v1",
    kind: "Thing",
    metadata,
  });
  assert.deepEqual(decodeObject(kind, {}).object.metadata, {});
});

test("what happens to unknown fields is the client's choice", () => {
  const body = { metadata: { ...metadata, x: 1 }, spec: { y: 1 } };
  const warnings = ['unknown field "metadata.x"', 'unknown field "spec.y"'];
  assert.deepEqual(decodeObject(kind, body, "Warn").warnings, warnings);
  assert.deepEqual(decodeObject(kind, body, "Ignore").warnings, []);
  assert.throws(() => decodeObject(kind, body, "Strict"), {
    message: `Thing in version "v1" cannot be handled as a Thing: strict decoding error: ${warnings.join(", ")}`,
  });
});

test("the schema's defaults come before the kind's", () => {
  const object = decodeObject(kind, { metadata, spec: { color: "red" } }).object;
  const { spec, defaulted } = applyDefaults(kind, object);
  assert.deepEqual([spec, defaulted], [{ color: "red", size: 1 }, true]);
});

test("a kind checks only what its schema has found in order", () => {
  const incomplete = decodeObject(kind, { metadata: { name: "X" }, spec: {} }).object;
  const fields = validateObject(kind, incomplete).map(({ field }) => field);
  assert.deepEqual(fields, ["metadata.name", "metadata.namespace", "spec.color"]);
  const complete = decodeObject(kind, { metadata, spec: { color: "red" } }).object;
  assert.deepEqual(
    validateObject(kind, complete).map(({ message }) => message),
    ["created"],
  );
  assert.deepEqual(
    validateObject(kind, complete, complete).map(({ message }) => message),
    ["updated"],
  );
});
