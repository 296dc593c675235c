// One object merged into another field by field, and fields taken out of an object.
import { PatchError } from "./errors.ts";
import {
  elementOf,
  elementsOf,
  isEmpty,
  isGranularObject,
  itemsOf,
  listTypeOf,
  type MaybeSchema,
} from "./field-element.ts";
import { formatFieldPath, type FieldPath, type FieldSet, type PathElement } from "./field-set.ts";
import { getMember, isObject, setMember, type JsonObject } from "./json.ts";
import { memberSchema, type Schema } from "./schema.ts";

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
