import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LabelSelector, SelectorRequirement } from "../model/policy.ts";
import { compilePolicy } from "./compile.ts";
import { defineEndpoints, defineNetworks } from "./definition.ts";
import { identityIdOf } from "./identity.ts";

function idOf(endpoints: Partial<LabelSelector>, zones?: Partial<LabelSelector>): string {
  const whole = { matchLabels: {}, matchExpressions: [], ...endpoints };
  return defineEndpoints({
    zones:
      zones === undefined
        ? { kind: "name", name: "shop" }
        : { kind: "labels", selector: { matchLabels: {}, matchExpressions: [], ...zones } },
    endpoints: whole,
  }).id;
}

function requirement(
  key: string,
  operator: SelectorRequirement["operator"],
  ...values: readonly string[]
): SelectorRequirement {
  return { key, operator, values };
}

describe("group ids", () => {
  test("are equal for selectors that ask for the same", () => {
    const forms: readonly Partial<LabelSelector>[] = [
      { matchLabels: { app: "web", tier: "a" } },
      { matchLabels: { tier: "a", app: "web" } },
      { matchLabels: { app: "web" }, matchExpressions: [requirement("tier", "In", "a")] },
      {
        matchExpressions: [requirement("tier", "In", "a", "a"), requirement("app", "In", "web")],
      },
    ];
    assert.deepEqual(new Set(forms.map((form) => idOf(form))), new Set(["shop app=web,tier=a"]));
  });

  test("differ for selectors that ask for something else", () => {
    const ids = [
      idOf({}),
      idOf({}, {}),
      idOf({ matchLabels: { app: "web" } }),
      idOf({ matchLabels: { app: "web" } }, { matchLabels: { app: "web" } }),
      idOf({ matchLabels: { "app=web": "" } }),
      idOf({ matchLabels: { app: "" } }),
      idOf({ matchExpressions: [requirement("app", "In", "a", "b")] }),
      idOf({ matchExpressions: [requirement("app", "In", "a,b")] }),
      idOf({ matchExpressions: [requirement("app", "In")] }),
      idOf({ matchExpressions: [requirement("app", "NotIn", "a", "b")] }),
      idOf({ matchExpressions: [requirement("app", "Exists")] }),
      idOf({ matchExpressions: [requirement("app", "DoesNotExist")] }),
      idOf({ matchExpressions: [requirement("!app", "Exists")] }),
      idOf({ matchExpressions: [requirement('"!app"', "Exists")] }),
      idOf({ matchExpressions: [requirement("*", "Exists")] }),
      idOf({ matchLabels: { app: "web" }, matchExpressions: [requirement("app", "Exists")] }),
    ];
    assert.equal(new Set(ids).size, ids.length, ids.join("\n"));
  });

  test("of networks are canonical, and a network that cannot be read is no network", () => {
    const group = defineNetworks([
      { cidr: "192.0.2.7/24", except: [] },
      { cidr: "10.0.0.0/8", except: ["10.2.0.0/16", "10.1.0.0/16"] },
      { cidr: "192.0.2.0/24", except: [] },
      { cidr: "10.0.0.0/33", except: [] },
      { cidr: "0.0.0.0/0", except: ["10.0.0.1"] },
    ]);
    assert.equal(group?.id, "(10.0.0.0/8!10.1.0.0/16!10.2.0.0/16,192.0.2.0/24)");
    assert.equal(group.networks.length, 2);
    assert.equal(defineNetworks([{ cidr: "", except: [] }]), undefined);
  });
});

test("no labels, names or ports can be chosen so that two identities have one id", () => {
  const everything = { hasLabel: () => true, hasPort: () => true };
  const base = { id: "x", addresses: [], mac: "", node: undefined, labels: {}, namedPorts: [] };
  const http = { name: "http", protocol: "TCP", port: 80 } as const;
  const endpoints = [
    { ...base, domain: "a", zone: "b" },
    { ...base, domain: "a b", zone: "c" },
    { ...base, domain: "a", zone: "b c" },
    { ...base, domain: "a", zone: "b", labels: { k: "v" } },
    { ...base, domain: "a", zone: "b k=v" },
    { ...base, domain: "a", zone: "b", labels: { k: "v,l=w" } },
    { ...base, domain: "a", zone: "b", labels: { k: "v", l: "w" } },
    { ...base, domain: "a", zone: "b", labels: { k: '"v"' } },
    { ...base, domain: "a", zone: "b", namedPorts: [http] },
    { ...base, domain: "a", zone: "b", labels: { ":TCP/http": "80" } },
    { ...base, domain: "a", zone: "b", namedPorts: [{ ...http, name: "http=80 :TCP/x" }] },
  ];
  const ids = endpoints.map((endpoint) => identityIdOf(endpoint, everything));
  assert.equal(new Set(ids).size, ids.length, ids.join("\n"));
});

test("services that cannot be read match nothing", () => {
  const service = (from: number, to: number) =>
    ({ kind: "ports", protocol: "TCP", from, to }) as const;
  const { rules } = compilePolicy({
    id: "p",
    tier: "networkpolicy",
    priority: 0,
    subject: {
      zones: { kind: "name", name: "shop" },
      endpoints: { matchLabels: {}, matchExpressions: [] },
    },
    isolates: ["ingress"],
    ingress: [
      {
        index: 0,
        action: "allow",
        peers: "any",
        services: [
          service(80, 79),
          service(-1, 80),
          service(80, 65_536),
          service(1.5, 2.5),
          { kind: "invalid", reason: "a test" },
          service(0, 65_535),
        ],
      },
    ],
    egress: [],
  });
  assert.deepEqual(rules[0]?.ports, [{ protocol: "TCP", from: 0, to: 65_535 }]);
});
