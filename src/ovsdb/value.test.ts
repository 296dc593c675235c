import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DecodeError } from "../wire/errors.ts";
import {
  type Atom,
  type Value,
  atomKey,
  atomsOf,
  decodeAtom,
  decodeRow,
  decodeValue,
  encodeRow,
  encodeValue,
  mapOf,
  numberOf,
  recordOf,
  stringOf,
  uuidsOf,
} from "./value.ts";

const uuid = "550e8400-e29b-41d4-a716-446655440000";

const atoms = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.uuid().map((text): Atom => ({ uuid: text })),
  fc.stringMatching(/^[a-z_]\w{0,8}$/).map((text): Atom => ({ namedUuid: text })),
);
const values: fc.Arbitrary<Value> = fc.oneof(
  atoms,
  fc.array(atoms),
  fc.array(fc.tuple(atoms, atoms)).map((pairs) => new Map(pairs)),
);

test("values are written as RFC 7047 section 5.1 says", () => {
  const table: [Value, unknown][] = [
    ["a", "a"],
    [1, 1],
    [true, true],
    [{ uuid }, ["uuid", uuid]],
    [{ namedUuid: "row" }, ["named-uuid", "row"]],
    [[], ["set", []]],
    [
      ["set", "map"],
      ["set", ["set", "map"]],
    ],
    [[{ uuid }], ["set", [["uuid", uuid]]]],
    [mapOf({ k: "v" }), ["map", [["k", "v"]]]],
    [new Map<Atom, Atom>([[0, { uuid }]]), ["map", [[0, ["uuid", uuid]]]]],
  ];
  for (const [value, json] of table) {
    assert.deepEqual(encodeValue(value), json);
    assert.deepEqual(decodeValue(json), value);
  }
});

test("any value is the same after a round trip through JSON text", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), values, { noNullPrototype: true }), (row) => {
      assert.deepEqual(decodeRow(JSON.parse(JSON.stringify(encodeRow(row)))), row);
    }),
  );
});

test("any JSON gives a value or a DecodeError", () => {
  const near = fc.tuple(fc.constantFrom("set", "map", "uuid", "named-uuid"), fc.jsonValue());
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), near), (json) => {
      try {
        const value = decodeValue(json);
        assert.deepEqual(decodeValue(encodeValue(value)), value);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
  );
});

test("what is no atom, pair or row is refused with what came", () => {
  const wrong = [null, {}, ["uuid"], ["uuid", "x"], ["uuid", uuid, 1], ["set", [null]]];
  for (const json of [...wrong, ["map", [["k"]]], ["map", [["k", "v", "w"]]], ["set", 1]]) {
    assert.throws(() => decodeValue(json), { name: "DecodeError", code: "malformed" });
  }
  assert.throws(() => decodeAtom(["set", []]), /expected an OVSDB atom, got \["set",\[\]\]/);
  assert.throws(() => decodeRow([]), /expected an OVSDB row, got \[\]/);
});

test("two atoms have the same key only when they are the same", () => {
  const distinct: Atom[] = ["1", 1, "true", true, { uuid }, uuid, { namedUuid: uuid }];
  assert.equal(new Set(distinct.map(atomKey)).size, distinct.length);
  assert.equal(atomKey({ uuid }), atomKey({ uuid }));
});

test("readers take a column in either form and give nothing for what is not there", () => {
  assert.equal(stringOf(["a"]), "a");
  assert.equal(stringOf("a"), "a");
  assert.equal(stringOf([]), undefined);
  assert.equal(stringOf(1), undefined);
  assert.equal(numberOf([7]), 7);
  assert.equal(numberOf(undefined), undefined);
  assert.deepEqual(uuidsOf([{ uuid }, "x"]), [uuid]);
  assert.deepEqual(uuidsOf({ uuid }), [uuid]);
  assert.deepEqual(atomsOf(mapOf({ a: "b" })), ["b"]);
  assert.deepEqual(
    recordOf(
      new Map<Atom, Atom>([
        ["a", "b"],
        [1, "c"],
      ]),
    ),
    { a: "b" },
  );
  assert.deepEqual(recordOf("a"), {});
});
