// Database schemas: RFC 7047 section 3.2. Constraints other than type and number of elements are the server's to check.
import {
  type Atom,
  type Row,
  type Value,
  atomKey,
  atomsOf,
  decodeValue,
  encodeValue,
  isMap,
  malformed,
  objectOf,
} from "./value.ts";

type AtomType = "integer" | "real" | "boolean" | "string" | "uuid";

export interface ColumnType {
  readonly key: AtomType;
  /** Present for maps. */
  readonly value: AtomType | undefined;
  /** Fewest and most elements; `max` may be infinite. */
  readonly min: number;
  readonly max: number;
}

export interface TableSchema {
  readonly columns: ReadonlyMap<string, ColumnType>;
}

export interface DatabaseSchema {
  readonly name: string;
  readonly version: string;
  readonly tables: ReadonlyMap<string, TableSchema>;
}

const atomTypes: readonly AtomType[] = ["integer", "real", "boolean", "string", "uuid"];

/** Both `"string"` and `{"type": "string", …}` are base types. */
function parseBaseType(json: unknown): AtomType {
  const name = typeof json === "string" ? json : objectOf(json, "a base type")["type"];
  const found = atomTypes.find((type) => type === name);
  if (found !== undefined) return found;
  throw malformed(`a base type (${atomTypes.join(", ")})`, json);
}

function parseCount(json: unknown, fallback: number): number {
  if (json === undefined) return fallback;
  if (json === "unlimited") return Infinity;
  if (typeof json === "number" && Number.isInteger(json) && json >= 0) return json;
  throw malformed('a number of elements or "unlimited"', json);
}

function parseColumnType(json: unknown): ColumnType {
  if (typeof json === "string")
    return { key: parseBaseType(json), value: undefined, min: 1, max: 1 };
  const type = objectOf(json, "a column type");
  return {
    key: parseBaseType(type["key"]),
    value: type["value"] === undefined ? undefined : parseBaseType(type["value"]),
    min: parseCount(type["min"], 1),
    max: parseCount(type["max"], 1),
  };
}

function parseTable(json: unknown): TableSchema {
  const columns = objectOf(objectOf(json, "a table schema")["columns"], "a table's columns");
  return {
    columns: new Map(
      Object.entries(columns).map(([name, column]) => [
        name,
        parseColumnType(objectOf(column, "a column schema")["type"]),
      ]),
    ),
  };
}

/** @throws {DecodeError} */
export function parseSchema(json: unknown): DatabaseSchema {
  const { name, version, tables } = objectOf(json, "a database schema");
  if (typeof name !== "string") throw malformed("a database name", name);
  if (typeof version !== "string") throw malformed("a schema version", version);
  const parsed = Object.entries(objectOf(tables, "a schema's tables")).map(
    ([table, schema]) => [table, parseTable(schema)] as const,
  );
  return { name, version, tables: new Map(parsed) };
}

const nullUuid = "00000000-0000-0000-0000-000000000000";
const defaultAtoms: Readonly<Record<AtomType, Atom>> = {
  integer: 0,
  real: 0,
  boolean: false,
  string: "",
  uuid: { uuid: nullUuid },
};

/** The value of a column that an insert does not name: RFC 7047 section 5.2.1. */
export function defaultValue(type: ColumnType): Value {
  const atom = defaultAtoms[type.key];
  if (type.value !== undefined) {
    return type.min === 0 ? new Map() : new Map([[atom, defaultAtoms[type.value]]]);
  }
  if (type.min === 0) return [];
  return type.max === 1 ? atom : [atom];
}

/**
 * One form per column type, so that equal values look equal: an atom where exactly one is allowed, a map for a map,
 * else an array.
 * @throws {DecodeError} when the value cannot be one of the type.
 */
export function normalizeValue(type: ColumnType, value: Value): Value {
  if (isMap(value)) {
    if (type.value !== undefined) return value;
  } else if (type.value === undefined) {
    const atoms = atomsOf(value);
    if (type.min !== 1 || type.max !== 1) return atoms;
    if (atoms[0] !== undefined && atoms.length === 1) return atoms[0];
  }
  throw malformed(
    `a ${type.value === undefined ? "set" : "map"} of ${type.key}`,
    encodeValue(value),
  );
}

function diffSet(before: readonly Atom[], difference: readonly Atom[]): Atom[] {
  const members = new Map(before.map((atom) => [atomKey(atom), atom]));
  for (const atom of difference) {
    const key = atomKey(atom);
    if (!members.delete(key)) members.set(key, atom);
  }
  return [...members.values()];
}

/** A pair that is there goes, a key with another value gets the new one, a new key comes. */
function diffMap(
  before: ReadonlyMap<Atom, Atom>,
  difference: ReadonlyMap<Atom, Atom>,
): Map<Atom, Atom> {
  const members = new Map([...before].map(([key, value]) => [atomKey(key), [key, value] as const]));
  for (const [key, value] of difference) {
    const name = atomKey(key);
    const old = members.get(name);
    if (old !== undefined && atomKey(old[1]) === atomKey(value)) members.delete(name);
    else members.set(name, [old?.[0] ?? key, value]);
  }
  return new Map(members.values());
}

/** `before` with the difference that a `modify` of monitor_cond carries: ovsdb-server(7), "Update2 notification". */
export function applyDifference(type: ColumnType, before: Value, difference: Value): Value {
  const change = normalizeValue(type, difference);
  if (type.max <= 1) return change;
  if (isMap(before) && isMap(change)) return diffMap(before, change);
  return diffSet(atomsOf(before), atomsOf(change));
}

/** Columns that the table does not have are left out. @throws {DecodeError} */
export function decodeRowAs(table: TableSchema, json: unknown): Row {
  const row: Record<string, Value> = {};
  for (const [column, value] of Object.entries(objectOf(json, "an OVSDB row"))) {
    const type = table.columns.get(column);
    if (type !== undefined) row[column] = normalizeValue(type, decodeValue(value));
  }
  return row;
}
