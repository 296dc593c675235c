// metadata.managedFields: who owns which fields of an object, and since when.
import { parseFieldsV1, renderFieldsV1, type FieldPath, type FieldSet } from "./field-set.ts";
import { isObject } from "./json.ts";

/** One manager's fields. */
export interface ManagerEntry {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string;
  /** RFC 3339; empty when unknown. */
  readonly time: string;
  readonly fields: FieldSet;
}

type Identity = Pick<ManagerEntry, "manager" | "operation" | "apiVersion" | "subresource">;

/** Entries that are one manager's: a manager that applies is the same whatever version it applies. */
export function managerKey({ manager, operation, apiVersion, subresource }: Identity): string {
  return JSON.stringify([operation, manager, operation === "Apply" ? "" : apiVersion, subresource]);
}

export type Managers = ReadonlyMap<string, ManagerEntry>;

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function parseEntry(value: unknown): ManagerEntry | undefined {
  if (!isObject(value)) return undefined;
  const operation = value["operation"];
  const fields = parseFieldsV1(value["fieldsV1"] ?? {});
  if ((operation !== "Apply" && operation !== "Update") || fields === undefined) return undefined;
  const [manager, apiVersion, subresource, time] = [
    value["manager"],
    value["apiVersion"],
    value["subresource"],
    value["time"],
  ].map(textOf);
  return {
    manager: manager ?? "",
    operation,
    apiVersion: apiVersion ?? "",
    subresource: subresource ?? "",
    time: time ?? "",
    fields,
  };
}

/** `undefined` when the list is absent or an entry is malformed. */
export function parseManagers(list: unknown): Managers | undefined {
  if (!Array.isArray(list)) return undefined;
  // A list of one empty entry is how a client gives up all ownership.
  const given = list.filter((entry) => !isObject(entry) || Object.keys(entry).length > 0);
  const entries = given.map(parseEntry).filter((entry) => entry !== undefined);
  if (entries.length < given.length) return undefined;
  return new Map(entries.map((entry) => [managerKey(entry), entry]));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** The list as it is stored: managers that apply first, then by time and name; managers of nothing are left out. */
export function renderManagers(managers: Managers): unknown[] {
  const entries = [...managers.values()].filter(({ fields }) => fields.size > 0);
  const sorted = entries.toSorted(
    (a, b) =>
      compareText(a.operation, b.operation) ||
      compareText(a.time, b.time) ||
      compareText(a.manager, b.manager) ||
      compareText(a.subresource, b.subresource),
  );
  return sorted.map(({ manager, operation, apiVersion, subresource, time, fields }) => ({
    manager,
    operation,
    apiVersion,
    ...(time !== "" && { time }),
    fieldsType: "FieldsV1",
    fieldsV1: renderFieldsV1(fields),
    ...(subresource !== "" && { subresource }),
  }));
}

/** Fields that nobody owns: identity, and what the server writes. */
const unowned: ReadonlySet<string> = new Set(
  [
    ["f:apiVersion"],
    ["f:kind"],
    ["f:metadata"],
    ...[
      "name",
      "namespace",
      "creationTimestamp",
      "deletionTimestamp",
      "deletionGracePeriodSeconds",
      "selfLink",
      "uid",
      "generation",
      "resourceVersion",
    ].map((name) => ["f:metadata", `f:${name}`]),
  ].map((path) => JSON.stringify(path)),
);

/**
 * The fields of the set that a writer of the subresource (empty for the object itself) can own: of `status` only the status,
 * of the object all but the status, if that is a subresource.
 */
export function ownableFields(fields: FieldSet, subresource: string, hasStatus: boolean): FieldSet {
  return fields.filter((path: FieldPath) => {
    if (path.length === 0 || unowned.has(JSON.stringify(path))) return false;
    if (path[0] === "f:metadata" && path[1] === "f:managedFields") return false;
    if (!hasStatus) return true;
    return subresource === "status" ? path[0] === "f:status" : path[0] !== "f:status";
  });
}
