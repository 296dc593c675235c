// How the schema cuts an object into fields: which objects and lists are taken as a whole, and what tells a list's items apart
// (sigs.k8s.io/structured-merge-diff/typed).
import type { PathElement } from "./field-set.ts";
import { getMember, isObject, type JsonObject } from "./json.ts";
import type { Schema } from "./schema.ts";

export type MaybeSchema = Schema | undefined;

export function isGranularObject(schema: MaybeSchema): boolean {
  return schema?.["x-kubernetes-map-type"] !== "atomic";
}

/** How a list merges; a list that the schema says nothing of is taken as a whole. */
export function listTypeOf(schema: MaybeSchema): "atomic" | "set" | "map" {
  return schema?.["x-kubernetes-list-type"] ?? "atomic";
}

/** Members that the schema names are parts of a structure, others entries of a map. */
export function isNamed(schema: MaybeSchema, name: string): boolean {
  return schema?.properties !== undefined && Object.hasOwn(schema.properties, name);
}

/** The item's keys, sorted by name; keys that the item lacks have their default. `undefined` when one has none. */
function keysOf(item: unknown, schema: MaybeSchema): JsonObject | undefined {
  const names = [...(schema?.["x-kubernetes-list-map-keys"] ?? [])].toSorted();
  const values = names.map((name) => {
    const value = isObject(item) ? getMember(item, name) : undefined;
    return [name, value ?? schema?.items?.properties?.[name]?.default] as const;
  });
  return values.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(values);
}

/** The path element of a list's item; by its place when it lacks a key. */
export function elementOf(item: unknown, index: number, schema: MaybeSchema): PathElement {
  if (listTypeOf(schema) === "set") return `v:${JSON.stringify(item)}`;
  const keys = keysOf(item, schema);
  return keys === undefined ? `i:${index}` : `k:${JSON.stringify(keys)}`;
}

export function elementsOf(list: readonly unknown[], schema: MaybeSchema): PathElement[] {
  return list.map((item, index) => elementOf(item, index, schema));
}

/** Items by path element, in order; several when a list has an item twice. */
export function itemsOf(
  list: readonly unknown[],
  schema: MaybeSchema,
): Map<PathElement, unknown[]> {
  return Map.groupBy(list, (item, index) => elementOf(item, index, schema));
}

export function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
