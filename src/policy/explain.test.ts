import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { scenarioArbitrary } from "../../test/arbitrary/cluster.ts";
import { formatPacket, somePackets } from "../../test/arbitrary/packets.ts";
import { type PolicySpecs, renderObjects } from "../../test/policy-cases/objects.ts";
import { translateCluster } from "../kubernetes/cluster.ts";
import type { Policy, Rule, Tier } from "../model/policy.ts";
import { explain, type Explanation } from "./explain.ts";
import { evaluate } from "./evaluate.ts";
import type { Packet } from "./packet.ts";
import { type Lookup, PolicyModel } from "./policy-model.ts";

function tcp(from: string, to: string, destinationPort: number): Packet {
  return {
    source: from.includes("/")
      ? { kind: "endpoint", id: from }
      : { kind: "address", address: from },
    destination: to.includes("/") ? { kind: "endpoint", id: to } : { kind: "address", address: to },
    protocol: "TCP",
    destinationPort,
  };
}

/** Explains a packet in the base cluster of the truth tables. */
function explained(policies: Record<string, unknown>, packet: Packet): Explanation {
  return explain(new PolicyModel(translateCluster(renderObjects({}, policies))), packet);
}

/** What is said of ingress to a pod that policy shop/p selects and that nothing else matches. */
function ingressText(ingress: unknown[], packet: Packet): readonly string[] {
  return explained({ "shop/p": { podSelector: {}, ingress } }, packet).ingress.text;
}

describe("the decision in words", () => {
  const out = {
    podSelector: { matchLabels: { app: "web" } },
    policyTypes: ["Egress"],
    egress: [{}],
  };

  test("names the policy and the rule", () => {
    const { egress, ingress } = explained({ "shop/out": out }, tcp("shop/web", "shop/db", 1));
    assert.deepEqual(egress.text, ["egress from shop/web is allowed by shop/out rule 1"]);
    assert.deepEqual(ingress.text, ["ingress to shop/db is allowed: no policy selects it"]);
    assert.deepEqual(egress.policies, [
      { policy: "NetworkPolicy/shop/out", tier: "networkpolicy", isolates: true },
    ]);
    assert.equal(egress.subject, "shop/web");
  });

  test("tells when the policies that select the pod are silent on the direction", () => {
    const { ingress } = explained({ "shop/out": out }, tcp("shop/api", "shop/web", 1));
    assert.deepEqual(ingress.text, [
      "ingress to shop/web is allowed: no policy that selects it decides about ingress",
    ]);
  });

  test("names every policy that isolates", () => {
    const closed = { podSelector: {}, policyTypes: ["Ingress"] };
    const { verdict, ingress } = explained(
      { "shop/c": closed, "shop/a": closed, "shop/b": closed },
      tcp("shop/web", "shop/db", 5432),
    );
    assert.equal(verdict, "deny");
    assert.deepEqual(ingress.text, [
      "ingress to shop/db is denied: isolated by shop/a, shop/b and shop/c, and no rule allows this",
    ]);
  });

  test("counts the policies that isolate when there are many", () => {
    const closed = { podSelector: {}, policyTypes: ["Ingress"] };
    const { ingress } = explained(
      Object.fromEntries(["a", "b", "c", "d", "e"].map((name) => [`shop/${name}`, closed])),
      tcp("shop/web", "shop/db", 5432),
    );
    assert.deepEqual(ingress.text, [
      "ingress to shop/db is denied: isolated by shop/a, shop/b, shop/c and 2 more, and no rule allows this",
    ]);
  });

  test("tells of ends that are no endpoints, of the pod itself and of its node", () => {
    const outside = explained({}, tcp("203.0.113.7", "shop/web", 80)).egress.text;
    assert.deepEqual(outside, ["egress is not enforced: the source is no endpoint"]);
    const itself = explained({}, tcp("shop/web", "shop/web", 80)).ingress.text;
    assert.deepEqual(itself, ["ingress to shop/web is allowed: it always reaches itself"]);
    const node = explained({}, tcp("172.18.0.11", "shop/web", 80)).ingress.text;
    assert.deepEqual(node, ["ingress to shop/web is allowed: its own node always reaches it"]);
  });

  test("tells why a packet could not be understood", () => {
    const { verdict, egress, ingress } = explained({}, tcp("shop/none", "shop/web", 80));
    assert.equal(verdict, "deny");
    assert.deepEqual(egress.text, ["egress is denied: there is no endpoint shop/none"]);
    assert.deepEqual(ingress.text, ["ingress is denied: there is no endpoint shop/none"]);
  });
});

