// Strategic merge patch: a JSON merge patch that merges lists by key where the schema says so (`x-kubernetes-patch-strategy`,
// `x-kubernetes-patch-merge-key`), with directives for what JSON cannot say (k8s.io/apimachinery/pkg/util/strategicpatch):
//
//   $patch: replace | delete | merge      in an object: take the patch as it is, empty the object, or merge as ever
//   $patch: delete | replace              in an item of a list: remove the item of that key, or replace the whole list
//   $retainKeys: [name, …]                keep only these members
//   $deleteFromPrimitiveList/NAME: […]    remove these from the list NAME
//   $setElementOrder/NAME: […]            put the list NAME into this order
import { PatchError } from "./errors.ts";
import {
  equalJson,
  getMember,
  isDeeperThan,
  isObject,
  maximumDepth,
  setMember,
  type JsonObject,
} from "./json.ts";
import { memberSchema, type Schema } from "./schema.ts";

const directive = "$patch";
const retainKeys = "$retainKeys";
const deletePrefix = "$deleteFromPrimitiveList/";
const orderPrefix = "$setElementOrder/";

/**
 * The object with the patch applied. Changes no argument.
 * @throws {PatchError} when the patch is no object, a directive is unknown, or an item of a list lacks its merge key
 */
export function applyStrategicMergePatch(
  target: JsonObject,
  patch: unknown,
  schema: Schema,
): JsonObject {
  if (!isObject(patch)) throw new PatchError("expected a strategic merge patch, an object");
  if (isDeeperThan(patch, maximumDepth)) {
    throw new PatchError(`the patch is nested more than ${maximumDepth} deep`);
  }
  return mergeObject(structuredClone(target), structuredClone(patch), schema);
}

/** Changes `target`. */
function mergeObject(
  target: JsonObject,
  patch: JsonObject,
  schema: Schema | undefined,
): JsonObject {
  switch (patch[directive]) {
    case undefined:
    case "merge":
      break;
    case "replace":
      return withoutDirectives(patch);
    case "delete":
      return {};
    default:
      throw new PatchError(`unknown patch type: ${JSON.stringify(patch[directive])}`);
  }
  retainOnly(target, patch);
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(deletePrefix)) {
      deleteFromList(target, name.slice(deletePrefix.length), listOf(name, value));
    } else if (!name.startsWith("$")) mergeMember(target, name, value, memberSchema(schema, name));
  }
  for (const [name, value] of Object.entries(patch)) {
    if (!name.startsWith(orderPrefix)) continue;
    const list = name.slice(orderPrefix.length);
    const order = listOf(name, value);
    setOrder(target, list, order, memberSchema(schema, list));
  }
  return target;
}

function listOf(name: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new PatchError(`expected a list in ${name}`);
}

function retainOnly(target: JsonObject, patch: JsonObject): void {
  const value = patch[retainKeys];
  if (value === undefined) return;
  const retained = new Set(listOf(retainKeys, value));
  for (const name of Object.keys(patch)) {
    if (name.startsWith("$") || patch[name] === null || retained.has(name)) continue;
    throw new PatchError(`${retainKeys} must name every member of the patch, and lacks ${name}`);
  }
  for (const name of Object.keys(target)) if (!retained.has(name)) delete target[name];
}

function mergeMember(
  target: JsonObject,
  name: string,
  value: unknown,
  schema: Schema | undefined,
): void {
  const old = getMember(target, name);
  if (value === null) delete target[name];
  else setMember(target, name, mergeValue(old, value, schema));
}

function strategiesOf(schema: Schema | undefined): readonly string[] {
  return schema?.["x-kubernetes-patch-strategy"]?.split(",") ?? [];
}

function mergeValue(old: unknown, value: unknown, schema: Schema | undefined): unknown {
  const strategies = strategiesOf(schema);
  if (isObject(old) && isObject(value) && !strategies.includes("replace")) {
    return mergeObject(old, value, schema);
  }
  if (Array.isArray(old) && Array.isArray(value) && strategies.includes("merge")) {
    return mergeList(old, value, schema);
  }
  return takeValue(value);
}

/** A patch's value where there is nothing to merge it with: its directives have nothing left to do. */
function takeValue(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.filter((item) => !isObject(item) || item[directive] === undefined);
    return items.map(takeValue);
  }
  return isObject(value) ? withoutDirectives(value) : value;
}

function withoutDirectives(patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(patch)) {
    if (!name.startsWith("$") && value !== null) setMember(result, name, takeValue(value));
  }
  return result;
}

