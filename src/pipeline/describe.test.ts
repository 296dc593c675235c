import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cookie, refusals } from "./cookie.ts";
import { describeAdmission, describeCookie } from "./describe.ts";
import { tables } from "./tables.ts";

const keys = new Map([
  ["rule 16", "web-to-db"],
  ["identity 17", "db"],
]);

function keyOf(kind: string, number: number): string | undefined {
  return keys.get(`${kind} ${number}`);
}

test("a cookie is described with the ids that its number stands for", () => {
  const described: readonly (readonly [Cookie, string])[] = [
    [
      { feature: "rule", direction: "egress", verdict: "allow", number: 16 },
      "egress rule web-to-db allow",
    ],
    [
      { feature: "posture", direction: "ingress", verdict: "deny", number: 17 },
      "ingress posture db deny",
    ],
    [
      { feature: "miss", verdict: "deny", number: tables.EgressRule.number },
      "miss EgressRule deny",
    ],
    [
      { feature: "refusal", verdict: "deny", number: refusals.noEndpoint },
      "refusal noEndpoint deny",
    ],
    [{ feature: "port", number: 3 }, "port 3"],
    [{ feature: "clause", number: 0 }, "clause"],
    [{ feature: "rule", direction: "egress", verdict: "deny", number: 99 }, "egress rule #99 deny"],
  ];
  for (const [cookie, text] of described) assert.equal(describeCookie(cookie, keyOf), text);
});

test("what admitted a connection is described", () => {
  assert.equal(describeAdmission({ kind: "rule", number: 16 }, keyOf), "rule web-to-db");
  assert.equal(describeAdmission({ kind: "rule", number: 20 }, keyOf), "rule #20");
  for (const kind of ["notHere", "open", "ownNode"] as const) {
    assert.match(describeAdmission({ kind }, keyOf), /\w/);
  }
});
