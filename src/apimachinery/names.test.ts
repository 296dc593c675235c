import assert from "node:assert/strict";
import { test } from "node:test";
import * as names from "./names.ts";

const x = "x".repeat.bind("x");

/** For each check: texts that are well formed, and texts with the number of findings. */
const cases: readonly (readonly [
  keyof typeof names & `check${string}`,
  (text: string) => string[],
  readonly string[],
  Readonly<Record<string, number>>,
])[] = [
  [
    "checkDnsLabel",
    names.checkDnsLabel,
    ["a", "a-b", "0", x(63)],
    { "": 1, "a.b": 1, A: 1, "a-": 1, "-a": 1, [x(64)]: 1, [`${x(64)}-`]: 2, "a\n": 1 },
  ],
  [
    "checkDnsSubdomain",
    names.checkDnsSubdomain,
    ["a", "a.b", "1.2", x(253)],
    { "": 1, "a..b": 1, "a.": 1, a_b: 1, [x(254)]: 1 },
  ],
  [
    "checkDns1035Label",
    names.checkDns1035Label,
    ["a", "a1"],
    { "": 1, "1a": 1, "a.b": 1, [x(64)]: 1 },
  ],
  [
    "checkQualifiedName",
    names.checkQualifiedName,
    ["a", "A_b.c-d", "example.com/a", x(63), `a.b/${x(63)}`],
    { "": 2, "a/b/c": 1, "/a": 1, "a/": 2, "-a": 1, "A.com/a": 1, [x(64)]: 1 },
  ],
  [
    "checkLabelValue",
    names.checkLabelValue,
    ["", "a", "A_b.c-d", x(63)],
    { "-": 1, "a b": 1, [x(64)]: 1 },
  ],
  [
    "checkPortName",
    names.checkPortName,
    ["a", "http-alt", "a23456789012345"],
    { "": 2, "80": 1, "a--b": 1, "-a": 1, A: 2, a234567890123456: 1 },
  ],
  [
    "checkEnvironmentName",
    names.checkEnvironmentName,
    ["A", "a.b", "1", "a b"],
    { "": 1, "a=b": 1, é: 1 },
  ],
  [
    "checkConfigKey",
    names.checkConfigKey,
    ["a", ".a", "A_b.c-d"],
    { "": 1, ".": 1, "..": 1, "..a": 1, "a/b": 1 },
  ],
];

for (const [name, check, good, bad] of cases) {
  test(`${name} accepts what is well formed and finds what is not`, () => {
    for (const text of good) assert.deepEqual(check(text), [], text);
    for (const [text, count] of Object.entries(bad)) {
      assert.equal(check(text).length, count, `${text}: ${check(text).join("; ")}`);
    }
  });
}

test("every check of a text is tested", () => {
  const others = ["checkName", "checkNamePrefix", "checkInRange", "checkPortNumber"];
  const exported = Object.keys(names).filter((name) => name.startsWith("check"));
  assert.deepEqual([...cases.map(([name]) => name), ...others].toSorted(), exported.toSorted());
});

test("lengths are counted in bytes", () => {
  assert.equal(names.lengthBytes("aé€😀"), 10);
});

test("a name's prefix may end with a hyphen, a name may not", () => {
  assert.deepEqual(names.checkNamePrefix("label", "web-"), []);
  assert.equal(names.checkName("label", "web-").length, 1);
  assert.equal(names.checkNamePrefix("label", "Web-").length, 1);
  assert.deepEqual(names.checkName("subdomain", "a.b"), []);
  assert.equal(names.checkName("label-1035", "1a").length, 1);
});

test("the texts are upstream's", () => {
  assert.deepEqual(names.checkDnsSubdomain("A"), [
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ]);
  assert.deepEqual(names.checkQualifiedName("a/b/c"), [
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
  ]);
  assert.deepEqual(names.checkPortNumber(0), ["must be between 1 and 65535, inclusive"]);
});
