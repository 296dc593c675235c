import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SelectorError } from "./errors.ts";
import { checkFieldSelector, matchesFieldSelector, parseFieldSelector } from "./field-selector.ts";
import type { KubeObject } from "./kind.ts";

const kind = { selectableFields: { "spec.node": (object: KubeObject) => String(object["node"]) } };
const object: KubeObject = {
  apiVersion: "v1",
  kind: "Thing",
  metadata: { name: "web", namespace: "shop", uid: "", resourceVersion: "", creationTimestamp: "" },
  node: "a,b=c",
};

const cases: readonly (readonly [string, boolean])[] = [
  ["", true],
  ["metadata.name=web", true],
  ["metadata.name==web", true],
  ["metadata.name!=web", false],
  ["metadata.namespace=shop,metadata.name=web", true],
  ["metadata.namespace=shop,metadata.name=api", false],
  ["spec.node=a\\,b\\=c", true],
  ["spec.node!=", true],
];

for (const [text, expected] of cases) {
  test(`the field selector "${text}" ${expected ? "matches" : "does not match"}`, () => {
    const selector = parseFieldSelector(text);
    checkFieldSelector(kind, selector);
    assert.equal(matchesFieldSelector(kind, selector, object), expected);
  });
}

test("a field selector that cannot be understood is refused with upstream's text", () => {
  assert.throws(() => parseFieldSelector("metadata.name"), {
    message: "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
  });
  assert.throws(() => parseFieldSelector("a=b\\x"), /invalid sequence '\\x'/);
  assert.throws(() => parseFieldSelector("a=b=c"), /invalid sequence '='/);
  assert.throws(() => checkFieldSelector(kind, parseFieldSelector("spec.other=1")), {
    message: "field label not supported: spec.other",
  });
});

test("any text is a field selector or a SelectorError", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseFieldSelector(text);
      } catch (error) {
        assert.ok(error instanceof SelectorError);
      }
    }),
  );
});
