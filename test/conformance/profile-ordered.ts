// Policies of the form that most tests of network-policy-api's profile have: rules of each action for one namespace, then rules of
// ports for two others.
import type { PolicySpecs } from "../policy-cases/objects.ts";
import type { ExpectedCell, Service } from "./case.ts";
import {
  type Action,
  type Direction,
  type House,
  type ProfileCase,
  type Rule,
  type Tier,
  type Verdict,
  cells,
  isHouse,
  othersThan,
  podsOf,
  portsOf,
  renderRule,
  sctp,
  step,
  tcp,
  udp,
} from "./profile-parts.ts";

/** One direction of a policy of upstream's most common form, and what it says of whom. */
interface Ordered {
  readonly direction: Direction;
  readonly subject: House;
  /** Has rules of each action one after the other: the first one counts. */
  readonly everything: House;
  /** Is denied these. */
  readonly denied: readonly [House, readonly Service[]];
  /** Is admitted these, and denied the rest. */
  readonly admitted: readonly [House, readonly Service[]];
}

/** In upstream's order; the Baseline tier has nothing to pass to. */
function orderedRules(
  tier: Tier,
  { direction, everything: all, denied, admitted }: Ordered,
): Rule[] {
  const rule = (action: Action, house: House, services?: readonly Service[]): Rule =>
    renderRule(direction, {
      action,
      peers: [{ namespaces: isHouse(house) }],
      ...(services === undefined ? {} : { protocols: portsOf(services) }),
    });
  const passes = tier === "Admin";
  return [
    rule("Accept", all),
    rule("Deny", all),
    ...(passes ? [rule("Pass", all)] : []),
    rule("Deny", ...denied),
    ...(passes ? [rule("Pass", ...denied)] : []),
    rule("Accept", ...admitted),
    rule("Deny", admitted[0]),
  ];
}

function swapped(rules: readonly Rule[], one: number, other: number): Rule[] {
  return rules.map((rule, at) => rules[at === one ? other : at === other ? one : at] ?? rule);
}

function between(
  { direction, subject }: Ordered,
  peer: House,
  services: readonly Service[],
  verdict: Verdict,
): ExpectedCell[] {
  const ends = [podsOf(subject), podsOf(peer)] as const;
  const [from, to] = direction === "egress" ? ends : ends.toReversed();
  return cells(from ?? [], to ?? [], services, verdict);
}

function toEverything(ordered: Ordered, verdict: Verdict): ExpectedCell[] {
  const [, services] = ordered.denied;
  const all = [...services, ...othersThan(services)];
  return between(ordered, ordered.everything, all, verdict);
}

function toDenied(ordered: Ordered, verdict: Verdict): ExpectedCell[] {
  const [peer, services] = ordered.denied;
  return [
    ...between(ordered, peer, services, verdict),
    ...between(ordered, peer, othersThan(services), "allow"),
  ];
}

function toAdmitted(ordered: Ordered): ExpectedCell[] {
  const [peer, services] = ordered.admitted;
  return [
    ...between(ordered, peer, services, "allow"),
    ...between(ordered, peer, othersThan(services), "deny"),
  ];
}

/** Upstream's subtests of a policy of ordered rules: rules of the same peer change their places between them. */
function orderedCase(
  upstream: string,
  tier: Tier,
  priority: number,
  directions: readonly [Ordered, ...Ordered[]],
): ProfileCase {
  const [{ subject }] = directions;
  const policy = (change: (rules: readonly Rule[]) => readonly Rule[]): PolicySpecs => ({
    ordered: {
      tier,
      priority,
      subject: { namespaces: isHouse(subject) },
      ...Object.fromEntries(
        directions.map((each) => [each.direction, change(orderedRules(tier, each))]),
      ),
    },
  });
  const first = policy((rules) => rules);
  const denying = policy((rules) => swapped(rules, 0, 1));
  const passing = policy((rules) => swapped(swapped(rules, 0, 1), 0, 2));
  const passingPorts = policy((rules) => swapped(swapped(swapped(rules, 0, 1), 0, 2), 3, 4));
  const of = (expected: (ordered: Ordered) => ExpectedCell[]): ExpectedCell[] =>
    directions.flatMap(expected);
  return {
    upstream,
    feature: "standard",
    steps: [
      step(
        "accept comes first",
        first,
        of((each) => toEverything(each, "allow")),
      ),
      step("accept at the ports", first, of(toAdmitted)),
      step(
        "deny comes first",
        denying,
        of((each) => toEverything(each, "deny")),
      ),
      step(
        "deny at the ports",
        denying,
        of((each) => toDenied(each, "deny")),
      ),
      ...(tier === "Baseline"
        ? []
        : [
            step(
              "pass comes first",
              passing,
              of((each) => toEverything(each, "allow")),
            ),
            step(
              "pass at the ports",
              passingPorts,
              of((each) => toDenied(each, "allow")),
            ),
          ]),
    ],
  };
}

