import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeObject, validateObject } from "../apimachinery/object.ts";
import { parseAddress } from "../net/address.ts";
import { loadBalancerAddressKind, nameOfAddress } from "./load-balancer-address.ts";
import { loadBalancerKind } from "./load-balancer.ts";
import { loadBalancerPoolKind } from "./load-balancer-pool.ts";

function problemsOf(spec: object): string[] {
  const body = { metadata: { name: "edge" }, spec };
  const { object } = decodeObject(loadBalancerPoolKind, body, "Strict");
  return validateObject(loadBalancerPoolKind, object).map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

test("a pool's addresses are ranges of addresses that hosts can have, each once", () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["192.0.2.1"], /spec\.addresses\[0\].*must be a CIDR or a range/],
    [["192.0.2.9-192.0.2.1"], /must be a CIDR or a range/],
    [["192.0.2.0/28", "192.0.2.4-192.0.2.5"], /\[1\].*must not overlap 192\.0\.2\.0\/28/],
    [["192.0.2.0/28", "192.0.2.0-192.0.2.15"], /\[1\]: Duplicate/],
    [["224.0.0.0/30"], /must not have addresses of 224/],
    [["fe80::/64"], /must not have addresses of fe80/],
    [["0.0.0.0/0"], /must not have addresses of/],
    [[], /should have at least 1 items/],
  ];
  for (const [addresses, expected] of cases) {
    assert.match(problemsOf({ addresses }).join("\n"), expected);
  }
  assert.deepEqual(problemsOf({ addresses: ["192.0.2.0/28", "2001:db8::1-2001:db8::9"] }), []);
});

test("a pool's selectors, class and interfaces are checked", () => {
  const addresses = ["192.0.2.0/28"];
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ loadBalancerClass: "-x" }, /spec\.loadBalancerClass/],
    [{ serviceSelector: { matchLabels: { "a b": "c" } } }, /spec\.serviceSelector\.matchLabels/],
    [
      { namespaceSelector: { matchExpressions: [{ key: "a", operator: "In" }] } },
      /spec\.namespaceSelector\.matchExpressions\[0\]\.values/,
    ],
    [{ announcement: { interfaces: ["a/b"] } }, /spec\.announcement\.interfaces\[0\]/],
  ];
  for (const [more, expected] of cases) {
    assert.match(problemsOf({ addresses, ...more }).join("\n"), expected);
  }
});

test("an address's object has the address's name, so that there is one of it", () => {
  assert.equal(nameOfAddress(parseAddress("192.0.2.1")), "192.0.2.1");
  assert.equal(nameOfAddress(parseAddress("2001:db8::1")), "2001-db8-0-0-0-0-0-1");
  const problems = (name: string, address: string): string[] => {
    const body = { metadata: { name }, spec: { address, pool: "edge", holders: [] } };
    const { object } = decodeObject(loadBalancerAddressKind, body, "Strict");
    return validateObject(loadBalancerAddressKind, object).map(({ field }) => field);
  };
  assert.deepEqual(problems("192.0.2.1", "192.0.2.1"), []);
  assert.deepEqual(problems("192.0.2.2", "192.0.2.1"), ["metadata.name"]);
  assert.deepEqual(problems("2001-db8-0-0-0-0-0-1", "2001:DB8::1"), ["spec.address"]);
});

test("a LoadBalancer's ports, members and health check are checked", () => {
  const fine = { ports: [{ port: 80 }], members: [{ address: "192.0.2.9" }] };
  const problems = (more: object): string => {
    const body = { metadata: { name: "mixed", namespace: "shop" }, spec: { ...fine, ...more } };
    const { object } = decodeObject(loadBalancerKind, body, "Strict");
    return validateObject(loadBalancerKind, object)
      .map(({ field, message }) => `${field}: ${message}`)
      .join("\n");
  };
  assert.equal(problems({}), "");
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ ports: [{ port: 0 }] }, /spec\.ports\[0\]\.port/],
    [{ ports: [{ port: 80 }, { port: 81 }] }, /spec\.ports\[0\]\.name: Required/],
    [
      {
        ports: [
          { name: "a", port: 80 },
          { name: "b", port: 80 },
        ],
      },
      /spec\.ports\[1\]: Duplicate/,
    ],
    [{ members: [{}] }, /spec\.members\[0\].*exactly one of/],
    [{ members: [{ endpoint: "a", address: "192.0.2.1" }] }, /exactly one of/],
    [{ members: [{ address: "192.0.2" }] }, /spec\.members\[0\]\.address/],
    [{ members: [{ address: "192.0.2.1", weight: 101 }] }, /spec\.members\[0\]\.weight/],
    [{ addresses: ["192.0.2.1", "192.0.2.2"] }, /spec\.addresses\[1\]: Duplicate/],
    [{ addresses: ["2001:db8::1"], families: ["IPv4"] }, /must be of one of spec\.families/],
    [{ healthCheck: { path: "live" } }, /spec\.healthCheck\.path/],
    [{ healthCheck: { expectedStatuses: ["300-200"] } }, /expectedStatuses\[0\]/],
    [{ healthCheck: { timeoutSeconds: 9 } }, /must not be longer than the interval/],
    [{ healthCheck: { intervalSeconds: 0 } }, /spec\.healthCheck\.intervalSeconds/],
    [{ affinitySeconds: 0 }, /spec\.affinitySeconds/],
  ];
  for (const [more, expected] of cases) assert.match(problems(more), expected);
});
