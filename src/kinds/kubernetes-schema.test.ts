import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import type { Schema } from "../apimachinery/schema.ts";
import { descriptions } from "./descriptions.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import types from "./kubernetes.json" with { type: "json" };

test("kubernetes.json is what its tool writes", () => {
  const tool = new URL("../../tools/kubernetes-types.ts", import.meta.url);
  execFileSync(process.execPath, [tool.pathname, "--check"]);
});

test("every description is of a type or field that exists", () => {
  const known = new Set(
    Object.entries(types).flatMap(([type, fields]) => [
      type,
      ...Object.keys(fields).map((field) => `${type}.${field}`),
    ]),
  );
  assert.deepEqual(
    Object.keys(descriptions).filter((name) => !known.has(name)),
    [],
  );
});

test("every field of a NetworkPolicy is described", () => {
  const described = (name: string, schema: Schema): void => {
    for (const [field, member] of Object.entries(schema.properties ?? {})) {
      assert.ok(member.description, `${name}.${field}`);
      const inner = member.items ?? member;
      if (!inner.$id?.includes(".meta.")) described(`${name}.${field}`, inner);
    }
  };
  described("spec", kubernetesSchema("networking.NetworkPolicySpec"));
});

test("all types expand, each once", () => {
  for (const name of Object.keys(types)) {
    const schema = kubernetesSchema(name);
    assert.equal(schema, kubernetesSchema(name));
    assert.ok(schema.properties);
  }
  assert.throws(() => kubernetesSchema("core.Nothing"), /no built-in type core\.Nothing/);
});

test("a field keeps what its type says and adds its own", () => {
  const spec = kubernetesSchema("core.PodSpec").properties;
  const containers = spec?.["containers"];
  assert.deepEqual(containers?.["x-kubernetes-list-map-keys"], ["name"]);
  assert.equal(containers["x-kubernetes-list-type"], "map");
  assert.equal(containers["x-kubernetes-patch-merge-key"], "name");
  assert.equal(containers["x-kubernetes-patch-strategy"], "merge");
  assert.equal(spec?.["volumes"]?.["x-kubernetes-patch-strategy"], "merge,retainKeys");
  const port = kubernetesSchema("core.ContainerPort");
  assert.deepEqual(port.required, ["containerPort"]);
  assert.equal(port.properties?.["protocol"]?.default, "TCP");
  const selector = kubernetesSchema("networking.NetworkPolicySpec").properties?.["podSelector"];
  assert.equal(selector?.component, kubernetesSchema("meta.LabelSelector"));
  assert.equal(selector?.["x-kubernetes-map-type"], "atomic");
  assert.equal(
    kubernetesSchema("meta.ObjectMeta").$id,
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
  );
});
