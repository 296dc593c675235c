import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SelectorError } from "./errors.ts";
import {
  formatLabelSelector,
  formatSelector,
  matchesSelector,
  parseSelector,
  selectorOf,
  type Requirement,
} from "./selector.ts";

const labels = { app: "web", tier: "front", empty: "", count: "5" };

const matches: readonly (readonly [string, boolean])[] = [
  ["", true],
  ["app=web", true],
  ["app==web", true],
  ["app=api", false],
  ["app!=api", true],
  ["app!=web", false],
  ["missing!=x", true],
  ["app in (web,api)", true],
  ["app in (api)", false],
  ["missing in (x)", false],
  ["app notin (api)", true],
  ["app notin (web)", false],
  ["missing notin (x)", true],
  ["app", true],
  ["missing", false],
  ["!missing", true],
  ["!app", false],
  ["empty=", true],
  ["empty", true],
  ["app=", false],
  ["missing=", false],
  ["app in (,web)", true],
  ["empty in ()", true],
  ["app=web,tier=front", true],
  ["app=web, tier=back", false],
  [" app = web , tier in ( front , back ) ", true],
  ["in in (in)", false],
  ["count > 4", true],
  ["count<5", false],
  ["app > 4", false],
  ["constructor", false],
  ["toString=x", false],
];

for (const [text, expected] of matches) {
  test(`the selector "${text}" ${expected ? "matches" : "does not match"}`, () => {
    assert.equal(matchesSelector(parseSelector(text), labels), expected);
  });
}

const malformed: readonly (readonly [string, string])[] = [
  ["app=web,", "found '', expected: identifier after ','"],
  [",", "found ',', expected: !, identifier, or 'end of string'"],
  ["app=web,,b", "found ',', expected: identifier after ','"],
  ["app in web", "found 'web', expected: '('"],
  ["app in (web", "found '', expected: ',' or ')'"],
  ["app is web", "found 'is', expected: in, notin, =, ==, !=, gt, lt"],
  ["app=web x", "found 'x', expected: ',' or 'end of string'"],
  ["!", "found '', expected: identifier"],
  ["a=(b", "found '(', expected: identifier"],
  [
    "a > b",
    "values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
  ],
  ["a=-", "values[0][a]: Invalid value"],
  ["-=a", "key: Invalid value"],
];

for (const [text, message] of malformed) {
  test(`the selector "${text}" is refused`, () => {
    assert.throws(
      () => parseSelector(text),
      (error) => {
        return (
          error instanceof SelectorError &&
          error.message.startsWith(`unable to parse requirement: ${message}`)
        );
      },
    );
  });
}

const key = fc.constantFrom("a", "b", "example.com/c", "in", "notin");
const value = fc.constantFrom("", "x", "y", "in", "notin", "7");
const requirement: fc.Arbitrary<Requirement> = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom("exists" as const, "!" as const),
    values: fc.constant([]),
  }),
  fc.record({
    key,
    operator: fc.constantFrom("=" as const, "!=" as const),
    values: fc.tuple(value),
  }),
  fc.record({
    key,
    operator: fc.constantFrom("in" as const, "notin" as const),
    values: fc.uniqueArray(value, { minLength: 1 }).map((values) => values.toSorted()),
  }),
);

test("a selector's text reads back as the same selector", () => {
  fc.assert(
    fc.property(fc.array(requirement, { maxLength: 4 }), (selector) => {
      const text = formatSelector(selector);
      assert.equal(formatSelector(parseSelector(text)), text);
      const some = fc.sample(fc.dictionary(key, value), { numRuns: 5, seed: 1 });
      for (const each of some) {
        assert.equal(matchesSelector(parseSelector(text), each), matchesSelector(selector, each));
      }
    }),
  );
});

test("any text is a selector or a SelectorError", () => {
  const pieces = fc.array(
    fc.constantFrom("a", "in", "notin", "=", "!", "(", ")", ",", " ", ">", "é"),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        pieces.map((list) => list.join("")),
      ),
      (text) => {
        try {
          matchesSelector(parseSelector(text), { a: "in" });
        } catch (error) {
          assert.ok(error instanceof SelectorError);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test("a LabelSelector object matches as the API says, absence included", () => {
  const object = {
    matchLabels: { app: "web" },
    matchExpressions: [
      { key: "tier", operator: "In", values: ["front"] },
      { key: "zone", operator: "NotIn", values: ["x"] },
      { key: "count", operator: "Exists" },
      { key: "gone", operator: "DoesNotExist" },
    ],
  };
  assert.equal(matchesSelector(selectorOf(object), labels), true);
  assert.equal(matchesSelector(selectorOf(object), { ...labels, zone: "x" }), false);
  assert.equal(matchesSelector(selectorOf(object), { ...labels, gone: "" }), false);
  assert.equal(matchesSelector(selectorOf({}), undefined), true);
  assert.equal(formatLabelSelector(object), "app=web,count,!gone,tier in (front),zone notin (x)");
  assert.equal(formatLabelSelector({}), "<none>");
  assert.equal(
    formatLabelSelector({ matchExpressions: [{ key: "a", operator: "Near" }] }),
    "<error>",
  );
  for (const bad of [
    { key: "a", operator: "In" },
    { key: "a", operator: "Exists", values: ["b"] },
    { key: "a", operator: "constructor" },
  ]) {
    assert.throws(() => selectorOf({ matchExpressions: [bad] }), SelectorError);
  }
});
