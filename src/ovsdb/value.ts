// OVSDB values: RFC 7047 section 5.1 and their JSON in section 3.2 (types) and 5.1 (notation).
import { DecodeError } from "../wire/errors.ts";

/** A row by its UUID, or a row that an insert of the same transaction makes, by the insert's `uuidName`. */
type RowReference = { readonly uuid: string } | { readonly namedUuid: string };

/** Integers beyond 2^53 lose their low digits: JSON numbers are read as doubles. */
export type Atom = string | number | boolean | RowReference;

export type AtomMap = ReadonlyMap<Atom, Atom>;

/** An atom stands for a set of one; an array is a set. */
export type Value = Atom | readonly Atom[] | AtomMap;

export type Row = Readonly<Record<string, Value>>;

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** Equal for equal atoms and different for different ones, so that it can be a key where a reference cannot. */
export function atomKey(atom: Atom): string {
  if (typeof atom !== "object") return `${typeof atom}:${String(atom)}`;
  return "uuid" in atom ? `uuid:${atom.uuid}` : `named:${atom.namedUuid}`;
}

function encodeAtom(atom: Atom): Json {
  if (typeof atom !== "object") return atom;
  return "uuid" in atom ? ["uuid", atom.uuid] : ["named-uuid", atom.namedUuid];
}

export function isMap(value: Value | undefined): value is AtomMap {
  return value instanceof Map;
}

export function isSet(value: Value | undefined): value is readonly Atom[] {
  return Array.isArray(value);
}

export function encodeValue(value: Value): Json {
  if (isMap(value)) {
    return ["map", [...value].map(([key, of]) => [encodeAtom(key), encodeAtom(of)])];
  }
  return isSet(value) ? ["set", value.map(encodeAtom)] : encodeAtom(value);
}

export function encodeRow(row: Row): Json {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, encodeValue(value)]),
  );
}

/** The parsed JSON as text for a message, cut short. */
export function showJson(json: unknown): string {
  const text = JSON.stringify(json) ?? String(json);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

export function malformed(expected: string, json: unknown): DecodeError {
  return new DecodeError("malformed", `expected ${expected}, got ${showJson(json)}`);
}

/** @throws {DecodeError} */
export function decodeAtom(json: unknown): Atom {
  if (typeof json === "string" || typeof json === "number" || typeof json === "boolean")
    return json;
  const [tag, name, ...rest]: unknown[] = Array.isArray(json) ? json : [];
  if (typeof name === "string" && rest.length === 0) {
    if (tag === "uuid" && isUuid(name)) return { uuid: name };
    if (tag === "named-uuid") return { namedUuid: name };
  }
  throw malformed("an OVSDB atom", json);
}

function decodePairs(json: readonly unknown[]): AtomMap {
  const map = new Map<Atom, Atom>();
  for (const pair of json) {
    if (!Array.isArray(pair) || pair.length !== 2) throw malformed("an OVSDB pair", pair);
    map.set(decodeAtom(pair[0]), decodeAtom(pair[1]));
  }
  return map;
}

/** @throws {DecodeError} */
export function decodeValue(json: unknown): Value {
  if (Array.isArray(json) && json.length === 2 && Array.isArray(json[1])) {
    if (json[0] === "set") return json[1].map(decodeAtom);
    if (json[0] === "map") return decodePairs(json[1]);
  }
  return decodeAtom(json);
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(json: unknown): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** @throws {DecodeError} unless `json` is an object; `what` names it in the message. */
export function objectOf(json: unknown, what: string): JsonObject {
  if (!isJsonObject(json)) throw malformed(what, json);
  return json;
}

/** @throws {DecodeError} */
export function decodeRow(json: unknown): Row {
  const columns = Object.entries(objectOf(json, "an OVSDB row"));
  return Object.fromEntries(columns.map(([column, value]) => [column, decodeValue(value)]));
}

/** The members of a set column; a map gives its values. */
export function atomsOf(value: Value | undefined): readonly Atom[] {
  if (value === undefined) return [];
  if (isMap(value)) return [...value.values()];
  return isSet(value) ? value : [value];
}

/** The one string of a column, `undefined` where the set is empty or holds something else. */
export function stringOf(value: Value | undefined): string | undefined {
  const [atom] = atomsOf(value);
  return typeof atom === "string" ? atom : undefined;
}

/** The one number of a column, `undefined` where the set is empty or holds something else. */
export function numberOf(value: Value | undefined): number | undefined {
  const [atom] = atomsOf(value);
  return typeof atom === "number" ? atom : undefined;
}

/** The UUIDs that a column refers to. */
export function uuidsOf(value: Value | undefined): readonly string[] {
  return atomsOf(value).flatMap((atom) =>
    typeof atom === "object" && "uuid" in atom ? [atom.uuid] : [],
  );
}

/** The pairs of strings of a map, as an object. */
export function recordOf(value: Value | undefined): Readonly<Record<string, string>> {
  const record: Record<string, string> = {};
  if (!isMap(value)) return record;
  for (const [key, of] of value) {
    if (typeof key === "string" && typeof of === "string") record[key] = of;
  }
  return record;
}

export function mapOf(record: Readonly<Record<string, string>>): AtomMap {
  return new Map(Object.entries(record));
}