/** What tells an item of a list from the others: the value of its merge key, or itself. */
function identityOf(item: unknown, mergeKey: string | undefined): string {
  if (mergeKey === undefined || !isObject(item)) return JSON.stringify(item);
  const key = getMember(item, mergeKey);
  if (key === undefined) {
    throw new PatchError(
      `an item of a list lacks its merge key ${mergeKey}: ${JSON.stringify(item)}`,
    );
  }
  return JSON.stringify(key);
}

function mergeList(
  old: readonly unknown[],
  patch: readonly unknown[],
  schema: Schema | undefined,
): unknown[] {
  const mergeKey = schema?.["x-kubernetes-patch-merge-key"];
  const special = patch.filter((item) => isObject(item) && item[directive] !== undefined);
  const plain = patch.filter((item) => !special.includes(item));
  let items = [...old];
  for (const item of special) {
    const type = isObject(item) ? item[directive] : undefined;
    if (type === "replace") return plain.map(takeValue);
    if (type !== "delete") {
      throw new PatchError(`unknown patch type in a list: ${JSON.stringify(type)}`);
    }
    const identity = identityOf(item, mergeKey);
    items = items.filter((other) => identityOf(other, mergeKey) !== identity);
  }
  const taken = new Set<number>();
  for (const item of plain) {
    const index = findMatch(items, item, taken, schema);
    const known = items[index];
    const merge = isObject(known) && isObject(item);
    const merged = merge ? mergeObject(known, item, schema?.items) : takeValue(item);
    if (index < 0) items.push(merged);
    else items[index] = merged;
    taken.add(index < 0 ? items.length - 1 : index);
  }
  return orderItems(items, plain, old, mergeKey);
}

/**
 * Where the item stands that a patch's item is merged into; -1 for nowhere. Merge keys are not always unique (a Service may
 * have port 53 for TCP and UDP): of several the one with the same list-map keys is meant, and each is used once.
 */
function findMatch(
  items: readonly unknown[],
  item: unknown,
  taken: ReadonlySet<number>,
  schema: Schema | undefined,
): number {
  const mergeKey = schema?.["x-kubernetes-patch-merge-key"];
  const mapKeys = schema?.["x-kubernetes-list-map-keys"] ?? [];
  const identity = identityOf(item, mergeKey);
  const candidates = [...items.keys()].filter(
    (index) => !taken.has(index) && identityOf(items[index], mergeKey) === identity,
  );
  const exact = candidates.find((index) => {
    const other = items[index];
    return (
      isObject(item) && isObject(other) && mapKeys.every((key) => equalJson(item[key], other[key]))
    );
  });
  return exact ?? candidates[0] ?? -1;
}

function deleteFromList(target: JsonObject, name: string, values: readonly unknown[]): void {
  const list = getMember(target, name);
  if (!Array.isArray(list)) return;
  const kept = list.filter((item) => !values.some((value) => equalJson(item, value)));
  setMember(target, name, kept);
}

function setOrder(
  target: JsonObject,
  name: string,
  order: readonly unknown[],
  schema: Schema | undefined,
): void {
  const list = getMember(target, name);
  if (!Array.isArray(list)) return;
  setMember(target, name, orderItems(list, order, list, schema?.["x-kubernetes-patch-merge-key"]));
}

/**
 * Puts the items that the patch names into the patch's order, and the others between them where they stood: an item that the
 * patch does not name comes before a named one if it did so before. New items come first, as upstream has it.
 */
function orderItems(
  items: readonly unknown[],
  patchOrder: readonly unknown[],
  serverOrder: readonly unknown[],
  mergeKey: string | undefined,
): unknown[] {
  const identify = (item: unknown): string => identityOf(item, mergeKey);
  const inPatch = new Map(patchOrder.map((item, index) => [identify(item), index]));
  const onServer = new Map(serverOrder.map((item, index) => [identify(item), index]));
  const placed = items.map((item) => ({
    item,
    patchPlace: inPatch.get(identify(item)),
    serverPlace: onServer.get(identify(item)) ?? -1,
  }));
  const named = placed
    .filter(({ patchPlace }) => patchPlace !== undefined)
    .toSorted((a, b) => (a.patchPlace ?? 0) - (b.patchPlace ?? 0));
  const others = placed.filter(({ patchPlace }) => patchPlace === undefined);
  const result: unknown[] = [];
  let next = 0;
  for (const { item, serverPlace } of named) {
    for (; next < others.length; next++) {
      const other = others[next];
      if (other === undefined || other.serverPlace >= serverPlace) break;
      result.push(other.item);
    }
    result.push(item);
  }
  return [...result, ...others.slice(next).map(({ item }) => item)];
}