const tcpPorts = { out: tcp(8080), both: tcp(80) };
/** One port of each protocol. */
const three = [...tcp(80), ...udp(53), ...sctp(9003)];

const ordered = {
  EgressTCP: {
    direction: "egress",
    subject: "g",
    everything: "r",
    denied: ["s", tcpPorts.both],
    admitted: ["h", tcpPorts.out],
  },
  EgressUDP: {
    direction: "egress",
    subject: "h",
    everything: "r",
    denied: ["s", udp(5353)],
    admitted: ["g", udp(53)],
  },
  EgressSCTP: {
    direction: "egress",
    subject: "r",
    everything: "g",
    denied: ["s", sctp(9003)],
    admitted: ["h", sctp(9003)],
  },
  IngressTCP: {
    direction: "ingress",
    subject: "g",
    everything: "r",
    denied: ["s", tcpPorts.both],
    admitted: ["h", tcpPorts.both],
  },
  IngressUDP: {
    direction: "ingress",
    subject: "h",
    everything: "r",
    denied: ["s", udp(5353)],
    admitted: ["g", udp(53)],
  },
  IngressSCTP: {
    direction: "ingress",
    subject: "r",
    everything: "g",
    denied: ["s", sctp(9003)],
    admitted: ["h", sctp(9003)],
  },
} as const satisfies Record<string, Ordered>;

const combined: readonly [Ordered, Ordered] = [
  {
    direction: "egress",
    subject: "g",
    everything: "r",
    denied: ["s", three],
    admitted: ["h", [...tcp(8080), ...udp(5353), ...sctp(9003)]],
  },
  {
    direction: "ingress",
    subject: "g",
    everything: "r",
    denied: ["s", three],
    admitted: ["h", [...tcp(80), ...udp(5353), ...sctp(9003)]],
  },
];

const adminPriorities: Readonly<Record<keyof typeof ordered, number>> = {
  EgressTCP: 6,
  EgressUDP: 7,
  EgressSCTP: 8,
  IngressTCP: 3,
  IngressUDP: 4,
  IngressSCTP: 5,
};

/** Those of one tier. */
export function orderedCases(tier: Tier): ProfileCase[] {
  const names = ["EgressTCP", "EgressUDP", "EgressSCTP", "IngressTCP", "IngressUDP"] as const;
  const one = [...names, "IngressSCTP" as const].map((name) =>
    orderedCase(`CNP${tier}Tier${name}`, tier, tier === "Admin" ? adminPriorities[name] : 10, [
      ordered[name],
    ]),
  );
  return [...one, orderedCase(`CNP${tier}TierGress`, tier, tier === "Admin" ? 15 : 10, combined)];
}

/** The ordered rules with one rule's ports replaced by a name. */
function namedPortCase(
  tier: Tier,
  name: keyof typeof ordered,
  port: string,
  expected: (subject: Ordered, peer: House) => ExpectedCell[],
): ProfileCase {
  const each: Ordered = ordered[name];
  const rules = orderedRules(tier, each);
  const at = rules.length - 2;
  const own = rules.map((rule, index) =>
    index === at ? { ...rule, protocols: [{ destinationNamedPort: port }] } : rule,
  );
  const policies = {
    named: {
      tier,
      priority: tier === "Admin" ? adminPriorities[name] : 10,
      subject: { namespaces: isHouse(each.subject) },
      [each.direction]: own,
    },
  };
  const direction = each.direction === "egress" ? "Egress" : "Ingress";
  return {
    upstream: `CNP${tier}Tier${direction}NamedPort`,
    feature: "named ports",
    steps: [step("accept at the named port", policies, expected(each, each.admitted[0]))],
  };
}

function onlyFirst(services: readonly Service[], rest: readonly Service[]) {
  return (each: Ordered, peer: House): ExpectedCell[] => [
    ...between(each, peer, services, "allow"),
    ...between(each, peer, rest, "deny"),
  ];
}

export const namedPortCases: readonly ProfileCase[] = [
  namedPortCase("Admin", "EgressTCP", "web", onlyFirst(tcp(80), tcp(8080))),
  namedPortCase("Admin", "IngressUDP", "dns", onlyFirst(udp(53), udp(5353))),
  namedPortCase("Baseline", "EgressUDP", "dns", onlyFirst(udp(53), udp(5353))),
  namedPortCase("Baseline", "IngressTCP", "web", onlyFirst(tcp(80), tcp(8080))),
];
