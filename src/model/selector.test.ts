import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { LabelSelector, SelectorRequirement } from "./policy.ts";
import {
  formatSelector,
  matchesEndpoint,
  matchesEverything,
  matchesRequirement,
  matchesSelector,
  matchesZone,
  selectorId,
  selectorKeys,
} from "./selector.ts";

const shop = { name: "shop", labels: { team: "shop" } };

function selector(
  matchLabels: LabelSelector["matchLabels"],
  ...matchExpressions: SelectorRequirement[]
): LabelSelector {
  return { matchLabels, matchExpressions };
}

function inValues(...values: string[]): LabelSelector {
  return selector({}, { key: "app", operator: "In", values });
}

describe("matchesRequirement", () => {
  const table: [SelectorRequirement["operator"], string[], Record<string, string>, boolean][] = [
    ["In", ["a", "b"], { key: "b" }, true],
    ["In", ["a", "b"], { key: "c" }, false],
    ["In", ["a"], {}, false],
    ["In", [""], { key: "" }, true],
    ["NotIn", ["a", "b"], { key: "b" }, false],
    ["NotIn", ["a", "b"], { key: "c" }, true],
    ["NotIn", ["a"], {}, true],
    ["Exists", [], { key: "" }, true],
    ["Exists", [], { other: "a" }, false],
    ["DoesNotExist", [], { key: "" }, false],
    ["DoesNotExist", [], {}, true],
  ];
  for (const [operator, values, labels, expected] of table) {
    test(`${operator} [${values.join()}] on ${JSON.stringify(labels)} is ${expected}`, () => {
      assert.equal(matchesRequirement({ key: "key", operator, values }, labels), expected);
    });
  }

  test("labels that every object inherits do not exist", () => {
    for (const key of ["constructor", "toString", "__proto__"]) {
      assert.equal(matchesRequirement({ key, operator: "Exists", values: [] }, {}), false);
    }
    const labels = JSON.parse('{"__proto__": "x"}');
    assert.equal(
      matchesRequirement({ key: "__proto__", operator: "In", values: ["x"] }, labels),
      true,
    );
  });
});

describe("matchesSelector", () => {
  test("the empty selector matches everything", () => {
    assert.ok(matchesSelector(matchesEverything, {}));
    assert.ok(matchesSelector(matchesEverything, { app: "web" }));
  });

  test("labels and expressions must all match", () => {
    const both = selector({ app: "web" }, { key: "tier", operator: "Exists", values: [] });
    assert.ok(matchesSelector(both, { app: "web", tier: "" }));
    assert.ok(!matchesSelector(both, { app: "web" }));
    assert.ok(!matchesSelector(both, { tier: "" }));
  });
});

describe("matchesZone and matchesEndpoint", () => {
  test("a zone is selected by its name or by its labels", () => {
    assert.ok(matchesZone({ kind: "name", name: "shop" }, shop));
    assert.ok(!matchesZone({ kind: "name", name: "pay" }, shop));
    assert.ok(matchesZone({ kind: "labels", selector: selector({ team: "shop" }) }, shop));
    assert.ok(!matchesZone({ kind: "labels", selector: selector({ team: "pay" }) }, shop));
  });

  test("an endpoint is selected by its zone and its labels together", () => {
    const web = {
      zones: { kind: "name", name: "shop" },
      endpoints: selector({ app: "web" }),
    } as const;
    assert.ok(matchesEndpoint(web, shop, { app: "web" }));
    assert.ok(!matchesEndpoint(web, shop, { app: "db" }));
    assert.ok(!matchesEndpoint(web, { name: "pay", labels: {} }, { app: "web" }));
  });
});

describe("selectorId", () => {
  const zones = { kind: "name", name: "shop" } as const;

  test("is equal for the same demand in another order or notation", () => {
    const id = selectorId({ zones, endpoints: inValues("a", "b") });
    assert.equal(selectorId({ zones, endpoints: inValues("b", "a", "b") }), id);
    assert.equal(
      selectorId({ zones, endpoints: selector({ app: "a" }) }),
      selectorId({ zones, endpoints: inValues("a") }),
    );
  });

  test("differs where zones, keys, operators or values differ", () => {
    const selectors = [
      { zones, endpoints: matchesEverything },
      { zones: { kind: "name", name: "pay" }, endpoints: matchesEverything },
      { zones: { kind: "labels", selector: matchesEverything }, endpoints: matchesEverything },
      { zones: { kind: "labels", selector: selector({ app: "a" }) }, endpoints: matchesEverything },
      { zones, endpoints: selector({ app: "a" }) },
      { zones, endpoints: selector({ a: "app" }) },
      { zones, endpoints: inValues("a", "b") },
      { zones, endpoints: inValues("a,b") },
      { zones, endpoints: selector({}, { key: "app", operator: "NotIn", values: ["a"] }) },
    ] as const;
    assert.equal(new Set(selectors.map(selectorId)).size, selectors.length);
  });

  test("equal ids mean equal matches", () => {
    const labels = fc.dictionary(fc.constantFrom("a", "b"), fc.constantFrom("x", "y"));
    const requirement = fc.record({
      key: fc.constantFrom("a", "b"),
      operator: fc.constantFrom("In", "NotIn" as const),
      values: fc.array(fc.constantFrom("x", "y"), { minLength: 1, maxLength: 2 }),
    });
    const any = fc.record({
      matchLabels: labels,
      matchExpressions: fc.array(requirement, { maxLength: 2 }),
    });
    fc.assert(
      fc.property(any, any, labels, (one, other, of) => {
        const [a, b] = [one, other].map((endpoints) => selectorId({ zones, endpoints }));
        fc.pre(a === b);
        assert.equal(matchesSelector(one, of), matchesSelector(other, of));
      }),
      { maxSkipsPerRun: 10_000, numRuns: 50 },
    );
  });
});

describe("keys and text", () => {
  const mixed = selector(
    { tier: "front" },
    { key: "app", operator: "In", values: ["a", "b"] },
    { key: "app", operator: "NotIn", values: ["c"] },
    { key: "x", operator: "NotIn", values: ["c", "d"] },
    { key: "y", operator: "Exists", values: [] },
    { key: "z", operator: "DoesNotExist", values: [] },
  );

  test("selectorKeys names each key once", () => {
    assert.deepEqual(selectorKeys(mixed), ["app", "tier", "x", "y", "z"]);
  });

  test("formatSelector writes what kubectl get -l takes", () => {
    assert.equal(formatSelector(mixed), "tier=front,app in (a,b),app!=c,x notin (c,d),y,!z");
    assert.equal(formatSelector(matchesEverything), "");
  });
});
