// Server-side apply: every field of an object has owners, and applying another's field is a conflict
// (sigs.k8s.io/structured-merge-diff/merge).
import { PatchError } from "./errors.ts";
import { quote } from "./field-error.ts";
import { FieldSet, formatFieldPath, type FieldPath } from "./field-set.ts";
import { compareObjects, fieldSetOf, withStructures } from "./field-difference.ts";
import { mergeObjects, removeFields } from "./field-merge.ts";
import { isDeeperThan, isObject, maximumDepth, type JsonObject } from "./json.ts";
import type { KindDefinition, KubeObject } from "./kind.ts";
import {
  managerKey,
  ownableFields,
  parseManagers,
  renderManagers,
  type ManagerEntry,
  type Managers,
} from "./managed-fields.ts";
import { apiVersionOf } from "./object.ts";
import { applyConflict, type Status } from "./status.ts";

/** Who writes, from the request: `fieldManager`, the time (RFC 3339, whole seconds) and the subresource if any. */
export interface Writer {
  readonly manager: string;
  readonly time: string;
  readonly subresource?: string;
}

export type ApplyResult =
  | { readonly kind: "applied"; readonly object: KubeObject }
  /** 409 with one cause a field. */
  | { readonly kind: "conflict"; readonly status: Status };

/** Owns what was there before anybody applied, if nobody was recorded. */
const beforeFirstApply = "before-first-apply";

function isKubeObject(object: JsonObject): object is KubeObject {
  return isObject(object["metadata"]);
}

function entryOf(
  kind: KindDefinition,
  writer: Writer,
  operation: ManagerEntry["operation"],
): ManagerEntry {
  const { manager, time, subresource = "" } = writer;
  const apiVersion = apiVersionOf(kind);
  return { manager, operation, apiVersion, subresource, time, fields: new FieldSet() };
}

function withManager(managers: Managers, entry: ManagerEntry): Managers {
  return new Map([...managers, [managerKey(entry), entry]]);
}

/** Takes fields from every manager but the one of `key`. */
function takeFromOthers(managers: Managers, key: string, fields: FieldSet): Managers {
  return new Map(
    [...managers].map(([each, entry]) =>
      each === key ? [each, entry] : [each, { ...entry, fields: entry.fields.difference(fields) }],
    ),
  );
}

/** The time of an entry says when its fields changed last. */
function keepTime(entry: ManagerEntry, old: ManagerEntry | undefined): ManagerEntry {
  return old !== undefined && old.fields.equals(entry.fields)
    ? { ...entry, time: old.time }
    : entry;
}

function withManagers(object: JsonObject, managers: Managers): JsonObject {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const { managedFields: _old, ...rest } = metadata;
  const list = renderManagers(managers);
  return { ...object, metadata: { ...rest, ...(list.length > 0 && { managedFields: list }) } };
}

function managersOf(object: KubeObject | undefined): Managers | undefined {
  return parseManagers(object?.metadata.managedFields);
}

/** The recorded managers of a live object, or one that stands for all that was before. */
function managersBefore(
  kind: KindDefinition,
  live: KubeObject | undefined,
  writer: Writer,
): Managers {
  const recorded = managersOf(live);
  if (live === undefined || (recorded !== undefined && recorded.size > 0))
    return recorded ?? new Map();
  const entry = entryOf(kind, { manager: beforeFirstApply, time: writer.time }, "Update");
  const fields = ownableFields(fieldSetOf(live, kind.schema), "", kind.hasStatus);
  return withManager(new Map(), { ...entry, fields });
}

function describeManager({ manager, subresource, operation, apiVersion }: ManagerEntry): string {
  const part = subresource === "" ? "" : ` with subresource ${quote(subresource)}`;
  const using = operation === "Update" ? ` using ${apiVersion}` : "";
  return `${quote(manager)}${part}${using}`;
}

interface Conflict {
  readonly owner: string;
  readonly path: FieldPath;
}