describe("near misses", () => {
  const api = { podSelector: { matchLabels: { app: "api" } } };
  const table: [string, unknown, Packet, string][] = [
    ["a label", { from: [api] }, tcp("shop/web", "shop/db", 1), "the source had label app=api"],
    [
      "a port",
      { ports: [{ port: 8080 }] },
      tcp("shop/web", "shop/db", 1),
      "the destination port were tcp/8080",
    ],
    [
      "several ports",
      { ports: [{ port: 80 }, { port: 90, endPort: 99, protocol: "UDP" }, { protocol: "SCTP" }] },
      tcp("shop/web", "shop/db", 1),
      "the destination port were tcp/80, udp/90-99 or any sctp port",
    ],
    [
      "a named port",
      { ports: [{ port: "sql" }] },
      tcp("shop/web", "shop/db", 1),
      "the destination port were tcp/5432 (sql)",
    ],
    [
      "a named port that the pod lacks",
      { ports: [{ port: "http" }] },
      tcp("shop/web", "shop/db", 80),
      "the destination port were a tcp port that it names http, and it names none so",
    ],
    [
      "a label and a port",
      { from: [api], ports: [{ port: 5432 }] },
      tcp("shop/web", "shop/db", 1),
      "the source had label app=api and the destination port were tcp/5432",
    ],
    [
      "a namespace's label",
      { from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }] },
      tcp("pay/api", "shop/db", 1),
      "namespace pay had label team=ops",
    ],
    [
      "another namespace",
      { from: [api] },
      tcp("pay/api", "shop/db", 1),
      "the source were in namespace shop",
    ],
    [
      "a block",
      { from: [{ ipBlock: { cidr: "198.51.100.0/24" } }] },
      tcp("203.0.113.7", "shop/db", 1),
      "the source were in 198.51.100.0/24",
    ],
    [
      "a hole in a block",
      { from: [{ ipBlock: { cidr: "203.0.113.0/24", except: ["203.0.113.0/28"] } }] },
      tcp("203.0.113.7", "shop/db", 1),
      "the source were not in 203.0.113.0/28, which 203.0.113.0/24 excepts",
    ],
    [
      "being a pod",
      { from: [{ namespaceSelector: { matchLabels: { team: "ops" } }, ...api }] },
      tcp("203.0.113.7", "shop/db", 1),
      "the source were a pod with app=api in a namespace with team=ops",
    ],
    [
      "what expressions ask",
      {
        from: [
          {
            podSelector: {
              matchExpressions: [
                { key: "app", operator: "NotIn", values: ["web"] },
                { key: "x", operator: "Exists" },
                { key: "tier", operator: "DoesNotExist" },
                { key: "y", operator: "In", values: ["1", "2"] },
              ],
            },
          },
        ],
      },
      tcp("shop/web", "shop/db", 1),
      "the source did not have label app=web, the source had a label x, the source had no label tier and the source had label y=1 or y=2",
    ],
    [
      "a part that makes no sense",
      { from: [{ ipBlock: { cidr: "x" } }] },
      tcp("shop/web", "shop/db", 1),
      'it could be understood (spec.ingress[0].from[0].ipBlock.cidr: expected a CIDR, got "x")',
    ],
  ];
  for (const [name, rule, packet, condition] of table) {
    test(`${name} that is missing is named`, () => {
      assert.deepEqual(ingressText([rule], packet).slice(1), [
        `shop/p rule 1 matches if ${condition}`,
      ]);
    });
  }

  test("the nearest alternative of a rule is told", () => {
    const far = { podSelector: { matchLabels: { app: "x", tier: "y", z: "z" } } };
    const text = ingressText([{ from: [far, api] }], tcp("shop/web", "shop/db", 1));
    assert.deepEqual(text.slice(1), ["shop/p rule 1 matches if the source had label app=api"]);
    const equal = ["b", "a"].map((app) => ({ podSelector: { matchLabels: { app } } }));
    const first = ingressText([{ from: equal }], tcp("shop/web", "shop/db", 1));
    assert.deepEqual(first.slice(1), ["shop/p rule 1 matches if the source had label app=b"]);
  });

  test("rules come the nearest first, then by policy and rule, and not without end", () => {
    const rules = [
      { from: [{ ipBlock: { cidr: "203.0.113.0/24" } }] },
      { from: [api], ports: [{ port: 80 }] },
      { from: [api] },
      { ports: [{ port: 80 }] },
      ...Array.from({ length: 9 }, () => ({ from: [{ ipBlock: { cidr: "x" } }] })),
    ];
    const { nearMisses } = explained(
      { "shop/p": { podSelector: {}, ingress: rules } },
      tcp("shop/web", "shop/db", 1),
    ).ingress;
    assert.deepEqual(
      nearMisses.map(({ rule }) => rule),
      [2, 3, 0, 1, 4],
    );
  });

  test("egress speaks of the destination", () => {
    const { egress } = explained(
      { "shop/p": { podSelector: {}, policyTypes: ["Egress"], egress: [{ to: [api] }] } },
      tcp("shop/web", "shop/db", 5432),
    );
    assert.deepEqual(egress.text, [
      "egress from shop/web is denied: isolated by shop/p, and no rule allows this",
      "shop/p rule 1 matches if the destination had label app=api",
    ]);
  });

  test("there are none when the packet is allowed", () => {
    const { ingress } = explained(
      { "shop/p": { podSelector: {}, ingress: [{ from: [api] }, { ports: [{ port: 1 }] }] } },
      tcp("shop/web", "shop/db", 1),
    );
    assert.deepEqual(ingress.nearMisses, []);
  });
});

