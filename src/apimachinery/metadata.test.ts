import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectMeta } from "./kind.ts";
import { validateMetadata, validateMetadataUpdate } from "./metadata.ts";

const base: ObjectMeta = {
  name: "web",
  namespace: "shop",
  uid: "1",
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
};
const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "2" };

function print(errors: readonly { field: string; message: string }[]): string[] {
  return errors.map(({ field, message }) => `${field}: ${message.split(": a ")[0]}`);
}

const created: readonly (readonly [string, Partial<ObjectMeta>, readonly string[]])[] = [
  [
    "all that is usual",
    {
      labels: { app: "web" },
      annotations: { "Example.com/A": "any text é" },
      finalizers: ["isobar.io/addresses"],
      ownerReferences: [owner],
    },
    [],
  ],
  ["no name", { name: "" }, ["metadata.name: Required value: name or generateName is required"]],
  ["a bad name", { name: "Web" }, ['metadata.name: Invalid value: "Web"']],
  [
    "a bad name's prefix",
    { generateName: "Web-" },
    ['metadata.generateName: Invalid value: "Web-"'],
  ],
  ["no namespace", { namespace: "" }, ["metadata.namespace: Required value"]],
  [
    "a bad namespace",
    { namespace: "a.b" },
    ['metadata.namespace: Invalid value: "a.b": must not contain dots'],
  ],
  [
    "large annotations",
    { annotations: { a: "x".repeat(256 * 1024) } },
    ["metadata.annotations: Too long: may not be more than 262144 bytes"],
  ],
  [
    "an owner without uid",
    { ownerReferences: [{ ...owner, uid: "" }] },
    ["metadata.ownerReferences[0].uid: Required value: must not be empty"],
  ],
  [
    "an owner of a bad version",
    { ownerReferences: [{ ...owner, apiVersion: "a/b/c" }] },
    [
      'metadata.ownerReferences[0].apiVersion: Invalid value: "a/b/c": must be <group>/<version> or <version>',
    ],
  ],
  [
    "an event as owner",
    { ownerReferences: [{ ...owner, apiVersion: "v1", kind: "Event" }] },
    [
      'metadata.ownerReferences[0]: Invalid value: {"apiVersion":"v1","kind":"Event","name":"web","uid":"2"}: /v1, Kind=Event is disallowed from being an owner',
    ],
  ],
  [
    "two finalizers against each other",
    { finalizers: ["orphan", "foregroundDeletion"] },
    [
      'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
    ],
  ],
];

for (const [name, patch, expected] of created) {
  test(`metadata with ${name}`, () => {
    assert.deepEqual(
      print(validateMetadata({ namespaced: true }, { ...base, ...patch })),
      expected,
    );
  });
}

test("two controllers cannot own an object", () => {
  const ownerReferences = ["a", "b"].map((name) => ({ ...owner, name, controller: true }));
  const [error, ...others] = validateMetadata({ namespaced: true }, { ...base, ownerReferences });
  assert.deepEqual(others, []);
  assert.match(
    error?.message ?? "",
    /Only one reference can have Controller set to true\. Found "true" in references for Deployment\/a and Deployment\/b$/,
  );
});

test("identity and times cannot be changed, and a dying object gets no finalizers", () => {
  for (const field of [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
  ] as const) {
    const errors = validateMetadataUpdate({ ...base, [field]: "other" }, base);
    assert.deepEqual(print(errors), [
      `metadata.${field}: Invalid value: "other": field is immutable`,
    ]);
  }
  const dying = { ...base, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["a.b/c"] };
  assert.deepEqual(validateMetadataUpdate({ ...dying, finalizers: [] }, dying), []);
  assert.deepEqual(
    print(validateMetadataUpdate({ ...dying, finalizers: ["a.b/c", "a.b/d"] }, dying)),
    [
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/d"}',
    ],
  );
});