function renderConflicts(conflicts: readonly Conflict[]): Status {
  const causes = conflicts.map(({ owner, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${owner}`,
    field: formatFieldPath(path),
  }));
  const [first] = causes;
  if (first !== undefined && causes.length === 1) {
    return applyConflict(`Apply failed with 1 conflict: ${first.message}: ${first.field}`, causes);
  }
  const byOwner = [...Map.groupBy(conflicts, ({ owner }) => owner)].toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const lines = byOwner.flatMap(([owner, own]) => [
    `conflicts with ${owner}:`,
    ...own.map(({ path }) => `- ${formatFieldPath(path)}`),
  ]);
  return applyConflict(`Apply failed with ${causes.length} conflicts: ${lines.join("\n")}`, causes);
}

function findConflicts(managers: Managers, key: string, written: FieldSet): Conflict[] {
  const others = [...managers].filter(([each]) => each !== key);
  return others.flatMap(([, entry]) => {
    const owner = describeManager(entry);
    return entry.fields
      .intersection(written)
      .paths()
      .map((path) => ({ owner, path }));
  });
}

/**
 * Whether kubectl, applying on the server for the first time, takes over only what it applied on the client before: that is
 * recorded as another manager, and as an annotation.
 */
function isOwnLastApply(
  kind: KindDefinition,
  live: KubeObject | undefined,
  writer: Writer,
  conflicts: readonly Conflict[],
): boolean {
  const annotation =
    live?.metadata.annotations?.["kubectl.kubernetes.io/last-applied-configuration"];
  if (writer.manager !== "kubectl" || annotation === undefined) return false;
  const last = parseObject(annotation);
  if (last === undefined) return false;
  const fields = fieldSetOf(last, kind.schema);
  return conflicts.every(({ path }) => fields.has(path));
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && !isDeeperThan(value, maximumDepth) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Without what the manager applied last time, does not apply now, and nobody else owns. */
function prune(
  kind: KindDefinition,
  merged: JsonObject,
  last: FieldSet | undefined,
  managers: Managers,
): JsonObject {
  if (last === undefined || last.size === 0) return merged;
  const owned = new FieldSet([...managers.values()].flatMap(({ fields }) => fields.paths()));
  const gone = withStructures(last, kind.schema).difference(withStructures(owned, kind.schema));
  return removeFields(merged, { fields: gone, kept: owned }, kind.schema);
}

/**
 * Applies a configuration (a decoded object without defaults) to the live object, `undefined` when it is to be created. The
 * result still has to be defaulted and validated. With `force` the fields in conflict change owner. Changes no argument.
 * @throws {PatchError} when the configuration has managedFields, or a list item twice or without its keys
 */
export function applyConfiguration(
  kind: KindDefinition,
  live: KubeObject | undefined,
  configuration: KubeObject,
  options: Writer & { readonly force: boolean },
): ApplyResult {
  if (configuration.metadata.managedFields !== undefined) {
    throw new PatchError("metadata.managedFields must be nil");
  }
  const { schema, hasStatus } = kind;
  const before = managersBefore(kind, live, options);
  const entry = entryOf(kind, options, "Apply");
  const key = managerKey(entry);
  const fields = ownableFields(fieldSetOf(configuration, schema), entry.subresource, hasStatus);
  const old = before.get(key);
  const claimed = withManager(before, keepTime({ ...entry, fields }, old));
  const base: JsonObject = live ?? {};
  const next = prune(kind, mergeObjects(base, configuration, schema), old?.fields, claimed);
  const { added, modified, removed } = compareObjects(base, next, schema);
  const written = added.union(modified);
  const conflicts = findConflicts(claimed, key, written);
  const mayTake = options.force || isOwnLastApply(kind, live, options, conflicts);
  if (conflicts.length > 0 && !mayTake) {
    return { kind: "conflict", status: renderConflicts(conflicts) };
  }
  const managers = takeFromOthers(claimed, key, written.union(removed));
  const object = withManagers(next, managers);
  if (!isKubeObject(object)) throw new PatchError("metadata is missing");
  return { kind: "applied", object };
}

/**
 * Records in `next.metadata.managedFields` what a create, update or patch by `writer` changed since `old`. A list that the
 * client sent itself is the base if it is well formed; so clients may hand fields over. Changes `next`.
 */
export function recordUpdate(
  kind: KindDefinition,
  old: KubeObject | undefined,
  next: KubeObject,
  writer: Writer,
): void {
  const before = managersOf(next) ?? managersOf(old) ?? new Map<string, ManagerEntry>();
  const { added, modified, removed } = compareObjects(old ?? {}, next, kind.schema);
  const written = added.union(modified);
  const entry = entryOf(kind, writer, "Update");
  const key = managerKey(entry);
  const own = before.get(key);
  const mine = ownableFields(written, entry.subresource, kind.hasStatus);
  const fields = (own?.fields ?? new FieldSet()).difference(removed).union(mine);
  const rest = takeFromOthers(before, key, written.union(removed));
  const list = renderManagers(withManager(rest, keepTime({ ...entry, fields }, own)));
  if (list.length > 0) next.metadata.managedFields = list;
  else delete next.metadata.managedFields;
}