describe("tiers in explanations", () => {
  const { domains, endpoints, nodes, zones } = translateCluster(renderObjects({}, {}));
  const subject = {
    zones: { kind: "name", name: "shop" },
    endpoints: { matchLabels: {}, matchExpressions: [] },
  } as const;
  const toPort80 = [{ kind: "ports", protocol: "TCP", from: 80, to: 80 }] as const;

  function policy(tier: Tier, rules: readonly Omit<Rule, "index">[], priority = 0): Policy {
    const ingress = rules.map((rule, index) => ({ ...rule, index }));
    return {
      id: `${tier}-${priority}`,
      tier,
      priority,
      subject,
      isolates: tier === "networkpolicy" ? ["ingress"] : [],
      ingress,
      egress: [],
    };
  }

  test("what an earlier tier could have allowed counts, what it denies or passes and baseline do not", () => {
    const policies = [
      policy("admin", [{ action: "pass", peers: "any", services: "any" }]),
      // Never reached: the policy before it passes.
      policy("admin", [{ action: "allow", peers: "any", services: "any" }], 1),
      policy("isobar", [
        { action: "allow", peers: "any", services: toPort80 },
        { action: "deny", peers: "any", services: toPort80 },
        { action: "pass", peers: "any", services: toPort80 },
      ]),
      policy("networkpolicy", []),
      policy("baseline", [{ action: "allow", peers: "any", services: toPort80 }]),
    ];
    const model = new PolicyModel({ domains, endpoints, nodes, zones, policies });
    const { ingress } = explain(model, tcp("pay/api", "shop/db", 81));
    assert.deepEqual(ingress.nearMisses, [
      { policy: "isobar-0", rule: 0, missing: [{ kind: "service", services: toPort80 }] },
    ]);
    assert.deepEqual(
      ingress.policies.map(({ policy: id }) => id),
      ["admin-0", "admin-1", "isobar-0", "networkpolicy-0", "baseline-0"],
    );
  });
});

