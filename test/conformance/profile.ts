// The tests of network-policy-api's conformance profile (kubernetes-sigs/network-policy-api, conformance/), written anew.
import type { PortProtocol } from "../../src/net/protocol.ts";
import type { PolicySpecs } from "../policy-cases/objects.ts";
import type { ExpectedCell, Service } from "./case.ts";
import { namedPortCases, orderedCases } from "./profile-ordered.ts";
import {
  type Action,
  type Direction,
  type House,
  type ProfileCase,
  type Rule,
  type Tier,
  type Verdict,
  betweenHouses,
  bothWays,
  cells,
  everything,
  isHouse,
  podsOf,
  podsWithLabels,
  portsOf,
  renderRule,
  sctp,
  step,
  tcp,
  udp,
} from "./profile-parts.ts";

const three = [...tcp(80), ...udp(53), ...sctp(9003)];

const nodes = ["node:n1", "node:n2", "node:n3"];
const nodePeers = { nodes: { matchLabels: { "kubernetes.io/os": "linux" } } };
const internet = { networks: ["0.0.0.0/0", "::/0"] };

/** What is tried on nodes has other ports than what listens there. */
function nodePeerCases(): ProfileCase[] {
  const subject = podsWithLabels("g");
  const admin: PolicySpecs = {
    nodes: {
      tier: "Admin",
      priority: 75,
      subject,
      egress: [
        { action: "Accept", to: [nodePeers], protocols: portsOf(tcp(30_001)) },
        { action: "Pass", to: [nodePeers], protocols: portsOf(udp(30_003)) },
        { action: "Deny", to: [podsWithLabels("s"), nodePeers, internet] },
      ],
    },
  };
  const range = [{ tcp: { destinationPort: { range: { start: 30_001, end: 30_002 } } } }];
  const baseline: PolicySpecs = {
    nodes: {
      tier: "Baseline",
      priority: 10,
      subject: { namespaces: isHouse("g") },
      egress: [
        { action: "Accept", to: [nodePeers], protocols: range },
        { action: "Deny", to: [nodePeers, internet] },
      ],
    },
  };
  const toNodes = (services: readonly Service[], verdict: Verdict): ExpectedCell[] =>
    cells(podsOf("g"), nodes, services, verdict);
  const rest = [...udp(30_005), ...sctp(30_007)];
  return [
    {
      upstream: "CNPAdminTierEgressNodePeers",
      feature: "nodes as peers",
      steps: [
        step("accept to nodes", admin, toNodes(tcp(30_001), "allow")),
        step("pass to nodes", admin, toNodes(udp(30_003), "allow")),
        step("deny to nodes", admin, toNodes([...tcp(30_002), ...rest], "deny")),
      ],
    },
    {
      upstream: "CNPBaselineTierEgressNodePeers",
      feature: "nodes as peers",
      steps: [
        step("accept to nodes", baseline, toNodes(tcp(30_001, 30_002), "allow")),
        step("deny to nodes", baseline, toNodes(rest, "deny")),
      ],
    },
  ];
}

function networkCase(tier: Tier): ProfileCase {
  const policies = (first: readonly unknown[]): PolicySpecs => ({
    networks: {
      tier,
      priority: tier === "Admin" ? 85 : 10,
      subject: tier === "Admin" ? podsWithLabels("g") : { namespaces: isHouse("g") },
      egress: [
        ...first,
        { action: "Accept", to: [podsWithLabels("s")] },
        { action: "Deny", to: [internet] },
      ],
    },
  });
  const own = policies([]);
  const from = podsOf("g");
  const others = [...podsOf("r"), ...podsOf("h")];
  const toAll = (to: readonly string[], verdict: Verdict): ExpectedCell[] =>
    cells(from, to, three, verdict);
  const denied = [...toAll(others, "deny"), ...toAll(podsOf("s"), "allow")];
  // The addresses of r/0 and h/0.
  const two = ["10.0.3.1/32", "10.0.2.1/32", "fd00:0:0:3::1/128", "fd00:0:0:2::1/128"];
  const admitting = policies([{ action: "Accept", to: [{ networks: two }] }]);
  return {
    upstream: `CNP${tier}TierEgressInlineCIDRPeers`,
    feature: "standard",
    steps: [
      step("deny to everywhere but one namespace", own, denied),
      {
        ...step("its label has changed", own, toAll(podsOf("s"), "deny")),
        labels: { s: { house: "none" } },
      },
      step("its label is back", own, toAll(podsOf("s"), "allow")),
      step("accept to two addresses", admitting, [
        ...toAll(["r/0", "h/0"], "allow"),
        ...toAll(["r/1", "h/1"], "deny"),
      ]),
    ],
  };
}

const web = tcp(80, 8080);

