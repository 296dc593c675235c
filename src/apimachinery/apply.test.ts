import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyConfiguration, recordUpdate, type ApplyResult } from "./apply.ts";
import { PatchError } from "./errors.ts";
import { parseFieldsV1, renderFieldsV1 } from "./field-set.ts";
import { equalJson, isObject, type JsonObject } from "./json.ts";
import type { KindDefinition, KubeObject } from "./kind.ts";
import { decodeObject } from "./object.ts";
import type { Schema } from "./schema.ts";

const text: Schema = { type: "string" };
const item: Schema = {
  type: "object",
  properties: {
    name: text,
    protocol: { type: "string", default: "TCP" },
    value: text,
    more: { type: "object", properties: { deep: text, other: text } },
  },
};
const spec: Schema = {
  type: "object",
  properties: {
    size: { type: "integer" },
    color: text,
    labels: { type: "object", additionalProperties: text },
    selector: { type: "object", additionalProperties: text, "x-kubernetes-map-type": "atomic" },
    items: {
      type: "array",
      items: item,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name", "protocol"],
    },
    set: { type: "array", items: text, "x-kubernetes-list-type": "set" },
    list: { type: "array", items: text },
    part: { type: "object", properties: { a: text, b: text } },
  },
};
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
          labels: { type: "object", additionalProperties: text },
          annotations: { type: "object", additionalProperties: text },
          managedFields: { type: "array", items: { "x-kubernetes-preserve-unknown-fields": true } },
        },
      },
      spec,
      status: { type: "object", properties: { phase: text } },
    },
  },
  hasStatus: true,
  columns: [],
  selectableFields: {},
};

const time = "2026-01-01T00:00:00Z";

/** A decoded Thing; without `spec` when there is nothing in it. */
function thing(specOf: JsonObject, metadata: JsonObject = {}): KubeObject {
  const named = { metadata: { name: "x", ...metadata } };
  const body = Object.keys(specOf).length > 0 ? { ...named, spec: specOf } : named;
  return decodeObject(kind, body, "Strict").object;
}

function apply(
  live: KubeObject | undefined,
  manager: string,
  specOf: JsonObject,
  options: { force?: boolean; time?: string; metadata?: JsonObject } = {},
): ApplyResult {
  const { force = false, time: at = time, metadata = {} } = options;
  return applyConfiguration(kind, live, thing(specOf, metadata), { manager, time: at, force });
}

function applied(...parameters: Parameters<typeof apply>): KubeObject {
  const result = apply(...parameters);
  assert.ok(result.kind === "applied", JSON.stringify(result));
  return result.object;
}

function fieldsOf(object: KubeObject, manager: string, operation = "Apply"): unknown {
  const entry = (object.metadata.managedFields ?? []).find(
    (each) => isObject(each) && each["manager"] === manager && each["operation"] === operation,
  );
  return isObject(entry) ? entry["fieldsV1"] : undefined;
}

test("the first apply creates the object and owns each of its fields", () => {
  const object = applied(undefined, "a", {
    size: 1,
    labels: { x: "1" },
    selector: { app: "web" },
    items: [{ name: "n", value: "v" }],
    set: ["s"],
    list: ["l"],
  });
  assert.deepEqual(object.spec, {
    size: 1,
    labels: { x: "1" },
    selector: { app: "web" },
    items: [{ name: "n", value: "v" }],
    set: ["s"],
    list: ["l"],
  });
  assert.deepEqual(object.metadata.managedFields, [
    {
      manager: "a",
      operation: "Apply",
      apiVersion: "test.io/v1",
      time,
      fieldsType: "FieldsV1",
      fieldsV1: {
        "f:spec": {
          "f:items": {
            'k:{"name":"n","protocol":"TCP"}': { ".": {}, "f:name": {}, "f:value": {} },
          },
          "f:labels": { "f:x": {} },
          "f:list": {},
          "f:selector": {},
          "f:set": { 'v:"s"': {} },
          "f:size": {},
        },
      },
    },
  ]);
});

