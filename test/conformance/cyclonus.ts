// The cases that cyclonus generates (mattfenwick/cyclonus, pkg/generator), derived anew from the features that they vary:
// one policy on pods a of namespace x, of which one part after the other is changed. Upstream computes what is expected.
import type { PolicySpecs } from "../policy-cases/objects.ts";
import type { ConformanceCase, ConformanceStep } from "./case.ts";

type Direction = "ingress" | "egress";
type Peer = Readonly<Record<string, unknown>>;

interface Port {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
}

interface Rule {
  readonly ports?: readonly Port[];
  readonly peers?: readonly Peer[];
}

interface Policy {
  readonly namespace: string;
  readonly podSelector: unknown;
  readonly ingress: readonly Rule[] | undefined;
  readonly egress: readonly Rule[] | undefined;
}

const inDirections = ["ingress", "egress"] as const satisfies readonly Direction[];
const everything = {};

function labelled(key: string, value: string): Peer {
  return { matchLabels: { [key]: value } };
}

function oneOf(key: string, values: readonly string[]): Peer {
  return { matchExpressions: [{ key, operator: "In", values }] };
}

const dns: Rule = {
  ports: [
    { protocol: "UDP", port: 53 },
    { protocol: "TCP", port: 53 },
  ],
};

/** What all cases begin with: a narrow way in and a narrow way out. */
const base: Policy = {
  namespace: "x",
  podSelector: labelled("pod", "a"),
  ingress: [
    {
      ports: [{ protocol: "TCP", port: 80 }],
      peers: [
        {
          podSelector: oneOf("pod", ["b", "c"]),
          namespaceSelector: oneOf("ns", ["x", "y"]),
        },
      ],
    },
  ],
  egress: [
    {
      ports: [{ protocol: "TCP", port: 80 }],
      peers: [
        {
          podSelector: oneOf("pod", ["a", "b"]),
          namespaceSelector: oneOf("ns", ["y", "z"]),
        },
      ],
    },
    dns,
  ],
};

function render({ podSelector, ingress, egress }: Policy): unknown {
  return {
    podSelector,
    policyTypes: [
      ...(ingress === undefined ? [] : ["Ingress"]),
      ...(egress === undefined ? [] : ["Egress"]),
    ],
    ...(ingress !== undefined && {
      ingress: ingress.map(({ ports, peers }) => ({
        ...(ports && { ports }),
        ...(peers && { from: peers }),
      })),
    }),
    ...(egress !== undefined && {
      egress: egress.map(({ ports, peers }) => ({
        ...(ports && { ports }),
        ...(peers && { to: peers }),
      })),
    }),
  };
}

function specs(policies: Readonly<Record<string, Policy>>): PolicySpecs {
  return Object.fromEntries(
    Object.entries(policies).map(([name, policy]) => [
      `${policy.namespace}/${name}`,
      render(policy),
    ]),
  );
}

function step(
  policies: Readonly<Record<string, Policy>>,
  more: Partial<Pick<ConformanceStep, "labels" | "pods">> = {},
): ConformanceStep {
  return { policies: specs(policies), labels: {}, pods: {}, expected: undefined, ...more };
}

function single(upstream: string, policy: Policy): ConformanceCase {
  return { upstream, steps: [step({ base: policy })] };
}

function changed(direction: Direction, change: Rule): Policy {
  const [first, ...rest] = base[direction] ?? [];
  return { ...base, [direction]: [{ ...first, ...change }, ...rest] };
}

function targetCases(): ConformanceCase[] {
  const selectors = {
    "": everything,
    "pod=a": labelled("pod", "a"),
    "pod in (a,b)": oneOf("pod", ["a", "b"]),
  };
  return [
    ...["x", "y", "z"].map((namespace) =>
      single(`set namespace to ${namespace}`, { ...base, namespace }),
    ),
    ...Object.entries(selectors).map(([text, podSelector]) =>
      single(`set pod selector to ${text === "" ? "all pods" : text}`, { ...base, podSelector }),
    ),
  ];
}

function ruleCases(): ConformanceCase[] {
  return inDirections.flatMap((direction) => [
    single(`${direction}: deny all`, { ...base, [direction]: [] }),
    single(`${direction}: allow all`, { ...base, [direction]: [{}] }),
  ]);
}

