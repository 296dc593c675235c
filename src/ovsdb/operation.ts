// Operations of a transaction and their results: RFC 7047 section 5.2 and, for the reply as a whole, section 4.1.3.
import {
  type Json,
  type Row,
  type Value,
  decodeAtom,
  decodeRow,
  encodeRow,
  encodeValue,
  malformed,
  objectOf,
  showJson,
} from "./value.ts";

type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "includes" | "excludes";
/** `["name", "==", "br0"]`; the column `_uuid` is every row's own. */
export type Condition = readonly [column: string, comparison: Comparison, value: Value];

type Mutator = "+=" | "-=" | "*=" | "/=" | "%=" | "insert" | "delete";
export type Mutation = readonly [column: string, mutator: Mutator, value: Value];

export interface Insert {
  readonly op: "insert";
  readonly table: string;
  readonly row: Row;
  /** Refers to the row from the same transaction, as `{namedUuid}`. */
  readonly uuidName?: string;
}

interface Select {
  readonly op: "select";
  readonly table: string;
  /** All must hold; an empty list selects every row. */
  readonly where: readonly Condition[];
  readonly columns?: readonly string[];
}

interface Update {
  readonly op: "update";
  readonly table: string;
  readonly where: readonly Condition[];
  readonly row: Row;
}

interface Mutate {
  readonly op: "mutate";
  readonly table: string;
  readonly where: readonly Condition[];
  readonly mutations: readonly Mutation[];
}

interface Delete {
  readonly op: "delete";
  readonly table: string;
  readonly where: readonly Condition[];
}

/** Lets the transaction go on only when the rows are, or are not, these; with `timeoutMs` 0 it fails at once. */
interface Wait {
  readonly op: "wait";
  readonly table: string;
  readonly where: readonly Condition[];
  readonly columns: readonly string[];
  readonly until: "==" | "!=";
  readonly rows: readonly Row[];
  readonly timeoutMs?: number;
}

export type Operation =
  | Insert
  | Select
  | Update
  | Mutate
  | Delete
  | Wait
  | { readonly op: "commit"; readonly durable: boolean }
  | { readonly op: "abort" }
  | { readonly op: "comment"; readonly comment: string }
  | { readonly op: "assert"; readonly lock: string };

function encodeTriples(triples: readonly (Condition | Mutation)[]): Json {
  return triples.map(([column, what, value]) => [column, what, encodeValue(value)]);
}

export function encodeOperation(operation: Operation): Json {
  const { op } = operation;
  switch (operation.op) {
    case "insert": {
      const { table, row, uuidName } = operation;
      return { op, table, row: encodeRow(row), ...(uuidName && { "uuid-name": uuidName }) };
    }
    case "select": {
      const { table, where, columns } = operation;
      return { op, table, where: encodeTriples(where), ...(columns && { columns }) };
    }
    case "update": {
      const { table, where, row } = operation;
      return { op, table, where: encodeTriples(where), row: encodeRow(row) };
    }
    case "mutate": {
      const { table, where, mutations } = operation;
      return { op, table, where: encodeTriples(where), mutations: encodeTriples(mutations) };
    }
    case "delete":
      return { op, table: operation.table, where: encodeTriples(operation.where) };
    case "wait": {
      const { table, where, columns, until, timeoutMs: timeout } = operation;
      const rows = operation.rows.map(encodeRow);
      const head = { op, table, where: encodeTriples(where), columns, until, rows };
      return timeout === undefined ? head : { ...head, timeout };
    }
    case "commit":
    case "abort":
    case "comment":
    case "assert":
      return { ...operation };
  }
}

/** Which fields are there depends on the operation. */
export interface OperationResult {
  /** Of the row that an insert made. */
  readonly uuid?: string;
  /** Rows that an update, mutate or delete touched. */
  readonly count?: number;
  /** Rows that a select found. */
  readonly rows?: readonly Row[];
}

/** Why a transaction had no effect. */
export interface Refusal {
  /** RFC 7047 section 3.1 `<error>`, e.g. `constraint violation`. */
  readonly error: string;
  readonly details: string;
  /** Index of the operation that failed; `undefined` when the commit did. */
  readonly operation: number | undefined;
}

export type TransactResult =
  | { readonly kind: "committed"; readonly results: readonly OperationResult[] }
  | { readonly kind: "refused"; readonly refusal: Refusal };

function decodeResult(json: unknown): OperationResult {
  const { uuid, count, rows } = objectOf(json, "an operation's result");
  const result: { -readonly [K in keyof OperationResult]: OperationResult[K] } = {};
  if (uuid !== undefined) {
    const atom = decodeAtom(uuid);
    if (typeof atom !== "object" || !("uuid" in atom)) throw malformed("a UUID", uuid);
    result.uuid = atom.uuid;
  }
  if (count !== undefined) {
    if (typeof count !== "number") throw malformed("a count of rows", count);
    result.count = count;
  }
  if (rows !== undefined) {
    if (!Array.isArray(rows)) throw malformed("a list of rows", rows);
    result.rows = rows.map(decodeRow);
  }
  return result;
}

function text(json: unknown): string {
  return typeof json === "string" ? json : showJson(json);
}

/**
 * Reads a `transact` reply to `length` operations. A failed operation is followed by nulls; one more element than
 * operations tells why the commit failed.
 * @throws {DecodeError}
 */
export function decodeTransactReply(json: unknown, length: number): TransactResult {
  if (!Array.isArray(json) || json.length < length || json.length > length + 1) {
    throw malformed(`${length} operation results`, json);
  }
  const results: OperationResult[] = [];
  const elements: readonly unknown[] = json;
  for (const [index, element] of elements.entries()) {
    if (element === null && index >= length) break;
    const { error, details } = objectOf(element, "an operation's result");
    if (error !== undefined) {
      const operation = index < length ? index : undefined;
      const refusal = { error: text(error), details: text(details ?? ""), operation };
      return { kind: "refused", refusal };
    }
    if (index < length) results.push(decodeResult(element));
  }
  return { kind: "committed", results };
}

/** `operation 2 (insert into Port): constraint violation: …` */
export function describeRefusal(refusal: Refusal, operations: readonly Operation[]): string {
  const reason = refusal.details ? `${refusal.error}: ${refusal.details}` : refusal.error;
  if (refusal.operation === undefined) return `commit: ${reason}`;
  const operation = operations[refusal.operation];
  const table = operation !== undefined && "table" in operation ? ` ${operation.table}` : "";
  const where =
    operation !== undefined && "where" in operation && operation.where.length > 0
      ? ` where ${showJson(encodeTriples(operation.where))}`
      : "";
  return `operation ${refusal.operation} (${operation?.op}${table}${where}): ${reason}`;
}
