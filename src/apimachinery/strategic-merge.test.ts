import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PatchError } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";
import type { Schema } from "./schema.ts";
import { applyStrategicMergePatch } from "./strategic-merge.ts";

const item: Schema = {
  type: "object",
  properties: {
    name: { type: "string" },
    value: { type: "string" },
    args: { type: "array", items: { type: "string" } },
    ports: {
      type: "array",
      items: { type: "object" },
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["port", "protocol"],
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-patch-merge-key": "port",
    },
  },
};

const schema: Schema = {
  type: "object",
  properties: {
    items: {
      type: "array",
      items: item,
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-patch-merge-key": "name",
    },
    finalizers: {
      type: "array",
      items: { type: "string" },
      "x-kubernetes-patch-strategy": "merge",
    },
    atomic: { type: "array", items: item },
    strategy: { type: "object", "x-kubernetes-patch-strategy": "retainKeys" },
    whole: { type: "object", "x-kubernetes-patch-strategy": "replace" },
    labels: { type: "object", additionalProperties: { type: "string" } },
  },
};

const a = { name: "a", value: "1" };
const b = { name: "b", value: "2" };
const c = { name: "c", value: "3" };

const cases: readonly (readonly [string, JsonObject, JsonObject, JsonObject])[] = [
  ["an absent member is added", {}, { labels: { x: "1" } }, { labels: { x: "1" } }],
  [
    "null removes a member",
    { labels: { x: "1", y: "2" } },
    { labels: { x: null } },
    { labels: { y: "2" } },
  ],
  [
    "null for an absent member does nothing",
    { labels: {} },
    { labels: { x: null } },
    { labels: {} },
  ],
  [
    "null inside a new object is dropped",
    {},
    { labels: { x: null, y: "2" } },
    { labels: { y: "2" } },
  ],
  [
    "an item merges by its key",
    { items: [a, b] },
    { items: [{ name: "b", value: "9" }] },
    { items: [a, { name: "b", value: "9" }] },
  ],
  ["a new item goes first, as upstream has it", { items: [a] }, { items: [c] }, { items: [c, a] }],
  [
    "$patch: delete removes an item",
    { items: [a, b] },
    { items: [{ $patch: "delete", name: "a" }] },
    { items: [b] },
  ],
  [
    "$patch: delete of an absent item does nothing",
    { items: [b] },
    { items: [{ $patch: "delete", name: "a" }] },
    { items: [b] },
  ],
  [
    "$patch: delete has no effect on an absent list",
    {},
    { items: [{ $patch: "delete", name: "a" }, b] },
    { items: [b] },
  ],
  [
    "$patch: replace replaces a list",
    { items: [a, b] },
    { items: [c, { $patch: "replace" }] },
    { items: [c] },
  ],
  [
    "$patch: replace replaces an object",
    { labels: { x: "1" } },
    { labels: { $patch: "replace", y: "2" } },
    { labels: { y: "2" } },
  ],
  [
    "$patch: delete empties an object",
    { labels: { x: "1" } },
    { labels: { $patch: "delete" } },
    { labels: {} },
  ],
  [
    "$patch: merge merges",
    { labels: { x: "1" } },
    { labels: { $patch: "merge", y: "2" } },
    { labels: { x: "1", y: "2" } },
  ],
  ["a list without a strategy is replaced", { atomic: [a, b] }, { atomic: [c] }, { atomic: [c] }],
  [
    "an inner list without a strategy is replaced",
    { items: [{ name: "a", args: ["x", "y"] }] },
    { items: [{ name: "a", args: ["z"] }] },
    { items: [{ name: "a", args: ["z"] }] },
  ],
  [
    "a list of scalars is united",
    { finalizers: ["x", "y"] },
    { finalizers: ["y", "z"] },
    { finalizers: ["x", "y", "z"] },
  ],
  [
    "$deleteFromPrimitiveList removes scalars",
    { finalizers: ["x", "y"] },
    { "$deleteFromPrimitiveList/finalizers": ["x"] },
    { finalizers: ["y"] },
  ],
  [
    "$setElementOrder orders what it names and leaves the others between",
    { items: [a, { name: "server" }, b] },
    {
      $setElementOrder: 1,
      "$setElementOrder/items": [{ name: "c" }, { name: "b" }, { name: "a" }],
      items: [c],
    },
    { items: [c, { name: "server" }, b, a] },
  ],
  [
    "$setElementOrder orders scalars",
    { finalizers: ["x", "y"] },
    { "$setElementOrder/finalizers": ["y", "x"] },
    { finalizers: ["y", "x"] },
  ],
  [
    "$retainKeys removes what it does not name",
    { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
    { strategy: { $retainKeys: ["type"], type: "Recreate" } },
    { strategy: { type: "Recreate" } },
  ],
  [
    "an object of strategy replace is replaced",
    { whole: { x: 1 } },
    { whole: { y: 2 } },
    { whole: { y: 2 } },
  ],
  [
    "a value of another type is replaced",
    { labels: "text" },
    { labels: { x: "1" } },
    { labels: { x: "1" } },
  ],
  [
    "port 53 for TCP and for UDP are two items",
    {
      items: [
        {
          name: "a",
          ports: [
            { port: 53, protocol: "TCP" },
            { port: 53, protocol: "UDP" },
          ],
        },
      ],
    },
    { items: [{ name: "a", ports: [{ port: 53, protocol: "UDP", name: "dns" }] }] },
    {
      items: [
        {
          name: "a",
          ports: [
            { port: 53, protocol: "TCP" },
            { port: 53, protocol: "UDP", name: "dns" },
          ],
        },
      ],
    },
  ],
  [
    "an item that changes a secondary key is still the same item",
    { items: [{ name: "a", ports: [{ port: 53, protocol: "TCP" }] }] },
    { items: [{ name: "a", ports: [{ port: 53, protocol: "UDP" }] }] },
    { items: [{ name: "a", ports: [{ port: 53, protocol: "UDP" }] }] },
  ],
  [
    "an unknown field merges as plain JSON",
    { other: { x: 1, list: [1] } },
    { other: { list: [2] } },
    { other: { x: 1, list: [2] } },
  ],
];

for (const [name, target, patch, expected] of cases) {
  test(`strategic merge: ${name}`, () => {
    const before = structuredClone({ target, patch });
    assert.deepEqual(applyStrategicMergePatch(target, patch, schema), expected);
    assert.deepEqual({ target, patch }, before, "the arguments are unchanged");
  });
}

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["a patch that is no object", [], /expected a strategic merge patch/],
  ["an unknown directive", { $patch: "explode" }, /unknown patch type: "explode"/],
  [
    "an unknown directive in a list",
    { items: [{ $patch: "merge", name: "a" }] },
    /unknown patch type in a list/,
  ],
  ["an item without its merge key", { items: [{ value: "1" }] }, /lacks its merge key name/],
  ["an order that is no list", { "$setElementOrder/items": 1 }, /expected a list/],
  [
    "$retainKeys that lacks a member of the patch",
    { strategy: { $retainKeys: ["type"], x: 1 } },
    /lacks x/,
  ],
];

