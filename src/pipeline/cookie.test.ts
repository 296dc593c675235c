import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Cookie, decodeCookie, decodeLabel, encodeCookie, features } from "./cookie.ts";
import { namesOf } from "./names.ts";

const cookies: fc.Arbitrary<Cookie> = fc.record(
  {
    feature: fc.constantFrom(...namesOf(features)),
    direction: fc.constantFrom("egress" as const, "ingress" as const),
    verdict: fc.constantFrom("allow" as const, "deny" as const, "pass" as const),
    number: fc.nat({ max: 0xffffffff }),
  },
  { requiredKeys: ["feature", "number"], noNullPrototype: true },
);

test("a cookie is read as it was written", () => {
  fc.assert(
    fc.property(cookies, (cookie) => assert.deepEqual(decodeCookie(encodeCookie(cookie)), cookie)),
  );
});

test("a cookie has the documented layout", () => {
  const cookie = { feature: "rule", direction: "egress", verdict: "deny", number: 0x1234 } as const;
  assert.equal(encodeCookie(cookie), 0x1b_0a_01_02_00001234n);
});

test("features have codes of their own", () => {
  const codes = namesOf(features).map((name) => features[name].code);
  assert.equal(new Set(codes).size, codes.length);
});

test("any other cookie says nothing", () => {
  for (const cookie of [0n, 0x1b_ff_00_00_00000001n, 0x1c_0a_01_02_00000001n, (1n << 64n) - 1n]) {
    assert.equal(decodeCookie(cookie), undefined);
  }
});

test("a label names what admitted the connection at each end", () => {
  assert.deepEqual(decodeLabel((2n << 32n) | 77n), {
    egress: { kind: "rule", number: 77 },
    ingress: { kind: "ownNode" },
  });
  assert.deepEqual(decodeLabel(1n), { egress: { kind: "open" }, ingress: { kind: "notHere" } });
});
