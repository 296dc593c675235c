import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { renderCrd } from "../apimachinery/crd.ts";
import { isObject } from "../apimachinery/json.ts";
import type { Schema } from "../apimachinery/schema.ts";
import { checkConstraints, readStructure } from "../apimachinery/structural.ts";
import { domainKind } from "./domain.ts";
import { endpointKind } from "./endpoint.ts";
import { kinds } from "./kinds.ts";
import { networkKind } from "./network.ts";

const own = kinds.filter(({ group }) => group === "isobar.io");

// What a test looks at it knows to be there.
// oxlint-disable-next-line typescript/no-explicit-any
function versionOf(kind: (typeof kinds)[number]): any {
  const { spec } = renderCrd(kind);
  return isObject(spec) && Array.isArray(spec["versions"]) ? spec["versions"][0] : undefined;
}

function schemaOf(kind: (typeof kinds)[number]): Schema {
  return versionOf(kind).schema.openAPIV3Schema;
}

test("deploy/chart/crds is what its tool writes", () => {
  const tool = new URL("../../tools/render-crds.ts", import.meta.url);
  execFileSync(process.execPath, [tool.pathname, "--check"]);
});

/** The rules of apiextensions' structural schemas. */
function assertStructural(schema: Schema, path: string): void {
  assert.ok(["object", "array", "string", "integer", "boolean"].includes(schema.type ?? ""), path);
  assert.equal(schema.$id, undefined, path);
  assert.ok(schema.properties === undefined || schema.additionalProperties === undefined, path);
  if (schema.type === "array") assert.ok(schema.items, path);
  for (const name of schema.required ?? []) assert.ok(schema.properties?.[name], `${path}.${name}`);
  for (const [name, member] of Object.entries(schema.properties ?? {}))
    assertStructural(member, `${path}.${name}`);
  if (schema.items) assertStructural(schema.items, `${path}[]`);
  if (schema.default !== undefined) {
    assert.deepEqual(readStructure(schema, schema.default).value, schema.default, path);
  }
}

for (const kind of own) {
  test(`${kind.kind}: its CRD is structural, and its paths lead to fields`, () => {
    const version = versionOf(kind);
    assertStructural(schemaOf(kind), kind.kind);
    const at = (path: string): unknown =>
      path
        .split(".")
        .slice(1)
        .reduce<Schema | undefined>((schema, name) => {
          const member = schema?.properties?.[name.replace("[*]", "")];
          return name.endsWith("[*]") ? member?.items : member;
        }, schemaOf(kind));
    for (const { jsonPath } of version.additionalPrinterColumns) {
      if (!jsonPath.startsWith(".metadata.")) assert.ok(at(jsonPath), jsonPath);
    }
    for (const { jsonPath } of version.selectableFields ?? []) assert.ok(at(jsonPath), jsonPath);
    assert.ok((version.selectableFields ?? []).length <= 8, "the API takes at most 8");
    assert.equal(version.subresources !== undefined, kind.hasStatus);
  });
}

test("every text of a rule that compares is bounded, for the server estimates what it costs", () => {
  for (const kind of own) assertBounded(schemaOf(kind), kind.kind, false);
});

function assertBounded(schema: Schema, path: string, isCompared: boolean): void {
  const hasRule = Object.hasOwn(schema, "x-kubernetes-validations") && schema.type !== "object";
  const compared = isCompared || hasRule;
  if (compared && schema.type === "string" && schema.enum === undefined) {
    assert.ok(schema.maxLength !== undefined, path);
  }
  if (compared && schema.type === "array") assert.ok(schema.maxItems !== undefined, path);
  for (const [name, member] of Object.entries(schema.properties ?? {}))
    assertBounded(member, `${path}.${name}`, compared);
  if (schema.items) assertBounded(schema.items, `${path}[]`, compared);
}

const endpoint = {
  domain: "default",
  network: "pods-1",
  addresses: ["10.0.0.2", "2001:db8::2"],
  mac: "0a:00:00:00:00:02",
  attachment: { kind: "Pod", name: "web", uid: "1" },
};

test("a server that knows only the schema takes what is right and refuses most of what is wrong", () => {
  const cases = [
    [domainKind, { vni: 1, pools: ["10.0.0.0/8", "2001:db8::/32", "::/0"] }, 0],
    [domainKind, { vni: 0, pools: ["10.0.0.0/8"] }, 1],
    [domainKind, { vni: 1, pools: [] }, 1],
    [domainKind, { vni: 1, pools: ["10.0.0/8", "10.0.0.256/8", "10.0.0.0/33", "fd00::/129"] }, 4],
    [domainKind, { vni: 1, pools: ["fd00::/8"], networkPrefixLength: { ipv4: 31 } }, 1],
    [networkKind, { domain: "default", cidrs: ["10.1.0.0/24", "fd00:1::/64"] }, 0],
    [networkKind, { domain: "", cidrs: ["all"] }, 2],
    [endpointKind, endpoint, 0],
    [endpointKind, { ...endpoint, mac: "01:00:00:00:00:02" }, 1],
    [endpointKind, { ...endpoint, addresses: ["10.0.0.2/24", "fd00::g"] }, 2],
  ] as const;
  for (const [kind, spec, findings] of cases) {
    const errors = checkConstraints(schemaOf(kind), { spec });
    assert.equal(errors.length, findings, JSON.stringify(spec));
  }
});