function integrationCase(): ProfileCase {
  const rules = (action: Action, direction: Direction): Rule[] =>
    bothWays(action, { namespaces: isHouse("s") })[direction];
  const policies = (ingress: Action, egress: Action, withNetworkPolicy: boolean): PolicySpecs => ({
    admin: {
      tier: "Admin",
      priority: 10,
      subject: { namespaces: isHouse("g") },
      ingress: rules(ingress, "ingress"),
      egress: rules(egress, "egress"),
    },
    ...(withNetworkPolicy && {
      "g/np": {
        podSelector: {},
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { house: "s" } } }] }],
        egress: [{ to: [{ namespaceSelector: { matchLabels: { house: "s" } } }] }],
      },
    }),
    baseline: {
      tier: "Baseline",
      priority: 10,
      subject: { namespaces: isHouse("g") },
      ...bothWays("Deny", { namespaces: isHouse("s") }),
    },
  });
  const incoming = (verdict: Verdict): ExpectedCell[] =>
    cells(podsOf("s"), podsOf("g"), web, verdict);
  const outgoing = (verdict: Verdict): ExpectedCell[] =>
    cells(podsOf("g"), podsOf("s"), web, verdict);
  const denying = policies("Deny", "Deny", true);
  const passing = policies("Pass", "Pass", true);
  const bare = policies("Pass", "Pass", false);
  return {
    upstream: "CNPAdminTierIntegration",
    feature: "standard",
    steps: [
      step("deny in, before the NetworkPolicy", denying, incoming("deny")),
      step("deny out, before the NetworkPolicy", denying, outgoing("deny")),
      step("pass in, to the NetworkPolicy", policies("Pass", "Deny", true), incoming("allow")),
      step("pass out, to the NetworkPolicy", passing, outgoing("allow")),
      step("pass in, to the Baseline tier", bare, incoming("deny")),
      step("pass out, to the Baseline tier", bare, outgoing("deny")),
    ],
  };
}

function priorityCase(): ProfileCase {
  const policies = (priority: number): PolicySpecs => ({
    denying: {
      tier: "Admin",
      priority: 50,
      subject: podsWithLabels("g"),
      ...bothWays("Deny", podsWithLabels("s")),
    },
    passing: {
      tier: "Admin",
      priority,
      subject: podsWithLabels("g"),
      ...bothWays("Pass", podsWithLabels("s")),
    },
    baseline: {
      tier: "Baseline",
      priority: 10,
      subject: podsWithLabels("g"),
      ...bothWays("Accept", podsWithLabels("s")),
    },
  });
  return {
    upstream: "CNPAdminTierPriorityField",
    feature: "standard",
    steps: [
      step("deny in", policies(60), cells(podsOf("s"), podsOf("g"), web, "deny")),
      step("deny out", policies(60), cells(podsOf("g"), podsOf("s"), web, "deny")),
      step("pass, with the higher priority", policies(40), betweenHouses("g", "s", web, "allow")),
    ],
  };
}

function onlyOneDirectionCases(tier: Tier): ProfileCase[] {
  const priority = tier === "Admin" ? 20 : 10;
  const subject = { namespaces: isHouse("g") };
  const both = bothWays("Deny", { namespaces: isHouse("s") });
  const others: readonly House[] = ["r", "h"];
  const incoming: PolicySpecs = { in: { tier, priority, subject, ingress: both.ingress } };
  const outgoing: PolicySpecs = { out: { tier, priority, subject, egress: both.egress } };
  const [g, s] = [podsOf("g"), podsOf("s")];
  return [
    {
      upstream: `CNP${tier}TierIngressRulesEgressUnaffected`,
      feature: "standard",
      steps: [
        step("deny in", incoming, cells(s, g, tcp(80), "deny")),
        ...others.map((house) =>
          step(`out to ${house}`, incoming, cells(g, podsOf(house), tcp(80), "allow")),
        ),
      ],
    },
    {
      upstream: `CNP${tier}TierEgressRulesIngressUnaffected`,
      feature: "standard",
      steps: [
        step("deny out", outgoing, cells(g, s, tcp(80), "deny")),
        ...others.map((house) =>
          step(`in from ${house}`, outgoing, cells(podsOf(house), g, tcp(80), "allow")),
        ),
      ],
    },
  ];
}

