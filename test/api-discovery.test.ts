// What the server tells of itself.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFields } from "../src/apiserver/protobuf.ts";
import { kinds } from "../src/kinds/kinds.ts";
import { startTestApi, type TestApi } from "./api-harness.ts";

let api: TestApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

interface Named {
  readonly name: string;
}

test("groups, versions and resources are listed, each kind with its parts", async () => {
  const { body: core } = await api.raw("GET", "/api");
  assert.deepEqual([core.kind, core.versions], ["APIVersions", ["v1"]]);
  const { body: groups } = await api.raw("GET", "/apis");
  const apps = groups.groups.find(({ name }: Named) => name === "apps");
  assert.deepEqual(apps.preferredVersion, { groupVersion: "apps/v1", version: "v1" });
  assert.deepEqual((await api.raw("GET", "/apis/apps")).body.versions, apps.versions);
  const { body: resources } = await api.raw("GET", "/apis/apps/v1");
  assert.deepEqual(
    resources.resources.map(({ name }: Named) => name),
    ["deployments", "deployments/scale", "deployments/status"],
  );
  assert.deepEqual(resources.resources[0].shortNames, ["deploy"]);
  assert.deepEqual(
    [resources.resources[1].group, resources.resources[1].kind],
    ["autoscaling", "Scale"],
  );
  assert.equal((await api.raw("GET", "/apis/nope")).code, 404);
  assert.equal((await api.raw("GET", "/apis/apps/v2")).code, 404);
});

async function getGroups(accept: string): ReturnType<TestApi["raw"]> {
  return await api.raw("GET", "/apis", { headers: { accept } });
}

test("aggregated discovery is given to those who put it first, in the version they know", async () => {
  const v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const { headers, body } = await getGroups(`${v2},application/json`);
  assert.equal(headers["content-type"], v2);
  assert.equal(body.apiVersion, "apidiscovery.k8s.io/v2");
  const apps = body.items.find(({ metadata }: { metadata: Named }) => metadata.name === "apps");
  const [deployments] = apps.versions[0].resources;
  assert.deepEqual(deployments.responseKind, { group: "apps", version: "v1", kind: "Deployment" });
  assert.equal(deployments.scope, "Namespaced");
  assert.deepEqual(
    deployments.subresources.map(({ subresource }: { subresource: string }) => subresource),
    ["scale", "status"],
  );
  assert.equal(
    (await getGroups(v2.replace("v=v2", "v=v2beta1"))).body.apiVersion,
    "apidiscovery.k8s.io/v2beta1",
  );
  assert.equal((await getGroups(`application/json,${v2}`)).body.kind, "APIGroupList");
  assert.equal(
    (await getGroups(`${v2.replace("v=v2", "v=v9")},application/json`)).body.kind,
    "APIGroupList",
  );
});

/** Every `$ref` of a document. */
function referencesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    name === "$ref" ? [String(item)] : referencesIn(item),
  );
}

test("OpenAPI v3 has a document for each group version, complete in itself", async () => {
  const { body: index } = await api.raw("GET", "/openapi/v3");
  const roots = Object.keys(index.paths);
  const served = new Set(
    kinds.map(({ group, version }) =>
      group === "" ? `api/${version}` : `apis/${group}/${version}`,
    ),
  );
  assert.deepEqual(new Set(roots), served);
  for (const root of roots) {
    const url: string = index.paths[root].serverRelativeURL;
    assert.match(url, /\?hash=[0-9A-F]{64}$/);
    const { body } = await api.raw("GET", url);
    assert.equal(body.openapi, "3.0.0");
    for (const reference of new Set(referencesIn(body))) {
      assert.ok(body.components.schemas[reference.replace("#/components/schemas/", "")], reference);
    }
  }
  assert.equal((await api.raw("GET", "/openapi/v3/apis/nope/v1")).code, 404);
});

test("OpenAPI v3 offers dryRun and fieldValidation where kubectl looks for them", async () => {
  const { body } = await api.raw("GET", "/openapi/v3/apis/networking.k8s.io/v1");
  const item =
    body.paths["/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}"];
  assert.deepEqual(item.patch["x-kubernetes-group-version-kind"], {
    group: "networking.k8s.io",
    version: "v1",
    kind: "NetworkPolicy",
  });
  const names = item.patch.parameters.map(({ name }: Named) => name);
  assert.ok(names.includes("dryRun") && names.includes("fieldValidation"));
});

test("OpenAPI v2 is complete in itself, and the same in protobuf", async () => {
  const { body } = await api.raw("GET", "/openapi/v2");
  assert.equal(body.swagger, "2.0");
  for (const reference of new Set(referencesIn(body))) {
    assert.ok(body.definitions[reference.replace("#/definitions/", "")], reference);
  }
  const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const response = await api.client.open("GET", "/openapi/v2", { accept });
  assert.equal(response.headers["content-type"], accept.replace("@", "."));
  const document = new Map(
    [...readFields(Buffer.from(await response.body.arrayBuffer()))].map(({ number, value }) => [
      number,
      value,
    ]),
  );
  assert.equal(String(document.get(1)), "2.0");
  const count = (field: number): number => {
    const bytes = document.get(field);
    assert.ok(Buffer.isBuffer(bytes));
    return [...readFields(bytes)].length;
  };
  assert.equal(count(8), Object.keys(body.paths).length);
  assert.equal(count(9), Object.keys(body.definitions).length);
});
