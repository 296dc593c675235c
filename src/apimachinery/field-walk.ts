// Objects by their fields: which fields an object has, how two differ, and how one is merged into another, all under a schema
// that says which objects and lists are taken as a whole (sigs.k8s.io/structured-merge-diff/typed).
import { PatchError } from "./errors.ts";
import { FieldSet, formatFieldPath, type FieldPath, type PathElement } from "./field-set.ts";
import { equalJson, getMember, isObject, setMember, type JsonObject } from "./json.ts";
import { memberSchema, type Schema } from "./schema.ts";

type MaybeSchema = Schema | undefined;

function isGranularObject(schema: MaybeSchema): boolean {
  return schema?.["x-kubernetes-map-type"] !== "atomic";
}

/** How a list merges; a list that the schema says nothing of is taken as a whole. */
function listTypeOf(schema: MaybeSchema): "atomic" | "set" | "map" {
  return schema?.["x-kubernetes-list-type"] ?? "atomic";
}

/** Members that the schema names are parts of a structure, others entries of a map. */
function isNamed(schema: MaybeSchema, name: string): boolean {
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
function elementOf(item: unknown, index: number, schema: MaybeSchema): PathElement {
  if (listTypeOf(schema) === "set") return `v:${JSON.stringify(item)}`;
  const keys = keysOf(item, schema);
  return keys === undefined ? `i:${index}` : `k:${JSON.stringify(keys)}`;
}

function elementsOf(list: readonly unknown[], schema: MaybeSchema): PathElement[] {
  return list.map((item, index) => elementOf(item, index, schema));
}

/** Items by path element, in order; several when a list has an item twice. */
function itemsOf(list: readonly unknown[], schema: MaybeSchema): Map<PathElement, unknown[]> {
  return Map.groupBy(list, (item, index) => elementOf(item, index, schema));
}

/** A configuration names each item of a list, and once. @throws {PatchError} */
function checkItems(items: Map<PathElement, unknown[]>, path: FieldPath): void {
  for (const [element, values] of items) {
    const where = formatFieldPath(path);
    if (element.startsWith("i:")) {
      throw new PatchError(
        `${where}: element ${element.slice(2)} of the list lacks one of its keys`,
      );
    }
    if (values.length > 1) {
      throw new PatchError(`${where}: duplicate entries for key ${formatFieldPath([element])}`);
    }
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function collectFields(
  value: unknown,
  schema: MaybeSchema,
  path: FieldPath,
  paths: FieldPath[],
): void {
  if (isObject(value) && isGranularObject(schema)) {
    for (const [name, member] of Object.entries(value)) {
      const inner = [...path, `f:${name}`];
      if (isEmpty(member) || !isNamed(schema, name)) paths.push(inner);
      collectFields(member, memberSchema(schema, name), inner, paths);
    }
    return;
  }
  if (Array.isArray(value) && listTypeOf(schema) !== "atomic") {
    for (const [index, item] of value.entries()) {
      const inner = [...path, elementOf(item, index, schema)];
      paths.push(inner);
      collectFields(item, schema?.items, inner, paths);
    }
    return;
  }
  paths.push(path);
}

/** The fields of an object; what a manager owns that applies it. */
export function fieldSetOf(object: JsonObject, schema: Schema): FieldSet {
  const paths: FieldPath[] = [];
  collectFields(object, schema, [], paths);
  return new FieldSet(paths);
}

export interface Difference {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

class Comparer {
  readonly #added: FieldPath[] = [];
  readonly #modified: FieldPath[] = [];
  readonly #removed: FieldPath[] = [];

  difference(): Difference {
    return {
      added: new FieldSet(this.#added),
      modified: new FieldSet(this.#modified),
      removed: new FieldSet(this.#removed),
    };
  }

  compare(old: unknown, next: unknown, schema: MaybeSchema, path: FieldPath): void {
    if (this.#descend(old, next, schema, path)) {
      // A structure is there when a field of it is; an object of free names or an item of a list is a field itself.
      const structure = schema?.properties !== undefined && path.at(-1)?.startsWith("f:") === true;
      if (old === undefined && !structure) this.#added.push(path);
      if (next === undefined) this.#removed.push(path);
    } else if (old === undefined) this.#added.push(path);
    else if (next === undefined) this.#removed.push(path);
    else if (!equalJson(old, next)) this.#modified.push(path);
  }

  /** Whether the values are compared part by part. */
  #descend(old: unknown, next: unknown, schema: MaybeSchema, path: FieldPath): boolean {
    const [a, b] = [old ?? next, next ?? old];
    if (isObject(a) && isObject(b) && isGranularObject(schema)) {
      if (Object.keys(a).length + Object.keys(b).length === 0) return false;
      this.#compareObjects(isObject(old) ? old : {}, isObject(next) ? next : {}, schema, path);
      return true;
    }
    if (Array.isArray(a) && Array.isArray(b) && listTypeOf(schema) !== "atomic") {
      if (a.length + b.length === 0) return false;
      this.#compareLists(
        Array.isArray(old) ? old : [],
        Array.isArray(next) ? next : [],
        schema,
        path,
      );
      return true;
    }
    return false;
  }

  #compareObjects(old: JsonObject, next: JsonObject, schema: MaybeSchema, path: FieldPath): void {
    for (const name of new Set([...Object.keys(old), ...Object.keys(next)])) {
      const inner = [...path, `f:${name}`];
      this.compare(getMember(old, name), getMember(next, name), memberSchema(schema, name), inner);
    }
  }

  #compareLists(
    old: readonly unknown[],
    next: readonly unknown[],
    schema: MaybeSchema,
    path: FieldPath,
  ): void {
    const [before, after] = [itemsOf(old, schema), itemsOf(next, schema)];
    for (const element of new Set([...before.keys(), ...after.keys()])) {
      const [a = [], b = []] = [before.get(element), after.get(element)];
      const inner = [...path, element];
      if (a.length <= 1 && b.length <= 1) this.compare(a[0], b[0], schema?.items, inner);
      else if (!equalJson(a, b)) this.#modified.push(inner);
    }
  }
}

/** What changed from `old` to `next`, field by field. */
export function compareObjects(old: JsonObject, next: JsonObject, schema: Schema): Difference {
  const comparer = new Comparer();
  comparer.compare(old, next, schema, []);
  return comparer.difference();
}

function mergeValues(old: unknown, next: unknown, schema: MaybeSchema, path: FieldPath): unknown {
  if (isObject(next) && isGranularObject(schema)) {
    const base = isObject(old) ? old : {};
    const result = { ...base };
    for (const [name, value] of Object.entries(next)) {
      const member = memberSchema(schema, name);
      setMember(
        result,
        name,
        mergeValues(getMember(base, name), value, member, [...path, `f:${name}`]),
      );
    }
    return result;
  }
  if (Array.isArray(next) && listTypeOf(schema) !== "atomic") {
    return mergeLists(Array.isArray(old) ? old : [], next, schema, path);
  }
  return structuredClone(next);
}

/**
 * Items in the order of `next`. An item of `old` alone stays before the one that it stood before; where there is none it comes
 * before new items.
 */
function mergeLists(
  old: readonly unknown[],
  next: readonly unknown[],
  schema: MaybeSchema,
  path: FieldPath,
): unknown[] {
  const [before, after] = [itemsOf(old, schema), itemsOf(next, schema)];
  checkItems(after, path);
  const elements = elementsOf(old, schema);
  const isShared = (element: PathElement | undefined): boolean =>
    element !== undefined && after.has(element);
  const result: unknown[] = [];
  let position = 0;
  for (const [element, [item]] of after) {
    const place = elements.indexOf(element, position);
    for (; position < elements.length; position++) {
      // A new item goes before the next shared one, a shared one to its own place.
      if (place >= 0 ? position >= place : isShared(elements[position])) break;
      if (!isShared(elements[position])) result.push(old[position]);
    }
    result.push(mergeValues(before.get(element)?.[0], item, schema?.items, [...path, element]));
  }
  const rest = old.slice(position).filter((_, index) => !isShared(elements[position + index]));
  return [...result, ...rest];
}

/**
 * `old` with all that `next` says; changes neither, shares parts with both.
 * @throws {PatchError} when a list of `next` has an item twice or one without its keys
 */
export function mergeObjects(old: JsonObject, next: JsonObject, schema: Schema): JsonObject {
  const merged = mergeValues(old, next, schema, []);
  return isObject(merged) ? merged : {};
}

interface Removal {
  readonly fields: FieldSet;
  /** Objects and lists that stay when nothing is left in them. */
  readonly kept: FieldSet;
}

function removeFrom(
  value: unknown,
  removal: Removal,
  schema: MaybeSchema,
  path: FieldPath,
): unknown {
  if (isEmpty(value)) return value;
  if (isObject(value) && isGranularObject(schema)) {
    const result: JsonObject = {};
    for (const [name, member] of Object.entries(value)) {
      const inner = [...path, `f:${name}`];
      if (removal.fields.has(inner)) continue;
      const rest = removeFrom(member, removal, memberSchema(schema, name), inner);
      if (rest !== undefined) setMember(result, name, rest);
    }
    return isEmpty(result) && !removal.kept.has(path) ? undefined : result;
  }
  if (Array.isArray(value) && listTypeOf(schema) !== "atomic") {
    const rest = value.flatMap((item: unknown, index) => {
      const inner = [...path, elementOf(item, index, schema)];
      if (removal.fields.has(inner)) return [];
      const part = removeFrom(item, removal, schema?.items, inner);
      return part === undefined ? [] : [part];
    });
    return isEmpty(rest) && !removal.kept.has(path) ? undefined : rest;
  }
  return value;
}

/** The object without the fields, all that is in them, and what held nothing else. */
export function removeFields(object: JsonObject, removal: Removal, schema: Schema): JsonObject {
  const result = removeFrom(object, removal, schema, []);
  return isObject(result) ? result : {};
}

/** The set with every structure that contains a field of it. */
export function withStructures(fields: FieldSet, schema: Schema): FieldSet {
  const paths: FieldPath[] = [];
  for (const path of fields.paths()) {
    paths.push(path);
    let current: MaybeSchema = schema;
    for (const [index, element] of path.entries()) {
      const name = element.slice(2);
      const isMember = element.startsWith("f:");
      if (isMember && isNamed(current, name)) paths.push(path.slice(0, index + 1));
      current = isMember ? memberSchema(current, name) : current?.items;
    }
  }
  return new FieldSet(paths);
}
