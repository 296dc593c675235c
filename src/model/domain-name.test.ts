import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalDomainName, canonicalNamePattern, matchesDomainName } from "./domain-name.ts";

const canonicalForms: readonly (readonly [string, string | undefined])[] = [
  ["Example.COM.", "example.com"],
  ["example.com", "example.com"],
  ["_sip._tcp.example.com", "_sip._tcp.example.com"],
  ["a".repeat(63), "a".repeat(63)],
  ["a".repeat(64), undefined],
  [`${"a.".repeat(126)}a`, `${"a.".repeat(126)}a`],
  [`${"a.".repeat(127)}a`, undefined],
  ["", undefined],
  [".", undefined],
  ["a..b", undefined],
  ["-a.b", undefined],
  ["a b", undefined],
  ["*.a", undefined],
  ["exämple.com", undefined],
];
for (const [text, expected] of canonicalForms) {
  test(`the name ${JSON.stringify(text)} is ${expected ?? "none"}`, () => {
    assert.equal(canonicalDomainName(text), expected);
  });
}

test("a pattern may begin with a wildcard, and nowhere else have one", () => {
  assert.equal(canonicalNamePattern("*.Example.com."), "*.example.com");
  assert.equal(canonicalNamePattern("example.com"), "example.com");
  for (const text of ["*", "*.", "*.*.com", "a*.com", "www.*.com", "*example.com"]) {
    assert.equal(canonicalNamePattern(text), undefined, text);
  }
});

// The examples of upstream's DomainName.
const matches: readonly (readonly [string, string, boolean])[] = [
  ["kubernetes.io", "kubernetes.io", true],
  ["kubernetes.io", "www.kubernetes.io", false],
  ["kubernetes.io", "my-kubernetes.io", false],
  ["*.kubernetes.io", "www.kubernetes.io", true],
  ["*.kubernetes.io", "latest.blog.kubernetes.io", true],
  ["*.kubernetes.io", "kubernetes.io", false],
  ["*.kubernetes.io", "my-kubernetes.io", false],
  ["*.kubernetes.io", "wikipedia.org", false],
];
for (const [pattern, name, expected] of matches) {
  test(`${pattern} ${expected ? "matches" : "does not match"} ${name}`, () => {
    assert.equal(matchesDomainName(pattern, name), expected);
  });
}