/** Blocks around the pods' addresses: 24 and 28 bits of IPv4, as upstream, and the same sizes of hole for IPv6. */
const peers: Readonly<Record<string, readonly Peer[]>> = {
  "empty pods + nil ns": [{ podSelector: everything }],
  "pods by label + nil ns": [{ podSelector: labelled("pod", "c") }],
  "nil pods + empty ns": [{ namespaceSelector: everything }],
  "empty pods + empty ns": [{ podSelector: everything, namespaceSelector: everything }],
  "pods by label + empty ns": [
    { podSelector: labelled("pod", "c"), namespaceSelector: everything },
  ],
  "nil pods + ns by label": [{ namespaceSelector: labelled("ns", "x") }],
  "empty pods + ns by label": [{ podSelector: everything, namespaceSelector: labelled("ns", "x") }],
  "pods by label + ns by label": [
    { podSelector: labelled("pod", "c"), namespaceSelector: labelled("ns", "x") },
  ],
  "simple ipblock": [
    { ipBlock: { cidr: "10.0.2.0/24" } },
    { ipBlock: { cidr: "fd00:0:0:2::/64" } },
  ],
  "ipblock with except": [
    { ipBlock: { cidr: "10.0.2.0/24", except: ["10.0.2.2/31"] } },
    { ipBlock: { cidr: "fd00:0:0:2::/64", except: ["fd00:0:0:2::2/127"] } },
  ],
};

function peerCases(): ConformanceCase[] {
  const named = Object.entries(peers);
  return inDirections.flatMap((direction) => [
    single(`${direction}: empty peers`, changed(direction, { peers: [] })),
    ...named.map(([name, list]) =>
      single(`${direction}: ${name}`, changed(direction, { peers: list })),
    ),
    ...named.flatMap(([first, one], index) =>
      named
        .slice(index + 1)
        .map(([second, other]) =>
          single(
            `${direction}, 2-peer: ${first}, ${second}`,
            changed(direction, { peers: [...one, ...other] }),
          ),
        ),
    ),
  ]);
}

function formatPort({ protocol, port, endPort }: Port): string {
  const range = endPort === undefined ? "" : `-${endPort}`;
  const number = port === undefined ? "any port" : `port ${port}${range}`;
  return `${number}, ${protocol ?? "no protocol"}`;
}

function portLists(): [string, readonly Port[]][] {
  const protocols = [undefined, "TCP", "UDP", "SCTP"];
  const plain = protocols.flatMap((protocol) =>
    [undefined, 80, 81].map((port) => ({
      ...(protocol !== undefined && { protocol }),
      ...(port !== undefined && { port }),
    })),
  );
  const known = ["TCP", "UDP", "SCTP"];
  const byName = known.flatMap((protocol) =>
    [80, 81].map((port) => ({ protocol, port: `serve-${port}-${protocol.toLowerCase()}` })),
  );
  const ranges = known.flatMap((protocol) =>
    [80, 84].map((endPort) => ({ protocol, port: 53, endPort })),
  );
  const pairs: readonly (readonly Port[])[] = [
    [{}, { port: 80 }],
    [{}, { port: "serve-80-tcp" }],
    [{}, { protocol: "UDP" }],
    [{ port: 80 }, { port: 81 }],
    [{ port: 80 }, { port: "serve-81-tcp" }],
    [{ port: 80 }, { protocol: "UDP", port: "serve-81-udp" }],
    [
      { protocol: "UDP", port: 80 },
      { protocol: "UDP", port: "serve-81-udp" },
    ],
  ];
  const odd: [string, Port][] = [
    [
      "open a named port that doesn't match its protocol",
      { protocol: "TCP", port: "serve-81-udp" },
    ],
    ["open a named port that isn't served", { protocol: "TCP", port: "serve-7981-udp" }],
    ["open a numbered port that isn't served", { protocol: "TCP", port: 7981 }],
  ];
  return [
    ["empty port/protocol", []],
    ...[...plain, ...byName, ...ranges].map((one): [string, Port[]] => [formatPort(one), [one]]),
    ...odd.map(([name, one]): [string, Port[]] => [name, [one]]),
    ...pairs.map((pair): [string, readonly Port[]] => [pair.map(formatPort).join(" + "), pair]),
  ];
}

function portCases(): ConformanceCase[] {
  return inDirections.flatMap((direction) =>
    portLists().map(([name, ports]) =>
      single(`${direction}: ${name}`, changed(direction, { ports })),
    ),
  );
}

