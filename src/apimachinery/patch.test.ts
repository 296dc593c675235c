import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PatchError } from "./errors.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { equalJson, getMember, isObject, setMember, type JsonObject } from "./json.ts";
import { applyMergePatch } from "./merge-patch.ts";

// RFC 7386, appendix A.
const mergeCases: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

for (const [target, patch, expected] of mergeCases) {
  test(`merge patch ${JSON.stringify(patch)} on ${JSON.stringify(target)}`, () => {
    assert.deepEqual(applyMergePatch(target, patch), expected);
  });
}

/** The patch that turns `from` into `to`. A member that is `null` in `to` cannot be expressed and comes out absent. */
function createMergePatch(from: unknown, to: unknown): unknown {
  if (!isObject(from) || !isObject(to)) return structuredClone(to);
  const patch: JsonObject = {};
  for (const name of Object.keys(from)) if (!Object.hasOwn(to, name)) setMember(patch, name, null);
  for (const [name, value] of Object.entries(to)) {
    const old = getMember(from, name);
    if (equalJson(old, value)) continue;
    setMember(patch, name, isObject(old) ? createMergePatch(old, value) : structuredClone(value));
  }
  return patch;
}

const scalar = fc.oneof(fc.integer(), fc.boolean(), fc.constantFrom("a", "b"));
const { value: document } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), tie("value"), {
      noNullPrototype: true,
    }),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
}));

test("the merge patch between two documents without null turns one into the other", () => {
  fc.assert(
    fc.property(document, document, (from, to) => {
      const before = structuredClone([from, to]);
      assert.deepEqual(applyMergePatch(from, createMergePatch(from, to)), to);
      assert.deepEqual([from, to], before);
    }),
    { numRuns: 500 },
  );
});

const jsonPatchCases: readonly (readonly [string, unknown, unknown, unknown])[] = [
  ["add a member", {}, [{ op: "add", path: "/a", value: 1 }], { a: 1 }],
  ["add an item", [1], [{ op: "add", path: "/-", value: 2 }], [1, 2]],
  ["remove", { a: 1 }, [{ op: "remove", path: "/a" }], {}],
  ["replace", { a: 1 }, [{ op: "replace", path: "/a", value: 2 }], { a: 2 }],
  ["move", { a: 1 }, [{ op: "move", from: "/a", path: "/b" }], { b: 1 }],
  ["copy", { a: 1 }, [{ op: "copy", from: "/a", path: "/b" }], { a: 1, b: 1 }],
  ["test", { a: 1 }, [{ op: "test", path: "/a", value: 1 }], { a: 1 }],
  ["an escaped path", { "a/b": 1 }, [{ op: "remove", path: "/a~1b" }], {}],
];

for (const [name, target, patch, expected] of jsonPatchCases) {
  test(`JSON patch: ${name}`, () => {
    const before = structuredClone([target, patch]);
    assert.deepEqual(applyJsonPatch(target, patch), expected);
    assert.deepEqual([target, patch], before);
  });
}

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["no list", {}, /expected a JSON patch, a list of operations/],
  [
    "an absent path",
    [{ op: "remove", path: "/x" }],
    /operation 0 \(remove \/x\): operation path unresolvable/,
  ],
  ["a failed test", [{ op: "test", path: "/a", value: 2 }], /test operation failed/],
  ["an unknown operation", [{ op: "change", path: "/a" }], /operation op invalid/],
  ["an operation that is none", [1], /operation not an object/],
  ["a prototype", [{ op: "add", path: "/__proto__/x", value: 1 }], /__proto__|unresolvable/],
  ["a path through a scalar", [{ op: "add", path: "/a/b/c", value: 1 }], /cannot be applied/],
  [
    "too many operations",
    Array.from({ length: 10_001 }, () => ({ op: "test", path: "/a", value: 1 })),
    /allowed maximum operations in a JSON patch is 10000, got 10001/,
  ],
];

for (const [name, patch, message] of refused) {
  test(`a JSON patch with ${name} is refused`, () => {
    assert.throws(
      () => applyJsonPatch({ a: 1 }, patch),
      (error) => {
        return error instanceof PatchError && message.test(error.message);
      },
    );
  });
}

test("a patch that is nested too deep is refused before it is walked", () => {
  let deep: unknown = 1;
  for (let depth = 0; depth < 100_000; depth++) deep = { a: deep };
  assert.throws(() => applyMergePatch({}, deep), PatchError);
  assert.throws(() => applyJsonPatch({}, [{ op: "add", path: "/a", value: deep }]), PatchError);
});

test("any JSON as a JSON patch gives a document or a PatchError", () => {
  const operation = fc.record(
    {
      op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "x"),
      path: fc.constantFrom("", "/a", "/a/0", "/b/-", "/__proto__", "a"),
      from: fc.constantFrom("", "/a", "/b"),
      value: fc.jsonValue({ maxDepth: 1 }),
    },
    { requiredKeys: ["op", "path"] },
  );
  fc.assert(
    fc.property(document, fc.oneof(fc.jsonValue(), fc.array(operation)), (target, patch) => {
      try {
        applyJsonPatch(target, patch);
      } catch (error) {
        assert.ok(error instanceof PatchError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("a JSON patch that copies copies is refused before it fills the memory", () => {
  const patch = [
    { op: "add", path: "/a", value: "x".repeat(1000) },
    ...Array.from({ length: 60 }, (_, index) => ({ op: "copy", from: "", path: `/b${index}` })),
  ];
  const startMs = performance.now();
  assert.throws(() => applyJsonPatch({}, patch), PatchError);
  assert.ok(performance.now() - startMs < 2_000);
  const few = patch.slice(0, 4);
  assert.ok(JSON.stringify(applyJsonPatch({}, few)).length > 8_000);
});
