import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRequestTarget } from "./request-target.ts";

const core = { group: "", version: "v1" };

const cases: readonly [path: string, target: object | undefined][] = [
  ["/api/v1/pods", { ...core, plural: "pods" }],
  ["/api/v1/pods/", { ...core, plural: "pods" }],
  ["/api/v1/namespaces", { ...core, plural: "namespaces" }],
  ["/api/v1/namespaces/a", { ...core, plural: "namespaces", name: "a" }],
  [
    "/api/v1/namespaces/a/status",
    { ...core, plural: "namespaces", name: "a", subresource: "status" },
  ],
  [
    "/api/v1/namespaces/a/finalize",
    { ...core, plural: "namespaces", name: "a", subresource: "finalize" },
  ],
  ["/api/v1/namespaces/a/pods", { ...core, plural: "pods", namespace: "a" }],
  ["/api/v1/namespaces/a/pods/b", { ...core, plural: "pods", namespace: "a", name: "b" }],
  [
    "/api/v1/namespaces/a/pods/b/log",
    { ...core, plural: "pods", namespace: "a", name: "b", subresource: "log" },
  ],
  [
    "/apis/apps/v1/namespaces/a/deployments",
    { group: "apps", version: "v1", plural: "deployments", namespace: "a" },
  ],
  ["/api/v1/nodes/n%2F1", { ...core, plural: "nodes", name: "n/1" }],
  ["/api/v1", undefined],
  ["/apis/apps", undefined],
  ["/apis/apps/v1", undefined],
  ["/version", undefined],
  ["/api/v1//pods", undefined],
  ["/api/v1/nodes/%zz", undefined],
  ["/api/v1/namespaces/a/pods/b/proxy/more", undefined],
];

for (const [path, target] of cases) {
  test(`${path} is ${target === undefined ? "no resource" : JSON.stringify(target)}`, () => {
    assert.deepEqual(parseRequestTarget(path), target);
  });
}