test("applying the same again changes nothing, not even the time", () => {
  const first = applied(undefined, "a", { size: 1, items: [{ name: "n" }] });
  const second = applied(
    first,
    "a",
    { size: 1, items: [{ name: "n" }] },
    { time: "2027-01-01T00:00:00Z" },
  );
  assert.deepEqual(second, first);
});

test("what a manager no longer applies goes, unless another owns it", () => {
  const first = applied(undefined, "a", { size: 1, color: "red", labels: { x: "1", y: "2" } });
  const shared = applied(first, "b", { color: "red", labels: { y: "2" } });
  const last = applied(shared, "a", {});
  assert.deepEqual(last.spec, { color: "red", labels: { y: "2" } });
  assert.equal(fieldsOf(last, "a"), undefined);
});

test("an item that no longer is applied goes with what others put into it", () => {
  const first = applied(undefined, "a", { items: [{ name: "n" }, { name: "m" }] });
  const edited = thing(
    { items: [{ name: "n", value: "edited" }, { name: "m" }] },
    { ...first.metadata },
  );
  recordUpdate(kind, first, edited, { manager: "editor", time });
  const last = applied(edited, "a", { items: [{ name: "m" }] });
  assert.deepEqual(last.spec, { items: [{ name: "m" }] });
});

test("a structure stays while another owns a part of it", () => {
  const first = applied(undefined, "a", { part: { a: "1" } });
  const both = applied(first, "b", { part: { b: "2" } });
  assert.deepEqual(applied(both, "a", {}).spec, { part: { b: "2" } });
  assert.deepEqual(applied(first, "a", {}).spec, undefined);
});

test("another's field is a conflict, with upstream's message and a cause for each field", () => {
  const live = applied(undefined, "a", {
    size: 1,
    color: "red",
    items: [{ name: "n", value: "1" }],
  });
  const one = apply(live, "b", { size: 2 });
  assert.deepEqual(one, {
    kind: "conflict",
    status: {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'Apply failed with 1 conflict: conflict with "a": .spec.size',
      reason: "Conflict",
      details: {
        causes: [
          { reason: "FieldManagerConflict", message: 'conflict with "a"', field: ".spec.size" },
        ],
      },
      code: 409,
    },
  });
  const two = apply(live, "b", { color: "blue", items: [{ name: "n", value: "2" }] });
  assert.ok(two.kind === "conflict");
  assert.equal(
    two.status.message,
    'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.color\n- .spec.items[name="n",protocol="TCP"].value',
  );
});

test("a conflict names an updater with its version", () => {
  const live = thing({ size: 1 });
  recordUpdate(kind, undefined, live, { manager: "kubectl-edit", time });
  const result = apply(live, "b", { size: 2 });
  assert.ok(result.kind === "conflict");
  assert.match(
    result.status.message,
    /conflict with "kubectl-edit" using test\.io\/v1: \.spec\.size/,
  );
});

test("force takes the fields over, and applying another's value shares it", () => {
  const live = applied(undefined, "a", { size: 1, color: "red" });
  const forced = applied(live, "b", { size: 2 }, { force: true });
  assert.deepEqual(forced.spec, { size: 2, color: "red" });
  assert.deepEqual(fieldsOf(forced, "a"), { "f:spec": { "f:color": {} } });
  assert.deepEqual(fieldsOf(forced, "b"), { "f:spec": { "f:size": {} } });
  const shared = applied(live, "b", { size: 1 });
  assert.deepEqual(fieldsOf(shared, "a"), { "f:spec": { "f:color": {}, "f:size": {} } });
  assert.deepEqual(fieldsOf(shared, "b"), { "f:spec": { "f:size": {} } });
});

