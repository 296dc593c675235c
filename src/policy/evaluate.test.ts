import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Endpoint } from "../model/endpoint.ts";
import type { Action, Policy, Rule, Tier } from "../model/policy.ts";
import { matchesEverything } from "../model/selector.ts";
import { evaluate } from "./evaluate.ts";
import type { Packet } from "./packet.ts";
import { PolicyModel, type PolicyModelObjects } from "./policy-model.ts";

function endpoint(id: string, address: string, more: Partial<Endpoint> = {}): Endpoint {
  const [zone = ""] = id.split("/");
  return {
    id,
    zone,
    labels: {},
    namedPorts: [],
    domain: "default",
    addresses: [address],
    mac: "",
    node: "n1",
    ...more,
  };
}

const everyone = {
  kind: "endpoints",
  zones: { kind: "labels", selector: matchesEverything },
  endpoints: matchesEverything,
} as const;

function rule(action: Action, more: Partial<Rule> = {}): Rule {
  return { index: 0, action, peers: "any", services: "any", ...more };
}

/** A policy for ingress to everything in zone a. */
function policy(
  id: string,
  tier: Tier,
  rules: readonly Rule[],
  more: Partial<Policy> = {},
): Policy {
  return {
    id,
    tier,
    priority: 0,
    subject: { zones: { kind: "name", name: "a" }, endpoints: matchesEverything },
    isolates: [],
    ingress: rules.map((each, index) => ({ ...each, index })),
    egress: [],
    ...more,
  };
}

function model(policies: readonly Policy[], more: Partial<PolicyModelObjects> = {}): PolicyModel {
  return new PolicyModel({
    zones: ["a", "b"].map((name) => ({ name, labels: {} })),
    endpoints: [
      endpoint("a/1", "10.0.0.1"),
      endpoint("b/1", "10.0.0.2"),
      endpoint("b/2", "10.0.0.3"),
    ],
    policies,
    nodes: [{ name: "n1", labels: {}, addresses: ["172.18.0.1"], knownAddresses: ["172.18.0.1"] }],
    domains: [{ name: "default", vni: 1, pools: ["10.0.0.0/16"] }],
    ...more,
  });
}

const packet: Packet = {
  source: { kind: "endpoint", id: "b/1" },
  destination: { kind: "endpoint", id: "a/1" },
  protocol: "TCP",
  destinationPort: 80,
};

function decided(...policies: Policy[]): string {
  const { ingress } = evaluate(model(policies), packet);
  const by = ingress.kind === "rule" ? ` by ${ingress.policy} rule ${ingress.rule}` : "";
  return `${ingress.verdict} ${ingress.kind}${by}`;
}

describe("tiers", () => {
  const isolating = policy("np", "networkpolicy", [], { isolates: ["ingress"] });
  const opening = policy("np", "networkpolicy", [rule("allow")], { isolates: ["ingress"] });

  test("admin decides before isobar, isobar before networkpolicy, networkpolicy before baseline", () => {
    const admin = policy("admin", "admin", [rule("deny")]);
    const isobar = policy("isobar", "isobar", [rule("allow")]);
    const baseline = policy("baseline", "baseline", [rule("deny")]);
    assert.equal(decided(baseline, isolating, isobar, admin), "deny rule by admin rule 0");
    assert.equal(decided(baseline, isolating, isobar), "allow rule by isobar rule 0");
    assert.equal(decided(baseline, isolating), "deny isolated");
    assert.equal(decided(baseline, opening), "allow rule by np rule 0");
    assert.equal(decided(baseline), "deny rule by baseline rule 0");
    assert.equal(decided(), "allow default");
  });

  test("an admin rule overrules isolation in both ways", () => {
    assert.equal(
      decided(policy("x", "admin", [rule("allow")]), isolating),
      "allow rule by x rule 0",
    );
    assert.equal(decided(policy("x", "admin", [rule("deny")]), opening), "deny rule by x rule 0");
  });

  test("pass ends its tier, also for the tier's later policies, and leaves the rest to the next", () => {
    const pass = policy("pass", "admin", [rule("pass"), rule("deny")]);
    const later = policy("zlater", "admin", [rule("deny")], { priority: 1 });
    assert.equal(decided(pass, later), "allow default");
    assert.equal(decided(pass, later, isolating), "deny isolated");
  });

  test("pass in baseline leaves the domain's default", () => {
    assert.equal(decided(policy("b", "baseline", [rule("pass"), rule("deny")])), "allow default");
  });

  test("lower priority numbers are tried first, then rules in their order", () => {
    const first = policy("z", "isobar", [rule("allow"), rule("deny")], { priority: 1 });
    const second = policy("a", "isobar", [rule("deny")], { priority: 2 });
    assert.equal(decided(second, first), "allow rule by z rule 0");
  });

  test("policies of equal priority are tried by id", () => {
    const b = policy("b", "admin", [rule("deny")]);
    const c = policy("c", "admin", [rule("allow")]);
    assert.equal(decided(c, b), "deny rule by b rule 0");
    assert.equal(decided(b, c), "deny rule by b rule 0");
  });

  test("a rule that does not match leaves the decision to the next", () => {
    const other = rule("deny", {
      services: [{ kind: "ports", protocol: "TCP", from: 81, to: 90 }],
    });
    assert.equal(decided(policy("x", "admin", [other, rule("allow")])), "allow rule by x rule 1");
  });

  test("only allow has an effect in networkpolicy", () => {
    const odd = policy("np", "networkpolicy", [rule("deny"), rule("pass"), rule("allow")]);
    assert.equal(decided(odd), "allow rule by np rule 2");
  });

  test("the subject may be chosen by labels of zones", () => {
    const subject = {
      zones: { kind: "labels", selector: matchesEverything },
      endpoints: matchesEverything,
    } as const;
    assert.equal(
      decided(policy("x", "admin", [rule("deny")], { subject })),
      "deny rule by x rule 0",
    );
  });

  test("its own node reaches an endpoint before any tier", () => {
    const closed = model([policy("x", "admin", [rule("deny")])]);
    const fromNode: Packet = { ...packet, source: { kind: "node", name: "n1" } };
    assert.deepEqual(evaluate(closed, fromNode).ingress, { kind: "own-node", verdict: "allow" });
    const fromAddress: Packet = { ...packet, source: { kind: "address", address: "172.18.0.1" } };
    assert.equal(evaluate(closed, fromAddress).ingress.kind, "own-node");
  });
});

