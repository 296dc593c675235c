import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EncodedDelta, EncodedResource, encodeDeltaMessage, keyText } from "./encoded.ts";
import { diffState } from "./resume.ts";
import { type Resource, type ResourceKey, resourceKinds } from "./resources.ts";

const domain = (id: string, vni: number): Resource => ({ kind: "domain", id, vni, pools: [] });
const node = (id: string): Resource => ({ kind: "node", id, addresses: ["192.0.2.1"] });
const encode = (...resources: readonly Resource[]) =>
  resources.map((resource) => new EncodedResource(resource));

test("a message made of parts is the delta, additions in order and deletions in reverse", () => {
  const delta = EncodedDelta.join([
    EncodedDelta.of(encode(domain("a", 1), domain("b", 2)), [{ kind: "domain", id: "c" }]),
    EncodedDelta.empty,
    EncodedDelta.join([EncodedDelta.of(encode(node("n")), [{ kind: "node", id: "m" }])]),
  ]);
  const text = encodeDeltaMessage({ sequence: 4, revision: 7 }, delta).join("");
  assert.ok(text.endsWith("}\n"));
  assert.deepEqual(JSON.parse(text), {
    type: "delta",
    sequence: 4,
    revision: 7,
    upserts: [domain("a", 1), domain("b", 2), node("n")],
    deletes: [
      { kind: "node", id: "m" },
      { kind: "domain", id: "c" },
    ],
  });
});

test("agents that get the same part get the same string", () => {
  const shared = EncodedDelta.of(encode(domain("a", 1), domain("b", 2)), []);
  const [one, two] = ["n", "m"].map((name) =>
    encodeDeltaMessage(
      { sequence: 1, revision: 1 },
      EncodedDelta.join([shared, EncodedDelta.of(encode(node(name)), [])]),
    ),
  );
  const text = `${JSON.stringify(domain("a", 1))},${JSON.stringify(domain("b", 2))}`;
  assert.ok(one?.includes(text));
  assert.ok(two?.includes(text));
});

test("an empty delta is a message all the same", () => {
  const text = encodeDeltaMessage({ sequence: 1, revision: 2 }, EncodedDelta.empty).join("");
  const empty = { type: "delta", sequence: 1, revision: 2, upserts: [], deletes: [] };
  assert.deepEqual(JSON.parse(text), empty);
});

const resourceArbitrary: fc.Arbitrary<Resource> = fc.oneof(
  fc
    .tuple(fc.constantFrom("a", "b", "c/d", "__proto__"), fc.nat({ max: 2 }))
    .map(([id, vni]) => domain(id, vni)),
  fc.constantFrom("a", "b").map(node),
);

const stateArbitrary = fc
  .array(resourceArbitrary)
  .map((list) => new Map(list.map((resource) => [keyText(resource), resource])));

test("what an agent has and the difference make the whole", () => {
  fc.assert(
    fc.property(stateArbitrary, stateArbitrary, (full, held) => {
      const have = Object.fromEntries(
        encode(...held.values()).map((encoded) => [keyText(encoded), encoded.digest]),
      );
      const delta = diffState(EncodedDelta.of(encode(...full.values()), []), have).toDelta();
      const state = new Map(held);
      for (const resource of delta.upserts) {
        assert.notDeepEqual(state.get(keyText(resource)), resource, "sent though it was held");
        state.set(keyText(resource), resource);
      }
      for (const key of delta.deletes) assert.ok(state.delete(keyText(key)), "it was not held");
      assert.deepEqual(state, full);
    }),
  );
});

test("deletions come in the reverse order of kinds, and unknown kinds are left alone", () => {
  const have: Record<string, string> = { "weather/x": "1" };
  for (const kind of resourceKinds) have[`${kind}/x`] = "1";
  const deletes: readonly ResourceKey[] = [...diffState(EncodedDelta.empty, have).deletes()];
  const kinds = deletes.map(({ kind }) => kind);
  assert.deepEqual(kinds, resourceKinds.toReversed());
});