for (const [name, patch, message] of refused) {
  test(`strategic merge refuses ${name}`, () => {
    const target = { items: [a], strategy: {} };
    assert.throws(
      () => applyStrategicMergePatch(target, patch, schema),
      (error) => {
        return error instanceof PatchError && message.test(error.message);
      },
    );
  });
}

function nameOf(value: unknown): unknown {
  return isObject(value) ? value["name"] : undefined;
}

/** The patch that kubectl would make, for objects of the test's schema. */
function createPatch(from: JsonObject, to: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patch[key] = null;
  for (const [key, value] of Object.entries(to)) {
    const old = from[key];
    if (key === "items" && Array.isArray(old) && Array.isArray(value)) {
      const gone = old.filter((each) => !value.some((other) => nameOf(other) === nameOf(each)));
      const changed = value.map((each: unknown) => {
        const before: unknown = old.find((other) => nameOf(other) === nameOf(each));
        return isObject(before) && isObject(each)
          ? { ...createPatch(before, each), name: nameOf(each) }
          : each;
      });
      patch["items"] = [
        ...changed,
        ...gone.map((each) => ({ $patch: "delete", name: nameOf(each) })),
      ];
      patch["$setElementOrder/items"] = value.map((each) => ({ name: nameOf(each) }));
    } else if (key === "finalizers" && Array.isArray(old) && Array.isArray(value)) {
      patch["finalizers"] = value.filter((each) => !old.includes(each));
      patch["$deleteFromPrimitiveList/finalizers"] = old.filter((each) => !value.includes(each));
      patch["$setElementOrder/finalizers"] = value;
    } else if (isObject(old) && isObject(value)) patch[key] = createPatch(old, value);
    else patch[key] = value;
  }
  return patch;
}

const word = fc.constantFrom("a", "b", "c", "d", "e");
const items = fc.uniqueArray(
  fc.record(
    { name: word, value: word, args: fc.array(word, { maxLength: 2 }) },
    { requiredKeys: ["name"], noNullPrototype: true },
  ),
  { selector: (each) => each.name, maxLength: 5 },
);
const objects = fc.record(
  {
    items,
    finalizers: fc.uniqueArray(word, { maxLength: 4 }),
    atomic: items,
    labels: fc.dictionary(word, word, { noNullPrototype: true }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

test("a patch of the difference between two objects turns one into the other", () => {
  fc.assert(
    fc.property(objects, objects, (from, to) => {
      const patch = createPatch(from, to);
      assert.deepEqual(applyStrategicMergePatch(from, patch, schema), to);
    }),
    { numRuns: 500 },
  );
});

test("any JSON as a patch gives an object or a PatchError", () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const keyed = fc.dictionary(
    fc.constantFrom(
      "items",
      "finalizers",
      "labels",
      "$patch",
      "$retainKeys",
      "$setElementOrder/items",
      "__proto__",
    ),
    json,
  );
  fc.assert(
    fc.property(objects, fc.oneof(json, keyed), (target, patch) => {
      try {
        assert.ok(isObject(applyStrategicMergePatch(target, patch, schema)));
      } catch (error) {
        assert.ok(error instanceof PatchError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