test("new items go behind those that are there, and shared items into the order applied", () => {
  const live = applied(undefined, "a", { set: ["1", "2", "3"] });
  assert.deepEqual(applied(live, "b", { set: ["9"] }).spec, { set: ["1", "2", "3", "9"] });
  assert.deepEqual(applied(live, "b", { set: ["3", "1"] }).spec, {
    set: ["1", "2", "3"].toSorted((x, y) => "231".indexOf(x) - "231".indexOf(y)),
  });
  assert.deepEqual(applied(live, "b", { set: ["9", "2"] }).spec, { set: ["1", "9", "2", "3"] });
});

test("an update owns what it changes and takes it from those who applied it", () => {
  const live = applied(undefined, "a", { size: 1, labels: { x: "1" } });
  const edited = structuredClone({ ...live, spec: { size: 5, labels: { x: "1", y: "2" } } });
  recordUpdate(kind, live, edited, { manager: "editor", time });
  assert.deepEqual(fieldsOf(edited, "a"), { "f:spec": { "f:labels": { "f:x": {} } } });
  assert.deepEqual(fieldsOf(edited, "editor", "Update"), {
    "f:spec": { "f:labels": { "f:y": {} }, "f:size": {} },
  });
  assert.equal(apply(edited, "a", { size: 1, labels: { x: "1" } }).kind, "conflict");
});

test("an update that changes nothing leaves managedFields as they are", () => {
  const live = thing({ size: 1 });
  recordUpdate(kind, undefined, live, { manager: "m", time });
  const same = structuredClone(live);
  recordUpdate(kind, live, same, { manager: "m", time: "2027-01-01T00:00:00Z" });
  assert.deepEqual(same, live);
});

test("a status update owns only status, and an update of the object never does", () => {
  const live = thing({ size: 1 });
  const next: KubeObject = { ...structuredClone(live), status: { phase: "Ready" } };
  recordUpdate(kind, live, next, { manager: "agent", time, subresource: "status" });
  assert.deepEqual(next.metadata.managedFields, [
    {
      manager: "agent",
      operation: "Update",
      apiVersion: "test.io/v1",
      time,
      fieldsType: "FieldsV1",
      fieldsV1: { "f:status": { "f:phase": {} } },
      subresource: "status",
    },
  ]);
  const whole = applyConfiguration(
    kind,
    undefined,
    { ...thing({ size: 1 }), status: { phase: "x" } },
    { manager: "a", time, force: false },
  );
  assert.ok(whole.kind === "applied");
  assert.deepEqual(fieldsOf(whole.object, "a"), { "f:spec": { "f:size": {} } });
});

test("managedFields that a client sends are the base; malformed ones are passed over", () => {
  const live = applied(undefined, "a", { size: 1 });
  const handedOver = structuredClone(live);
  handedOver.metadata.managedFields = (live.metadata.managedFields ?? []).map((entry) => ({
    ...(isObject(entry) ? entry : {}),
    manager: "b",
  }));
  recordUpdate(kind, live, handedOver, { manager: "m", time });
  assert.deepEqual(fieldsOf(handedOver, "b"), { "f:spec": { "f:size": {} } });
  for (const bad of [[{ operation: "Apply", fieldsV1: { spec: {} } }], [3], [{ operation: "x" }]]) {
    const sent = structuredClone(live);
    sent.metadata.managedFields = bad;
    recordUpdate(kind, live, sent, { manager: "m", time });
    assert.deepEqual(sent, live);
  }
  const reset = structuredClone(live);
  reset.metadata.managedFields = [{}];
  recordUpdate(kind, live, reset, { manager: "m", time });
  assert.equal(reset.metadata.managedFields, undefined);
});

test("an object that nobody is recorded for belongs to before-first-apply", () => {
  const result = apply(thing({ size: 1 }), "a", { size: 2 });
  assert.ok(result.kind === "conflict");
  assert.match(result.status.message, /"before-first-apply"/);
});

