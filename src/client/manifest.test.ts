import assert from "node:assert/strict";
import { test } from "node:test";
import { ManifestError } from "./errors.ts";
import { parseManifests } from "./manifest.ts";

test("documents come in order, lists taken apart, empty ones left out", () => {
  const text = `# nothing here
---
apiVersion: v1
kind: ConfigMap
metadata: { name: a }
---
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: b } }
  - { apiVersion: v1, kind: Pod, metadata: { name: c } }
`;
  assert.deepEqual(
    parseManifests(text, "x.yaml").map(
      ({ kind, metadata }) => `${kind} ${String(metadata["name"])}`,
    ),
    ["ConfigMap a", "ConfigMap b", "Pod c"],
  );
  assert.deepEqual(parseManifests("", "x.yaml"), []);
  assert.equal(
    parseManifests('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"j"}}', "x.json").length,
    1,
  );
});

function complaint(text: string): string {
  try {
    parseManifests(text, "x.yaml");
  } catch (error) {
    assert.ok(error instanceof ManifestError);
    return error.message;
  }
  return "";
}

test("what is wrong is said with the file and the document", () => {
  assert.match(
    complaint("a: 1\n---\n[unclosed"),
    /^x.yaml, document 1: apiVersion, kind and metadata.name/,
  );
  assert.match(complaint("{a: b"), /^x.yaml, document 1: /);
  assert.match(complaint("a: 1\na: 2"), /Map keys must be unique/);
  assert.match(complaint("just text"), /expected an object/);
  assert.match(complaint("kind: List\nitems: [{}]"), /document 1, item 1/);
});
