import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { RuleResource } from "../southbound/resources.ts";
import { RulePlaces, placeCount } from "./rule-places.ts";

function ruleOf(policy: string, priority: number, ruleIndex: number, variant = 0): RuleResource {
  return {
    kind: "rule",
    id: `${policy} ${priority} ${ruleIndex} ${variant}`,
    direction: "ingress",
    tier: "admin",
    priority,
    action: "deny",
    subjects: [],
    peers: "any",
    ports: "any",
    policy,
    ruleIndex,
  };
}

function placeOf(places: RulePlaces, rule: RuleResource): number | string {
  const found = places.placeOf(rule);
  return found.kind === "place" ? found.place : found.reason;
}

function inOrder(a: RuleResource, b: RuleResource): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1;
  return a.ruleIndex - b.ruleIndex;
}

const rule = fc
  .tuple(
    fc.constantFrom("a", "b", "c", "d"),
    fc.constantFrom(0, 1, 2, 999, 1000),
    fc.oneof(fc.nat({ max: 3 }), fc.constantFrom(24, 40, 70)),
    fc.nat({ max: 1 }),
  )
  .map((parts) => ruleOf(...parts));

describe("places", () => {
  test("are in the order of priority, policy and index, and no two rules share one", () => {
    const changes = fc.array(fc.tuple(rule, fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(changes, (list) => {
        const places = new RulePlaces(10);
        const there = new Map<string, RuleResource>();
        const told = new Map<string, number | string>();
        for (const [each, present] of list) {
          places.set(each, present);
          if (present) there.set(each.id, each);
          else there.delete(each.id);
          for (const id of places.settle()) {
            const moved = there.get(id);
            if (moved !== undefined) told.set(id, placeOf(places, moved));
          }
        }
        const sorted = [...there.values()].toSorted(inOrder);
        let last: RuleResource | undefined;
        for (const each of sorted) {
          const place = placeOf(places, each);
          assert.equal(typeof place, "number");
          if (told.has(each.id)) assert.equal(place, told.get(each.id), `${each.id} is told`);
          if (last !== undefined) {
            const before = Number(placeOf(places, last));
            if (inOrder(last, each) === 0) assert.equal(place, before);
            else assert.ok(Number(place) > before);
          }
          last = each;
        }
        const fresh = new RulePlaces(10);
        for (const each of sorted.toReversed()) fresh.set(each, true);
        fresh.settle();
        for (const each of sorted) assert.equal(placeOf(fresh, each), placeOf(places, each));
      }),
    );
  });

  test("of one priority do not depend on the other priorities while there is room", () => {
    const places = new RulePlaces(10);
    places.set(ruleOf("a", 5, 0), true);
    assert.deepEqual(places.settle(), ["a 5 0 0"]);
    places.set(ruleOf("b", 4, 24), true);
    assert.deepEqual(places.settle(), ["b 4 24 0"]);
    assert.equal(placeOf(places, ruleOf("a", 5, 0)), 5 * 64);
    assert.equal(placeOf(places, ruleOf("b", 4, 24)), 4 * 64 + 24);
  });

  test("too many rules of one priority move the next ones on, and back when they go", () => {
    const places = new RulePlaces(10);
    const next = ruleOf("z", 11, 0);
    places.set(next, true);
    for (let index = 0; index < 3; index++) places.set(ruleOf(`a${index}`, 10, 24), true);
    places.settle();
    assert.equal(placeOf(places, next), 10 * 64 + 75);
    places.set(ruleOf("a0", 10, 24), false);
    assert.ok(places.settle().includes(next.id));
    assert.equal(placeOf(places, next), 11 * 64);
  });

  test("at the end move towards the front where they need it", () => {
    const places = new RulePlaces(10);
    for (let index = 0; index < 4; index++) places.set(ruleOf(`a${index}`, 1000, 24), true);
    places.settle();
    assert.equal(placeOf(places, ruleOf("a3", 1000, 24)), placeCount - 1);
    assert.equal(placeOf(places, ruleOf("a0", 1000, 0)), placeCount - 100);
  });

  test("run out, and then the last rules have none", () => {
    const places = new RulePlaces(10);
    const policies = Math.ceil(placeCount / 1000) + 1;
    for (let index = 0; index < policies; index++) {
      places.set(ruleOf(`p${index + 100}`, 7, 999), true);
    }
    places.settle();
    assert.equal(placeOf(places, ruleOf("p100", 7, 0)), 0);
    const last = placeOf(places, ruleOf(`p${policies + 99}`, 7, 999));
    assert.match(String(last), /^there are more than \d+ rules in the tier$/);
  });

  test("more numbers of a named port than a flow can list have none", () => {
    const places = new RulePlaces(2);
    const variants = [0, 1, 2].map((variant) => ruleOf("a", 1, 0, variant));
    for (const variant of variants.slice(0, 2)) places.set(variant, true);
    places.settle();
    assert.equal(placeOf(places, ruleOf("a", 1, 0)), 64);
    for (const variant of variants.slice(2)) places.set(variant, true);
    assert.deepEqual(places.settle().toSorted(), variants.map(({ id }) => id).toSorted());
    assert.equal(placeOf(places, ruleOf("a", 1, 0)), "a named port has more than 2 numbers");
  });

  test("are refused to priorities and indexes out of range", () => {
    const places = new RulePlaces(2);
    for (const each of [ruleOf("a", -1, 0), ruleOf("a", 1001, 0), ruleOf("a", 0.5, 0)]) {
      places.set(each, true);
      assert.match(String(placeOf(places, each)), /is not between 0 and 1000/);
    }
    assert.equal(placeOf(places, ruleOf("a", 1, 1000)), "a policy can have 1000 rules");
    assert.deepEqual(places.settle(), []);
  });
});
