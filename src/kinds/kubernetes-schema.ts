// Schemas of Kubernetes' built-in types, expanded from kubernetes.json when first asked for. That file is written by
// tools/kubernetes-types.ts; each field is one text:
//
//   text  = type [ "!" ] { " " fact }          "!": required
//   type  = "[]" type | "{}" type | scalar | [ group "." ] Name
//   fact  = "map=" key { "," key } | "set" | "merge" [ "=" key ] | "retainKeys" | "atomic" | "default=" value
import type { Schema } from "../apimachinery/schema.ts";
import { descriptions } from "./descriptions.ts";
import types from "./kubernetes.json" with { type: "json" };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const typeFields: Readonly<Record<string, Readonly<Record<string, string>>>> = types;

const scalars: Readonly<Record<string, Schema>> = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  bytes: { type: "string", format: "byte" },
  time: { type: "string", format: "date-time" },
  microtime: { type: "string", format: "date-time" },
  quantity: { type: "string", format: "quantity" },
  "int-or-string": { "x-kubernetes-int-or-string": true },
  any: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
};

const packages: Readonly<Record<string, string>> = {
  meta: "io.k8s.apimachinery.pkg.apis.meta.v1",
};

const components = new Map<string, Schema>();

/**
 * The schema of a built-in type by group and name, e.g. `core.Pod`, `meta.ObjectMeta`. The same object every time. Asking for a
 * type that kubernetes.json lacks is a bug.
 */
export function kubernetesSchema(name: string): Schema {
  const known = components.get(name);
  if (known !== undefined) return known;
  const fields = typeFields[name];
  if (fields === undefined) throw new Error(`no built-in type ${name}`);
  const [group = "", type] = name.split(".");
  let properties: Record<string, Schema> | undefined;
  const component: Mutable<Schema> = {
    $id: `${packages[group] ?? `io.k8s.api.${group}.v1`}.${type}`,
    type: "object",
    get properties() {
      properties ??= expandFields(name, fields);
      return properties;
    },
  };
  const required = Object.keys(fields).filter((field) => /^\S+!/.test(fields[field] ?? ""));
  if (required.length > 0) component.required = required;
  if (fields["$"] === "atomic") component["x-kubernetes-map-type"] = "atomic";
  const description = descriptions[name];
  if (description !== undefined) component.description = description;
  components.set(name, component);
  return component;
}

function expandFields(
  typeName: string,
  fields: Readonly<Record<string, string>>,
): Record<string, Schema> {
  const [group = ""] = typeName.split(".");
  const entries = Object.entries(fields).filter(([field]) => field !== "$");
  return Object.fromEntries(
    entries.map(([field, text]) => {
      const [type = "", ...facts] = text.split(" ");
      const base = expandType(type.replace(/!$/, ""), group);
      const own = ownKeywords(facts, base, descriptions[`${typeName}.${field}`]);
      return [field, withKeywords(base, own)];
    }),
  );
}

function expandType(type: string, group: string): Schema {
  if (type.startsWith("[]")) return { type: "array", items: expandType(type.slice(2), group) };
  if (type.startsWith("{}")) {
    return { type: "object", additionalProperties: expandType(type.slice(2), group) };
  }
  return scalars[type] ?? kubernetesSchema(type.includes(".") ? type : `${group}.${type}`);
}

function ownKeywords(
  facts: readonly string[],
  base: Schema,
  description: string | undefined,
): Mutable<Schema> {
  const own: Mutable<Schema> = description === undefined ? {} : { description };
  const strategies: string[] = [];
  for (const fact of facts) {
    const [name, value = ""] = fact.split("=");
    if (name === "map") {
      own["x-kubernetes-list-type"] = "map";
      own["x-kubernetes-list-map-keys"] = value.split(",");
    } else if (name === "set") own["x-kubernetes-list-type"] = "set";
    else if (name === "atomic") own["x-kubernetes-map-type"] = "atomic";
    else if (name === "default") own.default = value;
    else strategies.push(name ?? "");
    if (name === "merge" && value !== "") own["x-kubernetes-patch-merge-key"] = value;
  }
  if (strategies.length > 0) own["x-kubernetes-patch-strategy"] = strategies.join(",");
  if (base.type === "array") own["x-kubernetes-list-type"] ??= "atomic";
  return own;
}

/** The base with a place's own keywords. A component stays what it is: the place refers to it. */
function withKeywords(base: Schema, own: Schema): Schema {
  if (Object.keys(own).length === 0) return base;
  if (base.$id === undefined) return { ...base, ...own };
  const { required, "x-kubernetes-map-type": mapType } = base;
  return {
    component: base,
    type: "object",
    get properties() {
      return base.properties ?? {};
    },
    ...(required && { required }),
    ...(mapType && { "x-kubernetes-map-type": mapType }),
    ...own,
  };
}
