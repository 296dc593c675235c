import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { audit, type AuditInput, type findingKinds, locate } from "./audit.ts";
import { NetworkLedger } from "./network-ledger.ts";

const endpoint = {
  id: "z/a",
  domain: "d",
  network: "z/n",
  addresses: ["10.0.0.1", "fd00::1"],
  podUid: "1",
  kept: false,
};
const network = {
  id: "z/n",
  zone: "z",
  domain: "d",
  cidrs: ["10.0.0.0/28", "fd00::/124"],
  ledger: NetworkLedger.parse({ allocated: "1" }),
};
const sound: AuditInput = {
  domains: [{ name: "d", pools: ["10.0.0.0/24", "fd00::/120"] }],
  networks: [network],
  endpoints: [endpoint],
  pods: [{ id: "z/a", uid: "1", addresses: ["10.0.0.1"] }],
};

const faults: Record<keyof typeof findingKinds, [Partial<AuditInput>, string]> = {
  duplicate: [
    { endpoints: [endpoint, { ...endpoint, id: "z/b", podUid: undefined }] },
    "Endpoint z/a: 10.0.0.1 of domain d is also of z/b",
  ],
  "no-domain": [
    {
      networks: [network, { ...network, id: "z/m", domain: "e", ledger: NetworkLedger.parse({}) }],
    },
    'Network z/m: domain "e" does not exist',
  ],
  "pools-overlap": [
    { domains: [{ name: "d", pools: ["10.0.0.0/24", "fd00::/120", "10.0.0.0/8"] }] },
    "Domain d: 10.0.0.0/8 and 10.0.0.0/24",
  ],
  "outside-pools": [
    { domains: [{ name: "d", pools: ["10.0.0.0/24"] }] },
    'Network z/n: fd00::/124 is not in the pools of domain "d" (10.0.0.0/24)',
  ],
  "networks-overlap": [
    {
      networks: [
        network,
        { ...network, id: "y/n", cidrs: ["10.0.0.8/29"], ledger: NetworkLedger.parse({}) },
      ],
    },
    "Network y/n: 10.0.0.8/29 is also of network z/n (10.0.0.0/28)",
  ],
  "no-network": [
    {
      endpoints: [
        endpoint,
        { ...endpoint, id: "z/v", network: "z/x", addresses: ["10.0.0.5"], podUid: undefined },
      ],
    },
    "Endpoint z/v: network z/x does not exist",
  ],
  "outside-network": [
    { endpoints: [{ ...endpoint, addresses: ["10.0.0.1", "fd00::1:1"] }] },
    "Endpoint z/a: fd00::1:1 is not in network z/n (10.0.0.0/28, fd00::/124)",
  ],
  "no-pod": [{ pods: [] }, "Endpoint z/a: its pod does not exist, has ended or is on no node"],
  "no-endpoint": [
    { pods: [...sound.pods, { id: "z/b", uid: "2", addresses: [] }] },
    "Pod z/b: it has no endpoint, and no address",
  ],
  "other-address": [
    { pods: [{ id: "z/a", uid: "1", addresses: ["10.9.9.9"] }] },
    "Pod z/a: its status says 10.9.9.9, its endpoint 10.0.0.1, fd00::1; make the pod anew",
  ],
  "not-reserved": [
    { networks: [{ ...network, ledger: NetworkLedger.parse({}) }] },
    "Network z/n: 10.0.0.1, fd00::1 is endpoint z/a's, and not written down as taken",
  ],
  leaked: [
    { networks: [{ ...network, ledger: NetworkLedger.parse({ allocated: "1,7" }) }] },
    "Network z/n: 10.0.0.7, fd00::7 is taken, and no endpoint has it",
  ],
};

describe("audit", () => {
  test("nothing is found where all is as it should be", () => {
    assert.deepEqual(audit(sound), []);
    assert.deepEqual(audit({ ...sound, endpoints: [{ ...endpoint, kept: true }], pods: [] }), []);
  });

  for (const [kind, [change, expected]] of Object.entries(faults)) {
    test(`finds ${kind}`, () => {
      const found = audit({ ...sound, ...change });
      const texts = found
        .filter((finding) => finding.kind === kind)
        .map(({ object, message }) => `${object}: ${message}`);
      assert.equal(texts[0], expected, JSON.stringify(found));
      // Two endpoints with two addresses each are four findings; whatever else is found follows from the same fault.
      assert.ok(
        found.every((finding) => finding.kind === kind),
        JSON.stringify(found),
      );
    });
  }

  test("overlaps are found across others that lie between", () => {
    const cidrs = ["10.0.0.0/24", "10.0.0.16/28", "10.0.0.64/28"];
    const networks = cidrs.map((cidr, index) => ({
      ...network,
      id: `z/${index}`,
      cidrs: [cidr],
      ledger: NetworkLedger.parse({}),
    }));
    const found = audit({ ...sound, networks, endpoints: [], pods: [] });
    assert.deepEqual(
      found.map(({ object }) => object),
      ["Network z/1", "Network z/2"],
    );
  });

  test("says whose an address is, and what about one that is nobody's", () => {
    const ledger = NetworkLedger.parse({
      allocated: "1-2",
      resting: [{ offsets: "3", until: "2026-01-01T00:00:00Z" }],
    });
    const input = { ...sound, networks: [{ ...network, ledger }] };
    const now = Date.parse("2025-12-31T23:59:00Z");
    const stateOf = (address: string): string | undefined => locate(input, address, now)[0]?.state;
    assert.deepEqual(locate(input, "fd00::1", now)[0]?.endpoints, ["z/a"]);
    assert.equal(stateOf("10.0.0.1"), "endpoint");
    assert.equal(stateOf("10.0.0.2"), "taken");
    assert.equal(stateOf("10.0.0.3"), "resting");
    assert.equal(stateOf("10.0.0.4"), "free");
    assert.equal(stateOf("10.0.0.0"), "not given out");
    assert.equal(stateOf("10.0.0.99"), "in no network");
    assert.equal(stateOf("192.0.2.1"), undefined);
  });
});
