import assert from "node:assert/strict";
import { test } from "node:test";
import { kinds } from "../kinds/kinds.ts";
import { checkManifest } from "./check-manifest.ts";
import { ManifestError } from "./errors.ts";
import { parseManifests } from "./manifest.ts";

function check(text: string): void {
  for (const manifest of parseManifests(text, "test.yaml")) checkManifest(kinds, manifest);
}

function policy(peer: string, apiVersion = "networking.k8s.io/v1"): string {
  return `
apiVersion: ${apiVersion}
kind: NetworkPolicy
metadata: { name: p }
spec: { podSelector: {}, ingress: [{ from: [${peer}] }] }`;
}

test("what an API server would take passes", () => {
  check(policy("{ ipBlock: { cidr: 10.0.0.0/8 } }"));
  check("{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }");
});

test("what it would refuse is refused in its words", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    [
      policy("{ ipBlock: { cidr: 10.0.0/8 } }"),
      /"p" is invalid: .*from\[0\].ipBlock.cidr: Invalid/,
    ],
    [policy("{ podSelector: {}, pods: {} }"), /unknown field "spec.ingress\[0\].from\[0\].pods"/],
    [policy("everyone"), /spec.ingress\[0\].from\[0\]/],
    [policy("{}", "networking.k8s.io/v2"), /no matches for kind "NetworkPolicy" in version/],
    ["{ apiVersion: v1, kind: Namespace, metadata: { name: Shop } }", /metadata.name: Invalid/],
  ];
  for (const [text, message] of refused) {
    assert.throws(() => check(text), { name: ManifestError.name, message });
  }
});