describe("nodes", () => {
  const closed = policy("np", "networkpolicy", [], { isolates: ["ingress", "egress"] });

  test("an endpoint's way to its own node is for its policies to decide", () => {
    const toNode: Packet = {
      ...packet,
      source: packet.destination,
      destination: { kind: "node", name: "n1" },
    };
    assert.equal(evaluate(model([closed]), toNode).egress.kind, "isolated");
  });

  test("an endpoint that is on no node yet has no node of its own", () => {
    const endpoints = [endpoint("a/1", "10.0.0.1", { node: undefined })];
    const fromNode: Packet = { ...packet, source: { kind: "node", name: "n1" } };
    assert.equal(evaluate(model([closed], { endpoints }), fromNode).ingress.kind, "isolated");
  });
});

describe("rules", () => {
  test("empty lists of peers or services match nothing", () => {
    assert.equal(decided(policy("x", "admin", [rule("deny", { peers: [] })])), "allow default");
    assert.equal(decided(policy("x", "admin", [rule("deny", { services: [] })])), "allow default");
  });

  test("invalid parts match nothing", () => {
    const invalid = { kind: "invalid", reason: "" } as const;
    for (const bad of [
      { peers: [invalid] },
      { services: [invalid] },
      { peers: [{ kind: "network", cidr: "10.0.0.0/99", except: [] }] },
      { peers: [{ kind: "network", cidr: "10.0.0.0/8", except: ["x"] }] },
    ] as const) {
      assert.equal(decided(policy("x", "admin", [rule("allow", bad)])), "allow default");
    }
  });

  test("a packet without a port matches only services without one", () => {
    const { destinationPort: _, ...portless } = packet;
    const verdictFor = (services: Rule["services"]) =>
      evaluate(model([policy("x", "admin", [rule("deny", { services })])]), portless).verdict;
    assert.equal(verdictFor([{ kind: "ports", protocol: "TCP", from: 0, to: 65535 }]), "allow");
    assert.equal(verdictFor([{ kind: "protocol", protocol: "TCP" }]), "deny");
    assert.equal(verdictFor([{ kind: "protocol", protocol: "UDP" }]), "allow");
    assert.equal(verdictFor("any"), "deny");
  });

  test("ICMP matches no service, whatever port the packet is given", () => {
    const services = (["TCP", "UDP", "SCTP"] as const).map(
      (protocol) => ({ kind: "protocol", protocol }) as const,
    );
    const guarded = model([policy("x", "admin", [rule("deny", { services })])]);
    assert.equal(evaluate(guarded, { ...packet, protocol: "ICMP" }).verdict, "allow");
  });

  test("selectors match an endpoint that has no address yet, networks do not", () => {
    const fresh = {
      endpoints: [endpoint("a/1", "10.0.0.1"), endpoint("b/1", "", { addresses: [] })],
    };
    const denies = (peers: Rule["peers"]) =>
      evaluate(model([policy("x", "admin", [rule("deny", { peers })])], fresh), packet).verdict;
    assert.equal(denies([everyone]), "deny");
    assert.equal(denies([{ kind: "network", cidr: "0.0.0.0/0", except: [] }]), "allow");
  });
});

