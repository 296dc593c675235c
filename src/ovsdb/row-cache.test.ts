import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DecodeError } from "../wire/errors.ts";
import { RowCache, encodeMonitorRequest } from "./row-cache.ts";
import {
  type ColumnType,
  applyDifference,
  defaultValue,
  normalizeValue,
  parseSchema,
} from "./schema.ts";
import { type Atom, type Value, atomKey, atomsOf, encodeValue, isSet } from "./value.ts";

const schema = parseSchema({
  name: "Test",
  version: "1.0.0",
  tables: {
    T: {
      columns: {
        name: { type: "string" },
        port: { type: { key: { type: "integer", minInteger: 1 }, min: 0, max: 1 } },
        tags: { type: { key: "string", min: 0, max: "unlimited" } },
        ids: { type: { key: "string", value: "string", min: 0, max: "unlimited" } },
        ref: { type: { key: { type: "uuid", refTable: "T" }, min: 1, max: 3 } },
      },
    },
  },
});
const columns = ["name", "port", "tags", "ids"];
const one = "550e8400-e29b-41d4-a716-446655440001";
const two = "550e8400-e29b-41d4-a716-446655440002";

function cacheWith(rows: Record<string, unknown>): RowCache {
  const cache = new RowCache(schema, { T: { columns } });
  cache.replace({
    T: Object.fromEntries(Object.entries(rows).map(([id, row]) => [id, { initial: row }])),
  });
  return cache;
}

test("a schema gives each column's type, with the defaults of RFC 7047", () => {
  assert.deepEqual(Object.fromEntries(schema.tables.get("T")!.columns), {
    name: { key: "string", value: undefined, min: 1, max: 1 },
    port: { key: "integer", value: undefined, min: 0, max: 1 },
    tags: { key: "string", value: undefined, min: 0, max: Infinity },
    ids: { key: "string", value: "string", min: 0, max: Infinity },
    ref: { key: "uuid", value: undefined, min: 1, max: 3 },
  });
});

function withType(type: unknown): unknown {
  return { name: "D", version: "1", tables: { T: { columns: { c: { type } } } } };
}

test("a wrong schema is refused with what is wrong", () => {
  for (const json of [
    null,
    {},
    { name: "D" },
    withType("text"),
    withType({ key: "string", max: -1 }),
    withType(undefined),
  ]) {
    assert.throws(() => parseSchema(json), DecodeError);
  }
});

test("columns that a row does not name are at their default", () => {
  const row = cacheWith({ [one]: {} })
    .rows("T")
    .get(one);
  assert.deepEqual(row, { name: "", port: [], tags: [], ids: new Map() });
  assert.deepEqual(defaultValue(schema.tables.get("T")!.columns.get("ref")!), [
    { uuid: "00000000-0000-0000-0000-000000000000" },
  ]);
});

test("a set of one looks the same whether it was sent as a set or as an atom", () => {
  const cache = cacheWith({
    [one]: { port: 7, tags: "a", name: ["set", ["n"]] },
    [two]: { port: ["set", [7]], tags: ["set", ["a"]], name: "n" },
  });
  assert.deepEqual(cache.rows("T").get(one), cache.rows("T").get(two));
});

test("insert, modify and delete change rows and say what was and what is", () => {
  const cache = cacheWith({
    [one]: {
      name: "a",
      tags: ["set", ["x", "y"]],
      ids: [
        "map",
        [
          ["k", "1"],
          ["l", "2"],
        ],
      ],
    },
  });
  const before = cache.rows("T").get(one);
  const changes = cache.apply({
    T: {
      [one]: {
        modify: {
          port: 5,
          tags: ["set", ["y", "z"]],
          ids: [
            "map",
            [
              ["k", "9"],
              ["l", "2"],
              ["m", "3"],
            ],
          ],
        },
      },
      [two]: { insert: { name: "b" } },
    },
  });
  const after = {
    name: "a",
    port: [5],
    tags: ["x", "z"],
    ids: new Map([
      ["k", "9"],
      ["m", "3"],
    ]),
  };
  assert.deepEqual(changes[0], { table: "T", uuid: one, before, after });
  assert.equal(changes[1]!.before, undefined);
  assert.deepEqual(cache.apply({ T: { [one]: { delete: null } } }), [
    { table: "T", uuid: one, before: after, after: undefined },
  ]);
  assert.deepEqual([...cache.rows("T").keys()], [two]);
  cache.apply({ T: { [two]: { modify: { port: ["set", []] } } } });
  assert.deepEqual(cache.rows("T").get(two)!["port"], []);
});

