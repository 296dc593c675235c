// A copy of monitored tables, kept by monitor_cond_since: ovsdb-server(7), sections 4.1.12 to 4.1.15.
import {
  type DatabaseSchema,
  type TableSchema,
  applyDifference,
  decodeRowAs,
  defaultValue,
} from "./schema.ts";
import type { Condition } from "./operation.ts";
import { type Json, type Row, type Value, encodeValue, malformed, objectOf } from "./value.ts";

interface MonitoredTable {
  readonly columns: readonly string[];
  /** Rows for which any holds; absent means all. */
  readonly where?: readonly Condition[];
}

export type MonitorRequest = Readonly<Record<string, MonitoredTable>>;

export function encodeMonitorRequest(request: MonitorRequest): Json {
  return Object.fromEntries(
    Object.entries(request).map(([table, { columns, where }]) => {
      const conditions = where?.map(([column, what, value]) => [column, what, encodeValue(value)]);
      return [table, [{ columns, ...(conditions && { where: conditions }) }]];
    }),
  );
}

/** `before` is absent for a new row, `after` for one that is gone. */
export interface RowChange {
  readonly table: string;
  readonly uuid: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

type Rows = Map<string, Row>;

/**
 * Rows of the monitored tables by UUID. Columns have the form that `normalizeValue` gives, and columns at their default
 * are filled in. A row object is never changed: a new one takes its place.
 */
export class RowCache {
  readonly #schemas = new Map<string, TableSchema>();
  readonly #defaults = new Map<string, Row>();
  readonly #tables = new Map<string, Rows>();

  /** @throws {DecodeError} when the schema lacks a table or column of the request. */
  constructor(schema: DatabaseSchema, request: MonitorRequest) {
    for (const [table, { columns }] of Object.entries(request)) {
      const tableSchema = schema.tables.get(table);
      if (tableSchema === undefined)
        throw malformed(`table ${table} in ${schema.name}`, [...schema.tables.keys()]);
      const defaults: Record<string, Value> = {};
      for (const column of columns) {
        const type = tableSchema.columns.get(column);
        if (type === undefined)
          throw malformed(`column ${table}.${column}`, [...tableSchema.columns.keys()]);
        defaults[column] = defaultValue(type);
      }
      this.#schemas.set(table, tableSchema);
      this.#defaults.set(table, defaults);
      this.#tables.set(table, new Map());
    }
  }

  /** The table's rows by UUID; empty for a table that is not monitored. */
  rows(table: string): ReadonlyMap<string, Row> {
    return this.#tables.get(table) ?? new Map<string, Row>();
  }

  /** Takes a `<table-updates2>` in. @returns what changed. @throws {DecodeError} */
  apply(json: unknown): RowChange[] {
    const changes: RowChange[] = [];
    for (const [table, updates] of Object.entries(objectOf(json, "table updates"))) {
      const rows = this.#tables.get(table);
      if (rows === undefined) throw malformed("updates of monitored tables", table);
      for (const [uuid, update] of Object.entries(objectOf(updates, "row updates"))) {
        const before = rows.get(uuid);
        const after = this.#updatedRow(table, before, objectOf(update, "a row update"));
        if (after === undefined) rows.delete(uuid);
        else rows.set(uuid, after);
        changes.push({ table, uuid, before, after });
      }
    }
    return changes;
  }

  /** Takes the tables' whole contents in, as an `initial` update has them. @returns what differs from before. */
  replace(json: unknown): RowChange[] {
    const old = new Map(this.#tables);
    for (const table of old.keys()) this.#tables.set(table, new Map());
    this.apply(json);
    return [...old].flatMap(([table, rows]) => differences(table, rows, this.rows(table)));
  }

  #updatedRow(
    table: string,
    before: Row | undefined,
    update: Readonly<Record<string, unknown>>,
  ): Row | undefined {
    const schema = this.#schemas.get(table)!;
    if ("delete" in update) return undefined;
    const whole = update["initial"] ?? update["insert"];
    if (whole !== undefined) return { ...this.#defaults.get(table), ...decodeRowAs(schema, whole) };
    if (before === undefined) throw malformed(`a known row of ${table}`, update);
    const after: Record<string, Value> = { ...before };
    for (const [column, value] of Object.entries(decodeRowAs(schema, update["modify"]))) {
      after[column] = applyDifference(schema.columns.get(column)!, before[column] ?? [], value);
    }
    return after;
  }
}

function sameRow(a: Row, b: Row): boolean {
  return sameText(a) === sameText(b);
}

/** Sets and maps have no order: their members are sorted. */
function sameText(row: Row): string {
  const columns = Object.keys(row).toSorted();
  return JSON.stringify(
    columns.map((column) => {
      const json = encodeValue(row[column]!);
      if (!Array.isArray(json) || !Array.isArray(json[1])) return json;
      return json[1].map((member) => JSON.stringify(member)).toSorted();
    }),
  );
}

function differences(table: string, old: Rows, current: ReadonlyMap<string, Row>): RowChange[] {
  const changes: RowChange[] = [];
  for (const [uuid, before] of old) {
    const after = current.get(uuid);
    if (after === undefined || !sameRow(before, after))
      changes.push({ table, uuid, before, after });
  }
  for (const [uuid, after] of current) {
    if (!old.has(uuid)) changes.push({ table, uuid, before: undefined, after });
  }
  return changes;
}
