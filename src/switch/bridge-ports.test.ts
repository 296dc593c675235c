import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RowChange } from "../ovsdb/row-cache.ts";
import type { Row } from "../ovsdb/value.ts";
import { BridgePorts } from "./bridge-ports.ts";

/** Rows as a database would have them after each transaction. */
class Tables {
  readonly #tables = new Map<string, Map<string, Row>>();

  rows(table: string): Map<string, Row> {
    const rows = this.#tables.get(table) ?? new Map<string, Row>();
    this.#tables.set(table, rows);
    return rows;
  }

  set(table: string, uuid: string, after: Row | undefined): RowChange {
    const before = this.rows(table).get(uuid);
    if (after === undefined) this.rows(table).delete(uuid);
    else this.rows(table).set(uuid, after);
    return { table, uuid, before, after };
  }
}

const uuid = fc.constantFrom("1", "2", "3", "4");
const change = fc.oneof(
  fc.record({
    table: fc.constant("Bridge"),
    uuid: fc.constantFrom("b", "c"),
    ports: fc.option(fc.subarray(["1", "2", "3", "4"]), { nil: undefined }),
  }),
  fc.record({
    table: fc.constant("Port"),
    uuid,
    // No two ports have an interface in common.
    interfaces: fc.option(fc.constantFrom("", "x"), { nil: undefined }),
  }),
  fc.record({
    table: fc.constant("Interface"),
    uuid: fc.tuple(uuid, fc.constantFrom("", "x")).map((parts) => parts.join("")),
    ofport: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  }),
);
type Change = typeof change extends fc.Arbitrary<infer Of> ? Of : never;

function rowOf(one: Change): Row | undefined {
  const uuids = (values: readonly string[]): Row[string] =>
    values.map((value) => ({ uuid: value }));
  if ("ports" in one) {
    const name = one.uuid === "b" ? "br-int" : "br-ext";
    return one.ports && { name, ports: uuids(one.ports) };
  }
  if ("interfaces" in one)
    return one.interfaces === undefined
      ? undefined
      : { interfaces: uuids([one.uuid + one.interfaces]) };
  if ("ofport" in one && one.ofport !== undefined)
    return { name: `p${one.uuid}`, ofport: one.ofport };
  return undefined;
}

test("ports followed change by change are those that the rows have, and what changed is told", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { maxLength: 20 }),
      (transactions) => {
        const tables = new Tables();
        const ports = new BridgePorts("br-int", tables);
        const told = new Map(ports.all);
        for (const transaction of transactions) {
          const changed = ports.apply(
            transaction.map((one) => tables.set(one.table, one.uuid, rowOf(one))),
          );
          for (const name of changed) {
            const port = ports.all.get(name);
            if (port === undefined) told.delete(name);
            else told.set(name, port);
          }
          const whole = new BridgePorts("br-int", tables);
          const byName = (entries: Iterable<readonly [string, unknown]>): unknown =>
            [...entries].toSorted(([a], [b]) => a.localeCompare(b));
          assert.deepEqual(byName(ports.all), byName(whole.all));
          assert.deepEqual(byName(told), byName(whole.all));
        }
      },
    ),
  );
});
