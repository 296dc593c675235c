import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { flow, match } from "../../test/openflow-arbitraries.ts";
import type { Flow, Match } from "./flow.ts";
import { flowBody, flowKey } from "./flow-key.ts";

const base: Flow = { table: 1, priority: 2, cookie: 3n, match: [], actions: [] };

function keyOf(fields: Match): string {
  return flowKey({ ...base, match: fields });
}

test("the order of the fields makes no difference to the key", () => {
  // A register must not be matched twice, as itself and as a part of a wide one.
  const valid = match.filter((fields) => !fields.some(({ field }) => field.startsWith("x")));
  fc.assert(
    fc.property(valid, (fields) => {
      assert.equal(keyOf(fields.toReversed()), keyOf(fields));
    }),
  );
});

test("a wide register is the narrow ones that it is made of", () => {
  const narrow = [
    { field: "reg2", value: 1n },
    { field: "reg3", value: 0x20n, mask: 0xf0n },
  ] as const;
  const wide = { field: "xreg1", value: 0x1_0000_0020n, mask: 0xffffffff_000000f0n } as const;
  assert.equal(keyOf([wide]), keyOf(narrow));
  assert.equal(
    keyOf([{ field: "xxreg3", value: 5n, mask: 0xffffffffn }]),
    keyOf([{ field: "reg15", value: 5n }]),
  );
  assert.equal(keyOf([{ field: "xxreg0", value: 5n }]).length, keyOf([]).length + 4 * 8);
});

test("what matches every packet makes no difference to the key", () => {
  assert.equal(keyOf([{ field: "packet_type", value: 0n }]), keyOf([]));
  assert.equal(keyOf([{ field: "reg0", value: 0n, mask: 0n }]), keyOf([]));
});

test("bits outside the mask and a mask of all bits make no difference to the key", () => {
  assert.equal(
    keyOf([{ field: "reg0", value: 0xffn, mask: 0xfn }]),
    keyOf([{ field: "reg0", value: 0xfn, mask: 0xfn }]),
  );
  assert.equal(
    keyOf([{ field: "reg0", value: 7n, mask: 0xffffffffn }]),
    keyOf([{ field: "reg0", value: 7n }]),
  );
});

test("table, priority and every bit of the match make a difference to the key", () => {
  const keys = [
    flowKey(base),
    flowKey({ ...base, table: 2 }),
    flowKey({ ...base, priority: 3 }),
    keyOf([{ field: "reg0", value: 0n }]),
    keyOf([{ field: "reg0", value: 1n }]),
    keyOf([{ field: "reg1", value: 1n }]),
    keyOf([{ field: "reg0", value: 1n, mask: 1n }]),
    keyOf([{ field: "oxm:80007c04", value: 1n }]),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test("cookie, timeouts and every instruction make a difference to the body and none to the key", () => {
  const flows: Flow[] = [
    base,
    { ...base, cookie: 4n },
    { ...base, idleTimeoutSeconds: 1 },
    { ...base, hardTimeoutSeconds: 1 },
    { ...base, gotoTable: 5 },
    { ...base, meter: 5 },
    { ...base, actions: [{ kind: "output", port: 1 }] },
    { ...base, actions: [{ kind: "output", port: 2 }] },
    { ...base, otherInstructions: Uint8Array.of(0, 5, 0, 8, 0, 0, 0, 0) },
  ];
  assert.equal(new Set(flows.map(flowBody)).size, flows.length);
  assert.equal(new Set(flows.map(flowKey)).size, 1);
});

test("a flow has the same key and body each time, however many others come between", () => {
  fc.assert(
    fc.property(fc.array(flow, { minLength: 1 }), (flows) => {
      const textsOf = (): string[] => flows.map((one) => flowKey(one) + flowBody(one));
      assert.deepEqual(textsOf(), textsOf());
    }),
  );
});

test("a body of many actions is kept whole", () => {
  const actions = Array.from(
    { length: 3000 },
    (_, id) => ({ kind: "conjunction", id, clause: 1, clauses: 2 }) as const,
  );
  assert.equal(flowBody({ ...base, actions }).length, 8 + 4 + 8 + 3000 * 16);
});
