// Random flows: anything that the codec can encode, in the one form that decoding gives back.
import * as fc from "fast-check";
import {
  type FieldName,
  type KnownFieldName,
  fieldNames,
  fieldRank,
  fields,
} from "../src/openflow/field.ts";
import type { Action, Flow, Match, MatchField, Nat, Subfield } from "../src/openflow/flow.ts";

function valueOf(name: KnownFieldName): fc.Arbitrary<bigint> {
  return fc.bigInt({ min: 0n, max: (1n << BigInt(fields[name].bits)) - 1n });
}

/** With a mask it has no bits outside of it, and the mask is neither empty nor full. */
function matchFieldOf(name: KnownFieldName): fc.Arbitrary<MatchField> {
  const allBits = (1n << BigInt(fields[name].bits)) - 1n;
  const exact = valueOf(name).map((value) => ({ field: name, value }));
  if (!fields[name].maskable || allBits === 1n) return exact;
  const masked = fc
    .tuple(valueOf(name), fc.bigInt({ min: 1n, max: allBits - 1n }))
    .map(([value, mask]) => ({ field: name, value: value & mask, mask }));
  return fc.oneof(exact, masked);
}

const unknownField: fc.Arbitrary<MatchField> = fc
  .tuple(fc.constantFrom<FieldName>("oxm:80007c04", "oxm:ffff0208:1234abcd"), fc.nat())
  .map(([field, value]) => ({ field, value: BigInt(value) }));

/** Sorted, each field once, prerequisites or not. */
export const match: fc.Arbitrary<Match> = fc
  .tuple(fc.subarray([...fieldNames], { maxLength: 8 }), fc.option(unknownField))
  .chain(([names, unknown]) =>
    fc.tuple(
      ...names
        .toSorted((a, b) => fieldRank(a) - fieldRank(b))
        .map((name): fc.Arbitrary<MatchField> => matchFieldOf(name)),
      ...(unknown === null ? [] : [fc.constant(unknown)]),
    ),
  );

function subfieldOf(name: KnownFieldName): fc.Arbitrary<Subfield> {
  // Nicira actions count up to 64 bits.
  const width = fields[name].bits;
  return fc
    .tuple(fc.nat(width - 1), fc.integer({ min: 1, max: Math.min(width, 64) }))
    .map(([offset, bits]) => ({ field: name, offset, bits: Math.min(bits, width - offset) }));
}

/** With a prototype, as the objects that a decoder makes. */
function plain<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const anyField = fc.constantFrom(...fieldNames);
const subfield = anyField.chain(subfieldOf);
const zoneField = fc.constantFrom<KnownFieldName>("reg0", "reg7", "ct_zone").chain(subfieldOf);
const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
const port = fc.nat(0xfe00);

const nat: fc.Arbitrary<Nat> = fc.oneof(
  fc.constant({}),
  fc.record(
    {
      type: fc.constantFrom("src" as const, "dst" as const),
      addressMin: fc.ipV4(),
      addressMax: fc.ipV4(),
      portMin: u16,
      portMax: u16,
      flags: fc.constantFrom(["hash" as const], ["persistent" as const, "random" as const]),
    },
    { requiredKeys: ["type"], noNullPrototype: true },
  ),
  fc.constant({ type: "src" as const, addressMin: "2001:db8::1", addressMax: "2001:db8::ff" }),
);

const setField: fc.Arbitrary<Action> = anyField
  .chain(matchFieldOf)
  .map((entry) => ({ kind: "set-field", ...entry }));

const move: fc.Arbitrary<Action> = fc.tuple(subfield, subfield).map(([from, to]) => {
  const bits = Math.min(from.bits, to.bits);
  return { kind: "move", from: { ...from, bits }, to: { ...to, bits } };
});

function kind<K extends Action["kind"]>(name: K): fc.Arbitrary<K> {
  return fc.constant(name);
}

/** Every kind of action. A note fills its 8-byte units, since its padding comes back as part of it. */
export const action: fc.Arbitrary<Action> = fc.oneof(
  setField,
  move,
  plain({ kind: kind("output"), port }),
  plain({ kind: kind("output-field"), from: subfield }),
  fc.record(
    {
      kind: kind("controller"),
      maxLength: fc.nat(0xfffe),
      controllerId: fc.integer({ min: 1, max: 0xffff }),
      reason: fc.integer({ min: 2, max: 255 }),
      userdata: bytes,
      pause: fc.constant(true as const),
      meter: u32,
    },
    { requiredKeys: ["kind"], noNullPrototype: true },
  ),
  plain({ kind: kind("group"), group: u32 }),
  fc.record(
    { kind: kind("resubmit"), table: u8, port, ct: fc.constant(true as const) },
    { requiredKeys: ["kind", "table"], noNullPrototype: true },
  ),
  fc.record(
    {
      kind: kind("ct"),
      commit: fc.constant(true as const),
      force: fc.constant(true as const),
      zone: fc.oneof(u16, zoneField),
      table: fc.nat(254),
      alg: fc.constantFrom(21, 69),
      nat,
      exec: fc.array(setField, { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: ["kind", "zone"], noNullPrototype: true },
  ),
  plain({ kind: kind("ct-clear") }),
  plain({
    kind: kind("conjunction"),
    id: u32,
    clause: fc.integer({ min: 1, max: 64 }),
    clauses: u8,
  }),
  plain({ kind: kind("dec-ttl") }),
  plain({ kind: kind("push-vlan"), etherType: u16 }),
  plain({ kind: kind("pop-vlan") }),
  plain({ kind: kind("set-queue"), queue: u32 }),
  plain({ kind: kind("note"), bytes: fc.uint8Array({ minLength: 14, maxLength: 14 }) }),
  plain({
    kind: kind("sample"),
    probability: u16,
    collectorSet: u32,
    domain: u32,
    point: u32,
  }),
  plain({
    kind: kind("unknown"),
    type: fc.constantFrom(11, 0xfffe),
    bytes: fc.uint8Array({ minLength: 12, maxLength: 12 }),
  }),
);

export const flow: fc.Arbitrary<Flow> = fc.record(
  {
    table: u8,
    priority: u16,
    cookie: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    match,
    meter: u32,
    actions: fc.array(action, { maxLength: 5 }),
    gotoTable: u8,
    idleTimeoutSeconds: fc.integer({ min: 1, max: 0xffff }),
    hardTimeoutSeconds: fc.integer({ min: 1, max: 0xffff }),
  },
  { requiredKeys: ["table", "priority", "cookie", "match", "actions"], noNullPrototype: true },
);