test("kubectl takes over on the server what it applied on the client", () => {
  const annotations = {
    "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify({ spec: { size: 1 } }),
  };
  const live = thing({ size: 1, color: "red" }, { annotations });
  recordUpdate(kind, undefined, live, { manager: "kubectl-client-side-apply", time });
  assert.equal(apply(live, "kubectl", { size: 2 }).kind, "applied");
  assert.equal(apply(live, "kubectl", { size: 2, color: "blue" }).kind, "conflict");
  assert.equal(apply(live, "other", { size: 2 }).kind, "conflict");
});

test("a configuration that names an item twice or without its keys is refused", () => {
  for (const [specOf, message] of [
    [
      { items: [{ name: "n" }, { name: "n", protocol: "TCP" }] },
      /\.spec\.items: duplicate entries for key \[name="n",protocol="TCP"\]/,
    ],
    [{ set: ["a", "a"] }, /duplicate entries for key \[="a"\]/],
    [{ items: [{ value: "v" }] }, /element 0 of the list lacks one of its keys/],
  ] as const) {
    assert.throws(
      () => apply(undefined, "a", specOf),
      (error) => {
        return error instanceof PatchError && message.test(error.message);
      },
    );
  }
  assert.throws(
    () => apply(undefined, "a", {}, { metadata: { managedFields: [] } }),
    /must be nil/,
  );
});

const word = fc.constantFrom("a", "b", "c", "d");
const specs = fc.record(
  {
    size: fc.nat(3),
    color: word,
    labels: fc.dictionary(word, word, { noNullPrototype: true }),
    selector: fc.dictionary(word, word, { noNullPrototype: true }),
    items: fc.uniqueArray(
      fc.record(
        { name: word, value: word, more: fc.record({ deep: word }, { noNullPrototype: true }) },
        { requiredKeys: ["name"], noNullPrototype: true },
      ),
      { selector: ({ name }) => name, maxLength: 3 },
    ),
    set: fc.uniqueArray(word, { maxLength: 3 }),
    list: fc.array(word, { maxLength: 3 }),
    part: fc.record({ a: word, b: word }, { requiredKeys: [], noNullPrototype: true }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

/** Whether `object` has everything that `wanted` says; lists of items and sets may have more. */
function covers(object: unknown, wanted: unknown): boolean {
  if (isObject(wanted)) {
    return (
      isObject(object) &&
      Object.entries(wanted).every(([name, value]) => covers(object[name], value))
    );
  }
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(object) && wanted.every((each) => object.some((other) => covers(other, each)))
    );
  }
  return equalJson(object, wanted);
}

test("after any applies each last configuration is in the object, and alone it is the object", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom("a", "b"), specs), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(steps, (list) => {
      let live: KubeObject | undefined;
      for (const [manager, wanted] of list) {
        const before = structuredClone({ live, wanted });
        const next = applied(live, manager, wanted, { force: true });
        assert.deepEqual({ live, wanted }, before, "the arguments are unchanged");
        assert.ok(covers(next.spec ?? {}, wanted), JSON.stringify({ next, wanted }));
        assert.deepEqual(
          applied(next, manager, wanted),
          next,
          "again without force: nothing changes",
        );
        live = next;
      }
      const last = list.at(-1)?.[1] ?? {};
      const alone = applied(applied(live, "a", {}, { force: true }), "b", {}, { force: true });
      assert.equal(alone.metadata.managedFields, undefined);
      assert.deepEqual(
        applied(alone, "c", last).spec ?? {},
        applied(undefined, "c", last).spec ?? {},
      );
    }),
    { numRuns: 300 },
  );
});

test("fieldsV1 read back are the same set; any JSON is a set or refused", () => {
  fc.assert(
    fc.property(specs, (wanted) => {
      const fields = fieldsOf(applied(undefined, "a", wanted), "a") ?? {};
      const set = parseFieldsV1(fields);
      assert.ok(set);
      assert.deepEqual(renderFieldsV1(set), fields);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const set = parseFieldsV1(value);
      if (set !== undefined) renderFieldsV1(set);
    }),
  );
});