describe("what is unknown is denied", () => {
  const b2 = { kind: "endpoint", id: "b/2" } as const;
  const at = (address: string) => ({ ...packet, source: { kind: "address", address } as const });
  const table: [string, Packet, RegExp][] = [
    [
      "an endpoint that does not exist",
      { ...packet, source: { kind: "endpoint", id: "b/9" } },
      /no endpoint b\/9/,
    ],
    [
      "a node that does not exist",
      { ...packet, source: { kind: "node", name: "n9" } },
      /no node n9/,
    ],
    ["an address that is none", at("10.0.0.999"), /no IPv4 or IPv6/],
    ["an address of the pools that nobody has", at("10.0.9.9"), /no endpoint has the address/],
    ["a loopback address", at("127.0.0.1"), /not routed/],
    ["an unspecified address", at("0.0.0.0"), /not routed/],
    [
      "a multicast destination",
      { ...packet, destination: { kind: "address", address: "224.0.0.1" } },
      /not routed/,
    ],
    ["the broadcast address", at("255.255.255.255"), /not routed/],
    ["the IPv6 loopback address", at("::1"), /not routed/],
    ["an IPv6 link-local address", at("fe80::1"), /not routed/],
    ["two ends without a common family", at("2001:db8::1"), /common family/],
    ["a family that an end has not", { ...packet, source: b2, family: 6 }, /for IPv6/],
    ["a port above 65535", { ...packet, destinationPort: 65536 }, /65536 is no port/],
    ["a port below 0", { ...packet, destinationPort: -1 }, /no port/],
    ["half a port", { ...packet, destinationPort: 80.5 }, /no port/],
    ["a domain that does not exist", { ...packet, domain: "red" }, /not in domain red/],
  ];
  for (const [name, unknown, reason] of table) {
    test(name, () => {
      const { verdict, egress, ingress } = evaluate(model([]), unknown);
      assert.equal(verdict, "deny");
      assert.deepEqual(egress, ingress);
      assert.ok(ingress.kind === "unknown" && reason.test(ingress.reason), JSON.stringify(ingress));
    });
  }

  test("an endpoint whose zone or domain does not exist", () => {
    for (const more of [{ zone: "gone" }, { domain: "gone" }]) {
      const endpoints = [endpoint("a/1", "10.0.0.1", more), endpoint("b/1", "10.0.0.2")];
      assert.equal(evaluate(model([], { endpoints }), packet).verdict, "deny");
      const back = { ...packet, source: packet.destination, destination: packet.source };
      assert.equal(evaluate(model([], { endpoints }), back).verdict, "deny");
    }
  });

  test("an address that two endpoints claim, also when there are three or it is in no pool", () => {
    for (const count of [2, 3]) {
      for (const address of ["10.0.0.2", "192.168.0.2"]) {
        const claiming = Array.from({ length: count }, (_, i) => endpoint(`b/${i}`, address));
        const endpoints = [...claiming, endpoint("a/1", "10.0.0.1")];
        assert.deepEqual(evaluate(model([], { endpoints }), at(address)).ingress, {
          kind: "unknown",
          verdict: "deny",
          reason: `several endpoints claim ${address}`,
        });
      }
    }
  });
});

const ten2 = { kind: "address", address: "10.0.0.2" } as const;

function fromTen2(id: string): Packet {
  return { ...packet, source: ten2, destination: { kind: "endpoint", id } };
}

describe("domains", () => {
  const twins = {
    endpoints: [
      endpoint("a/1", "10.0.0.1", { domain: "red" }),
      endpoint("a/2", "10.0.0.2", { domain: "red" }),
      endpoint("b/1", "10.0.0.1", { domain: "blue" }),
      endpoint("b/2", "10.0.0.2", { domain: "blue" }),
    ],
    domains: ["red", "blue"].map((name, i) => ({ name, vni: i + 1, pools: ["10.0.0.0/16"] })),
  };
  const two = model([policy("x", "admin", [rule("deny")])], twins);

  test("an address is looked up in the domain of the other end", () => {
    assert.equal(evaluate(two, fromTen2("a/1")).ingress.kind, "rule");
    assert.equal(evaluate(two, fromTen2("b/1")).ingress.kind, "default");
  });

  test("two addresses need a domain to be named", () => {
    const ten1 = { kind: "address", address: "10.0.0.1" } as const;
    const between = { ...packet, source: ten2, destination: ten1 };
    assert.equal(evaluate(two, between).ingress.kind, "unknown");
    assert.equal(evaluate(two, { ...between, domain: "red" }).ingress.kind, "rule");
    assert.equal(evaluate(two, { ...between, domain: "blue" }).ingress.kind, "default");
  });

  test("endpoints of two domains do not reach one another", () => {
    const across = { ...packet, source: { kind: "endpoint", id: "b/2" } as const };
    assert.equal(evaluate(two, across).ingress.kind, "unknown");
  });
});

test("an address stands for its family, also where both ends have both", () => {
  const allowed = { kind: "network", cidr: "fd00::/64", except: [] } as const;
  const only6 = policy("np", "networkpolicy", [rule("allow", { peers: [allowed] })], {
    isolates: ["ingress"],
  });
  const endpoints = [
    endpoint("a/1", "10.0.0.1", { addresses: ["10.0.0.1", "fd00::1"] }),
    endpoint("b/1", "10.0.0.2", { addresses: ["10.0.0.2", "fd00::2"] }),
  ];
  const dual = model([only6], { endpoints });
  const from = (address: string): Packet => ({ ...packet, source: { kind: "address", address } });
  assert.equal(evaluate(dual, from("fd00::2")).verdict, "allow");
  assert.equal(evaluate(dual, from("10.0.0.2")).verdict, "deny");
});
