import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DecodeError } from "../wire/errors.ts";
import {
  type Operation,
  decodeTransactReply,
  describeRefusal,
  encodeOperation,
} from "./operation.ts";
import { mapOf, objectOf } from "./value.ts";

const uuid = "550e8400-e29b-41d4-a716-446655440000";
const where = [["name", "==", "br0"]] as const;
const encodedWhere = [["name", "==", "br0"]];

const examples: { readonly [Op in Operation["op"]]: readonly [Operation, unknown] } = {
  insert: [
    {
      op: "insert",
      table: "Port",
      row: { name: "p", external_ids: mapOf({ a: "b" }) },
      uuidName: "port",
    },
    {
      op: "insert",
      table: "Port",
      row: { name: "p", external_ids: ["map", [["a", "b"]]] },
      "uuid-name": "port",
    },
  ],
  select: [
    { op: "select", table: "Bridge", where, columns: ["name"] },
    { op: "select", table: "Bridge", where: encodedWhere, columns: ["name"] },
  ],
  update: [
    { op: "update", table: "Bridge", where, row: { protocols: ["OpenFlow15"] } },
    {
      op: "update",
      table: "Bridge",
      where: encodedWhere,
      row: { protocols: ["set", ["OpenFlow15"]] },
    },
  ],
  mutate: [
    {
      op: "mutate",
      table: "Bridge",
      where,
      mutations: [["ports", "insert", { namedUuid: "port" }]],
    },
    {
      op: "mutate",
      table: "Bridge",
      where: encodedWhere,
      mutations: [["ports", "insert", ["named-uuid", "port"]]],
    },
  ],
  delete: [
    { op: "delete", table: "Bridge", where: [["_uuid", "==", { uuid }]] },
    { op: "delete", table: "Bridge", where: [["_uuid", "==", ["uuid", uuid]]] },
  ],
  wait: [
    {
      op: "wait",
      table: "Bridge",
      where,
      columns: ["name"],
      until: "==",
      rows: [{ name: "br0" }],
      timeoutMs: 0,
    },
    {
      op: "wait",
      table: "Bridge",
      where: encodedWhere,
      columns: ["name"],
      until: "==",
      rows: [{ name: "br0" }],
      timeout: 0,
    },
  ],
  commit: [
    { op: "commit", durable: true },
    { op: "commit", durable: true },
  ],
  abort: [{ op: "abort" }, { op: "abort" }],
  comment: [
    { op: "comment", comment: "why" },
    { op: "comment", comment: "why" },
  ],
  assert: [
    { op: "assert", lock: "l" },
    { op: "assert", lock: "l" },
  ],
};

test("each operation is written as RFC 7047 section 5.2 says", () => {
  for (const [operation, json] of Object.values(examples))
    assert.deepEqual(encodeOperation(operation), json);
});

test("optional members are left out, not written as null", () => {
  assert.deepEqual(
    Object.keys(objectOf(encodeOperation({ op: "insert", table: "t", row: {} }), "an operation")),
    ["op", "table", "row"],
  );
  const wait = { op: "wait", table: "t", where: [], columns: [], until: "!=", rows: [] } as const;
  assert.ok(!("timeout" in objectOf(encodeOperation(wait), "an operation")));
});

test("results come back in order, with what each operation gives", () => {
  const reply = [
    { uuid: ["uuid", uuid] },
    { count: 2 },
    {},
    { rows: [{ name: "a", _uuid: ["uuid", uuid] }] },
  ];
  assert.deepEqual(decodeTransactReply(reply, 4), {
    kind: "committed",
    results: [{ uuid }, { count: 2 }, {}, { rows: [{ name: "a", _uuid: { uuid } }] }],
  });
});

test("a refusal names the operation that failed, and what it said", () => {
  const reply = [{ count: 1 }, { error: "constraint violation", details: "twice" }, null];
  const result = decodeTransactReply(reply, 3);
  assert.ok(result.kind === "refused");
  assert.deepEqual(result.refusal, {
    error: "constraint violation",
    details: "twice",
    operation: 1,
  });
  const operations: Operation[] = [
    { op: "abort" },
    { op: "delete", table: "Port", where },
    { op: "abort" },
  ];
  assert.equal(
    describeRefusal(result.refusal, operations),
    'operation 1 (delete Port where [["name","==","br0"]]): constraint violation: twice',
  );
});

test("a refused commit is no operation's fault", () => {
  const result = decodeTransactReply([{}, { error: "referential integrity violation" }], 1);
  assert.ok(result.kind === "refused");
  assert.equal(result.refusal.operation, undefined);
  assert.equal(describeRefusal(result.refusal, []), "commit: referential integrity violation");
});

test("any reply gives results or a DecodeError", () => {
  const element = fc.oneof(
    fc.jsonValue(),
    fc.record({ error: fc.jsonValue(), details: fc.jsonValue() }, { requiredKeys: [] }),
    fc.record(
      { uuid: fc.jsonValue(), count: fc.jsonValue(), rows: fc.jsonValue() },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.array(element)), fc.nat(4), (reply, length) => {
      try {
        const result = decodeTransactReply(reply, length);
        if (result.kind === "committed") assert.equal(result.results.length, length);
      } catch (error) {
        assert.ok(error instanceof DecodeError, String(error));
      }
    }),
  );
});

test("a reply with too few or too many results, or a null without an error, is refused", () => {
  for (const reply of [[], [{}], [{}, {}, {}, {}], [{}, null], null, {}]) {
    assert.throws(() => decodeTransactReply(reply, 2), DecodeError);
  }
});