function portRangeCase(tier: Tier): ProfileCase {
  const range = (protocol: string, start: number, end: number): unknown => [
    { [protocol]: { destinationPort: { range: { start, end } } } },
  ];
  const peers: readonly (readonly [House, PortProtocol, unknown])[] = [
    ["r", "TCP", range("tcp", 80, 8080)],
    ["h", "UDP", range("udp", 53, 5353)],
    ["s", "SCTP", range("sctp", 9003, 9005)],
  ];
  const rules = (direction: Direction): Rule[] => [
    ...peers.map(([house, , own]) =>
      renderRule(direction, {
        action: "Accept",
        peers: [{ namespaces: isHouse(house) }],
        protocols: own,
      }),
    ),
    renderRule(direction, {
      action: "Deny",
      peers: [{ namespaces: { matchExpressions: [{ key: "house", operator: "Exists" }] } }],
    }),
  ];
  const policies: PolicySpecs = {
    ranges: {
      tier,
      priority: tier === "Admin" ? 9 : 10,
      subject: { namespaces: isHouse("g") },
      egress: rules("egress"),
      ingress: rules("ingress"),
    },
  };
  const expected = (direction: Direction): ExpectedCell[] =>
    peers.flatMap(([house, own]) => {
      const verdictOf = ({ protocol }: Service): Verdict => (protocol === own ? "allow" : "deny");
      const [from, to] = direction === "egress" ? (["g", house] as const) : ([house, "g"] as const);
      return everything.flatMap((service) =>
        cells(podsOf(from), podsOf(to), [service], verdictOf(service)),
      );
    });
  return {
    upstream: `CNP${tier}TierPortRange`,
    feature: "standard",
    steps: [
      step("ranges out", policies, expected("egress")),
      step("ranges in", policies, expected("ingress")),
    ],
  };
}

function podSelectorCase(tier: Tier): ProfileCase {
  const byPod = (labels: Readonly<Record<string, string>>): unknown => ({
    pods: { podSelector: { matchLabels: labels } },
  });
  const onePod = (house: House): unknown => ({
    pods: {
      namespaceSelector: { matchLabels: { house } },
      podSelector: { matchLabels: { pod: "0" } },
    },
  });
  const rule = (direction: Direction, peer: unknown): Rule =>
    renderRule(direction, { action: "Deny", peers: [peer] });
  const policies: PolicySpecs = {
    pods: {
      tier,
      priority: tier === "Admin" ? 20 : 10,
      subject: byPod({ house: "g" }),
      egress: [rule("egress", byPod({ house: "r" })), rule("egress", onePod("h"))],
      ingress: [rule("ingress", byPod({ house: "s" })), rule("ingress", onePod("h"))],
    },
    one: {
      tier,
      priority: tier === "Admin" ? 21 : 11,
      subject: onePod("r"),
      egress: [rule("egress", { namespaces: isHouse("s") })],
    },
  };
  const web80 = tcp(80);
  const g = podsOf("g");
  return {
    upstream: `CNP${tier}TierPodSelector`,
    feature: "standard",
    steps: [
      step("in peers, out", policies, [
        ...cells(g, [...podsOf("r"), "h/0"], web80, "deny"),
        ...cells(g, ["h/1"], web80, "allow"),
      ]),
      step("in peers, in", policies, [
        ...cells([...podsOf("s"), "h/0"], g, web80, "deny"),
        ...cells(["h/1"], g, web80, "allow"),
      ]),
      step("in the subject", policies, [
        ...cells(podsOf("s"), ["h/0"], web80, "allow"),
        ...cells(["r/0"], podsOf("s"), web80, "deny"),
        ...cells(["r/1"], podsOf("s"), web80, "allow"),
      ]),
    ],
  };
}

function samePriorityCase(tier: Tier): ProfileCase {
  const policy = (subject: House, peer: House, port: number): unknown => ({
    tier,
    priority: tier === "Admin" ? 15 : 10,
    subject: { namespaces: isHouse(subject) },
    ...bothWays("Deny", { namespaces: isHouse(peer) }, portsOf(tcp(port))),
  });
  const policies: PolicySpecs = {
    "g-s": policy("g", "s", 80),
    "g-h": policy("g", "h", 80),
    "h-s": policy("h", "s", 8080),
  };
  return {
    upstream: `CNP${tier}TierSamePriority`,
    feature: "standard",
    steps: [
      step("each one's rules hold", policies, [
        ...betweenHouses("g", "s", tcp(80), "deny"),
        ...betweenHouses("g", "h", tcp(80), "deny"),
        ...betweenHouses("h", "s", tcp(8080), "deny"),
      ]),
      step("for its own subject alone", policies, [
        ...betweenHouses("g", "s", tcp(8080), "allow"),
        ...betweenHouses("h", "s", tcp(80), "allow"),
      ]),
      step("and for nobody else", policies, betweenHouses("r", "g", tcp(80), "allow")),
    ],
  };
}

/** By upstream's names, without what is not merged there for all to run: hairpin connections through Services. */
export function profileCases(): readonly ProfileCase[] {
  const tiers = ["Admin", "Baseline"] as const;
  return [
    ...tiers.flatMap((tier) => [...orderedCases(tier), networkCase(tier)]),
    integrationCase(),
    priorityCase(),
    ...tiers.flatMap((tier) => [
      ...onlyOneDirectionCases(tier),
      podSelectorCase(tier),
      portRangeCase(tier),
      samePriorityCase(tier),
    ]),
    ...namedPortCases,
    ...nodePeerCases(),
  ];
}