test("whole contents give only what differs, whatever the order of sets and maps", () => {
  const cache = cacheWith({
    [one]: {
      name: "a",
      tags: ["set", ["x", "y"]],
      ids: [
        "map",
        [
          ["k", "1"],
          ["l", "2"],
        ],
      ],
    },
    [two]: { name: "b" },
  });
  const same = {
    initial: {
      ids: [
        "map",
        [
          ["l", "2"],
          ["k", "1"],
        ],
      ],
      tags: ["set", ["y", "x"]],
      name: "a",
    },
  };
  assert.deepEqual(cache.replace({ T: { [one]: same, [two]: { initial: { name: "b" } } } }), []);
  const changes = cache.replace({ T: { [one]: same } });
  assert.deepEqual(
    changes.map(({ uuid, after }) => [uuid, after]),
    [[two, undefined]],
  );
  assert.equal(cache.replace({}).length, 1);
});

test("updates of what is not monitored, or not known, are refused", () => {
  const cache = cacheWith({});
  for (const json of [
    null,
    { X: {} },
    { T: [] },
    { T: { [one]: null } },
    { T: { [one]: { modify: {} } } },
    { T: { [one]: { insert: { name: ["map", []] } } } },
  ]) {
    assert.throws(() => cache.apply(json), DecodeError, JSON.stringify(json));
  }
  assert.throws(() => new RowCache(schema, { X: { columns: [] } }), /expected table X in Test/);
  assert.throws(() => new RowCache(schema, { T: { columns: ["c"] } }), /expected column T.c/);
});

test("a monitor request has one entry a table, its conditions encoded", () => {
  assert.deepEqual(
    encodeMonitorRequest({
      T: { columns: ["name"], where: [["tags", "includes", ["a"]]] },
      U: { columns: [] },
    }),
    {
      T: [{ columns: ["name"], where: [["tags", "includes", ["set", ["a"]]]] }],
      U: [{ columns: [] }],
    },
  );
});

/** The difference of two values as the server computes it, written from its manual. */
function difference(type: ColumnType, before: Value, after: Value): Value {
  if (before instanceof Map && after instanceof Map) {
    const pairs: [Atom, Atom][] = [];
    for (const [key, value] of before) if (!after.has(key)) pairs.push([key, value]);
    for (const [key, value] of after) if (before.get(key) !== value) pairs.push([key, value]);
    return new Map(pairs);
  }
  if (type.max === 1) return after;
  const [a, b] = [atomsOf(before), atomsOf(after)];
  return [...a.filter((atom) => !b.includes(atom)), ...b.filter((atom) => !a.includes(atom))];
}

function canonical(value: Value): unknown {
  if (value instanceof Map)
    return [...value].map(([key, of]) => atomKey(key) + atomKey(of)).toSorted();
  return isSet(value) ? value.map(atomKey).toSorted() : encodeValue(value);
}

test("a difference takes any value of a column to any other", () => {
  const small = fc.constantFrom("a", "b", "c", "d");
  const cases: [string, fc.Arbitrary<Value>][] = [
    ["name", small],
    ["port", fc.array(fc.nat(3), { maxLength: 1 })],
    ["tags", fc.uniqueArray(small)],
    ["ids", fc.dictionary(small, small).map((record) => new Map(Object.entries(record)))],
  ];
  for (const [column, values] of cases) {
    const type = schema.tables.get("T")!.columns.get(column)!;
    fc.assert(
      fc.property(values, values, (before, after) => {
        const got = applyDifference(
          type,
          before,
          normalizeValue(type, difference(type, before, after)),
        );
        assert.deepEqual(canonical(got), canonical(after), column);
      }),
    );
  }
});