describe("cluster-wide policies", () => {
  const objects = (specs: PolicySpecs, cluster = {}) => renderObjects(cluster, specs);
  const say = (specs: PolicySpecs, packet: Packet, cluster = {}, lookups: readonly Lookup[] = []) =>
    explain(new PolicyModel({ ...translateCluster(objects(specs, cluster)), lookups }), packet);
  const closed = (rule: object) => ({
    guard: {
      tier: "Admin",
      priority: 1,
      subject: { namespaces: {} },
      egress: [rule, { name: "rest", action: "Deny", to: [{ networks: ["0.0.0.0/0"] }] }],
    },
  });

  test("a rule is named with its policy's kind, its place and its name", () => {
    const { egress } = say(
      closed({ action: "Pass", to: [{ networks: ["198.51.100.0/24"] }] }),
      tcp("shop/web", "203.0.113.7", 1),
    );
    assert.deepEqual(egress.text, [
      "egress from shop/web is denied by ClusterNetworkPolicy guard rule 2 (rest)",
    ]);
  });

  const labelled = { nodeLabels: { n2: { role: "work" } } };
  const table: readonly (readonly [string, object, string, string])[] = [
    [
      "a network",
      { to: [{ networks: ["198.51.100.0/24"] }] },
      "203.0.113.7",
      "the destination were in 198.51.100.0/24",
    ],
    [
      "any node",
      { to: [{ nodes: {} }] },
      "203.0.113.7",
      "the destination were an address of a node",
    ],
    [
      "a node",
      { to: [{ nodes: { matchLabels: { role: "edge" } } }] },
      "203.0.113.7",
      "the destination were an address of a node with role=edge",
    ],
    [
      "a node's label",
      { to: [{ nodes: { matchLabels: { role: "edge" } } }] },
      "172.18.0.12",
      "node n2 had label role=edge",
    ],
    [
      "a name",
      { to: [{ domainNames: ["example.com", "*.example.org"] }] },
      "203.0.113.7",
      "the destination were an address that the pod has looked up as example.com or *.example.org",
    ],
    [
      "a port",
      {
        to: [{ networks: ["203.0.113.0/24"] }],
        protocols: [{ tcp: { destinationPort: { range: { start: 8000, end: 8080 } } } }],
      },
      "203.0.113.7",
      "the destination port were tcp/8000-8080",
    ],
  ];
  for (const [what, rule, destination, missing] of table) {
    test(`tells of an accepting rule before the denial that lacks ${what}`, () => {
      const named = { name: "way out", action: "Accept", ...rule };
      const { egress } = say(closed(named), tcp("shop/web", destination, 1), labelled);
      assert.deepEqual(egress.text.slice(1), [
        `ClusterNetworkPolicy guard rule 1 (way out) matches if ${missing}`,
      ]);
    });
  }

  test("an address that was looked up is no near miss but a match", () => {
    const rule = { action: "Accept", to: [{ domainNames: ["*.example.org"] }] };
    const lookups = [{ endpoint: "shop/web", name: "www.example.org", address: "203.0.113.7" }];
    const { verdict } = say(closed(rule), tcp("shop/web", "203.0.113.7", 1), {}, lookups);
    assert.equal(verdict, "allow");
  });

  test("rules after the denial, and those of the baseline after isolation, are no near misses", () => {
    const accept = { action: "Accept", from: [{ namespaces: { matchLabels: { team: "none" } } }] };
    const baseline = {
      tier: "Baseline",
      priority: 1,
      subject: { namespaces: {} },
      ingress: [accept],
    };
    const { ingress } = say(
      { "shop/closed": { podSelector: {} }, baseline },
      tcp("pay/api", "shop/web", 1),
    );
    assert.equal(ingress.text.length, 1);
  });
});

describe("explain on random clusters", () => {
  test("says what evaluate says, and gives reasons for each rule that a denial passed over", () => {
    fc.assert(
      fc.property(scenarioArbitrary(), fc.nat(), (objects, seed) => {
        const model = new PolicyModel(translateCluster(objects));
        for (const packet of somePackets(objects, { count: 50, seed })) {
          const verdict = evaluate(model, packet);
          const { verdict: told, egress, ingress } = explain(model, packet);
          const decisions = { verdict: told, egress: egress.decision, ingress: ingress.decision };
          assert.deepEqual(decisions, verdict, formatPacket(packet));
          for (const { decision, nearMisses, text } of [egress, ingress]) {
            if (decision.verdict === "allow") assert.deepEqual(nearMisses, []);
            for (const { missing } of nearMisses) assert.ok(missing.length > 0);
            assert.equal(text.length, 1 + nearMisses.length);
          }
        }
      }),
    );
  });
});