function actionCases(): ConformanceCase[] {
  const whole = { base };
  const fromNewNamespace = changed("ingress", {
    peers: [{ namespaceSelector: labelled("new-ns", "qrs") }],
  });
  const fromNewPod = changed("ingress", {
    peers: [
      {
        podSelector: labelled("new-label", "abc"),
        namespaceSelector: oneOf("ns", ["y", "z"]),
      },
    ],
  });
  const withUdp81 = changed("ingress", { ports: [{ protocol: "UDP", port: "serve-81-udp" }] });
  const namedPort = {
    base: {
      namespace: "x",
      podSelector: {},
      ingress: [{ ports: [{ port: "serve-81-tcp" }] }],
      egress: undefined,
    },
  };
  return [
    { upstream: "Create/delete policy", steps: [step(whole), step({})] },
    { upstream: "Create/update policy", steps: [step(whole), step({ base: withUdp81 })] },
    {
      upstream: "Create/delete namespace",
      steps: [
        step(whole),
        step(whole, {
          labels: { "y-2": { ns: "y" } },
          pods: { "y-2/a": { pod: "a" }, "y-2/b": { pod: "b" } },
        }),
        step(whole),
      ],
    },
    {
      upstream: "Update namespace so that policy applies, then again so it no longer applies",
      steps: [
        step({ base: fromNewNamespace }),
        step({ base: fromNewNamespace }, { labels: { y: { ns: "y", "new-ns": "qrs" } } }),
        step({ base: fromNewNamespace }),
      ],
    },
    {
      upstream: "Create/delete pod",
      steps: [step(whole), step(whole, { pods: { "x/d": { pod: "d" } } }), step(whole)],
    },
    {
      upstream: "Update pod so that policy applies, then again so it no longer applies",
      steps: [
        step({ base: fromNewPod }),
        step({ base: fromNewPod }, { labels: { "y/b": { pod: "b", "new-label": "abc" } } }),
        step({ base: fromNewPod }),
      ],
    },
    {
      upstream: "should allow ingress access on one named port",
      steps: [
        step(namedPort),
        step(namedPort, { labels: { w: { ns: "w" } }, pods: { "w/a": { pod: "a" } } }),
        step(namedPort),
      ],
    },
  ];
}

const nothing: readonly Rule[] = [];
const anything: readonly Rule[] = [{}];
const anyPod: readonly Rule[] = [{ peers: [{ namespaceSelector: everything }] }];
const anyAddress: readonly Rule[] = [
  { peers: [{ ipBlock: { cidr: "0.0.0.0/0" } }, { ipBlock: { cidr: "::/0" } }] },
];
const noPod: readonly Rule[] = [
  { peers: [{ namespaceSelector: labelled("this-will-never-happen", "qrs123") }] },
];
const noAddress: readonly Rule[] = [
  { peers: [{ ipBlock: { cidr: "0.0.0.0/31" } }, { ipBlock: { cidr: "::/127" } }] },
];

function conflictCases(): ConformanceCase[] {
  const source = { namespace: "x", podSelector: labelled("pod", "b") };
  const target = { namespace: "y", podSelector: labelled("pod", "c") };
  const out = (egress: readonly Rule[]): Policy => ({ ...source, ingress: undefined, egress });
  const into = (ingress: readonly Rule[], at = source): Policy => {
    return { ...at, ingress, egress: undefined };
  };
  const both = (name: string, one: Policy, other: Policy): ConformanceCase => ({
    upstream: name,
    steps: [step({ one, other })],
  });
  return [
    both("deny all from source, allow all to dest", out(nothing), into(anything, target)),
    both("allow all from source, deny all to dest", out(anything), into(nothing, target)),
    both("deny all + allow all from same source", out(nothing), out(anything)),
    both("deny all + allow all to same dest", into(nothing, target), into(anything, target)),
    both("deny all + allow all by pod from same source", out(nothing), out(anyPod)),
    both("deny all + allow all by IP from same source", out(nothing), out(anyAddress)),
    both("deny all by IP + allow all by pod from same source", out(noAddress), out(anyPod)),
    both("deny all by pod + allow all by IP from same source", out(noPod), out(anyAddress)),
    both("deny all + allow all by pod to same source", into(nothing), into(anyPod)),
    both("deny all + allow all by IP to same source", into(nothing), into(anyAddress)),
    both("deny all by IP + allow all by pod to same source", into(noAddress), into(anyPod)),
    both("deny all by pod + allow all by IP to same source", into(noPod), into(anyAddress)),
    single("egress: deny all by IP", out(noAddress)),
    single("egress: deny all by pod", out(noPod)),
    single("ingress: deny all by IP", into(noAddress)),
    single("ingress: deny all by pod", into(noPod)),
  ];
}

function namespaceCases(): ConformanceCase[] {
  const peer = { namespaceSelector: labelled("kubernetes.io/metadata.name", "z") };
  return inDirections.map((direction) =>
    single(
      `${direction}: select namespace by default label`,
      changed(direction, { peers: [peer] }),
    ),
  );
}

/** By upstream's generator. Its copies of Kubernetes' own tests are among those of netpol.ts. */
export function cyclonusCases(): Readonly<Record<string, readonly ConformanceCase[]>> {
  return {
    targets: targetCases(),
    rules: ruleCases(),
    peers: peerCases(),
    "ports and protocols": portCases(),
    "actions and examples": actionCases(),
    conflicts: conflictCases(),
    namespaces: namespaceCases(),
  };
}
