// Applying manifests as kubectl apply does, against the real server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  applyManifest,
  lastAppliedAnnotation,
  threeWayPatch,
} from "../src/client/apply-manifest.ts";
import { type Manifest, parseManifests } from "../src/client/manifest.ts";
import { kinds } from "../src/kinds/kinds.ts";
import { startTestApi, type TestApi } from "./api-harness.ts";

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

function manifest(text: string): Manifest {
  const [only] = parseManifests(text, "test");
  assert.ok(only);
  return only;
}

const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: allow, labels: { team: a } }
spec:
  podSelector: {}
  ingress: [{ ports: [{ port: 80 }] }]
`;

test("an object is created, left alone when equal, and changed when not", async () => {
  const first = await applyManifest(api.client, kinds, manifest(policy));
  assert.equal(first.outcome, "created");
  assert.equal(first.object.metadata.namespace, "default");
  const second = await applyManifest(api.client, kinds, manifest(policy));
  assert.equal(second.outcome, "unchanged");
  assert.equal(second.object.metadata.resourceVersion, first.object.metadata.resourceVersion);
  const third = await applyManifest(api.client, kinds, manifest(policy.replace("80", "81")));
  assert.equal(third.outcome, "configured");
});

function labelled(labels: string): Manifest {
  return manifest(`{apiVersion: v1, kind: ConfigMap, metadata: {name: shared, labels: ${labels}}}`);
}

test("what has left the manifest is removed, what others have set stays", async () => {
  await applyManifest(api.client, kinds, labelled("{ours: a, gone: b}"));
  await api.raw("PATCH", "/api/v1/namespaces/default/configmaps/shared", {
    body: { metadata: { labels: { theirs: "c" } } },
    headers: { "content-type": "application/merge-patch+json" },
  });
  const { object } = await applyManifest(api.client, kinds, labelled("{ours: d}"));
  assert.deepEqual(object.metadata.labels, { ours: "d", theirs: "c" });
  assert.match(object.metadata.annotations?.[lastAppliedAnnotation] ?? "", /"ours":"d"/);
});

test("kinds that are not known, and what the server refuses, are errors", async () => {
  const unknown = manifest("{apiVersion: v2, kind: Thing, metadata: {name: a}}");
  await assert.rejects(applyManifest(api.client, kinds, unknown), {
    name: "ManifestError",
    message: 'no matches for kind "Thing" in version "v2"',
  });
  const wrong = manifest(policy.replace("80", "99999").replace("name: allow", "name: wrong"));
  await assert.rejects(applyManifest(api.client, kinds, wrong), {
    name: "StatusError",
    message: /spec.ingress\[0\].ports\[0\].port/,
  });
});

test("the patch has additions, changes and removals, and nothing else", () => {
  const original = { a: 1, gone: 1, kept: 1, deep: { x: 1, gone: 1 }, list: [1] };
  const modified = { a: 2, kept: 1, deep: { x: 1, more: 1 }, list: [1, 2], added: {} };
  const current = {
    a: 1,
    gone: 1,
    kept: 1,
    deep: { x: 1, gone: 1, theirs: 1 },
    list: [1],
    theirs: 1,
  };
  assert.deepEqual(threeWayPatch(original, modified, current), {
    a: 2,
    gone: null,
    deep: { more: 1, gone: null },
    list: [1, 2],
    added: {},
  });
  assert.deepEqual(
    threeWayPatch({ gone: 1 }, {}, {}),
    {},
    "what is gone already is not removed again",
  );
});
