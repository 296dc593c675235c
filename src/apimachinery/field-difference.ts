// Which fields an object has, and in which two objects differ.
import {
  isEmpty,
  isGranularObject,
  isNamed,
  elementOf,
  itemsOf,
  listTypeOf,
  type MaybeSchema,
} from "./field-element.ts";
import { FieldSet, type FieldPath } from "./field-set.ts";
import { equalJson, getMember, isObject, type JsonObject } from "./json.ts";
import { memberSchema, type Schema } from "./schema.ts";

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
