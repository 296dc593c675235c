// What the agent finds on its node, judged: for its log, `isobar check` and support bundles. Pure; node-inspection.ts looks.
import type { NodeProblem } from "../../southbound/attachment.ts";
import type { DatapathType } from "../config.ts";
import type { ClosedChain } from "./forward-chains.ts";
import type { NodeInterface, Underlay } from "./underlay.ts";

export interface NodeFacts {
  readonly datapathType: DatapathType;
  /** Of Open vSwitch; `undefined` while it has not answered. */
  readonly version: string | undefined;
  /** Whether the switch has bridges in the kernel and others in user space. */
  readonly twoDatapaths: boolean;
  /** `other_config:userspace-tso-enable` */
  readonly segmentation: boolean;
  /** Why the bridge was not made. */
  readonly refusal: string | undefined;
  /** Errors of the agent's own ports, by name. */
  readonly portErrors: Readonly<Record<string, string>>;
  /** VXLAN ports on other bridges of the switch: name to UDP port. */
  readonly otherTunnels: Readonly<Record<string, number>>;
  readonly tunnelUdpPort: number;
  readonly underlay: Underlay;
  readonly interfaces: readonly NodeInterface[];
  /** As the controller tells them. */
  readonly addresses: readonly string[];
  /** Whether a controller has told all there is. */
  readonly complete: boolean;
  /** As configured with `--underlay-address`. */
  readonly configured: readonly string[];
  readonly closedChains: readonly ClosedChain[];
  /** Whether iptables' older backend has rules, which nft does not show. */
  readonly legacyTables: boolean;
  /** Of the node's kernel; `undefined` where it tracks nothing. */
  readonly connections: { readonly tracked: number; readonly most: number } | undefined;
}

/** The first version whose switch in user space segments what goes into a tunnel. */
const segmentsTunnels = [3, 5] as const;

/** Share of the kernel's connection table from which it is nearly full. */
const nearlyFull = 0.9;

/** Least that leaves IPv6 its 1280 bytes behind a tunnel over IPv6. */
const leastUnderlayMtu = 1350;

/** Whether the switch cuts large TCP segments itself, so that endpoints may send them: also into tunnels. */
export function segmentsInSwitch(facts: Pick<NodeFacts, "version" | "segmentation">): boolean {
  return facts.segmentation && isAtLeast(facts.version, segmentsTunnels);
}

/**
 * Whether a tracked connection can be deleted from one of two datapaths: 3.1 takes the datapath's name for a connection, and
 * refuses when there are two and none is named.
 */
export function namesDatapath(version: string | undefined): boolean {
  return isAtLeast(version, segmentsTunnels);
}

function isAtLeast(version: string | undefined, least: readonly [number, number]): boolean {
  const found = /^(\d+)\.(\d+)/.exec(version ?? "");
  if (found === null) return false;
  const [major, minor] = [Number(found[1]), Number(found[2])];
  return major > least[0] || (major === least[0] && minor >= least[1]);
}

/** Worst first. */
export function judgeNode(facts: NodeFacts): readonly NodeProblem[] {
  const problems = [
    ...judgeSwitch(facts),
    ...judgeUnderlay(facts),
    ...judgeSegmentation(facts),
    ...judgeFilter(facts),
  ];
  const order = ["error", "warning", "advice"] as const;
  return problems.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

function* judgeSwitch(facts: NodeFacts): Generator<NodeProblem> {
  const { refusal, portErrors, tunnelUdpPort } = facts;
  if (refusal !== undefined) {
    yield {
      code: "bridge-taken",
      severity: "error",
      message: refusal,
      remedy: "No pod is attached on this node until the agent has a bridge of its own.",
    };
  }
  for (const [port, reason] of Object.entries(portErrors)) {
    yield {
      code: "port-not-made",
      severity: "error",
      message: `Open vSwitch did not make ${port}: ${reason}`,
      remedy: "See the log of ovs-vswitchd.",
    };
  }
  if (facts.twoDatapaths && facts.version !== undefined && !namesDatapath(facts.version)) {
    yield {
      code: "two-datapaths",
      severity: "error",
      message: `Open vSwitch ${facts.version} has bridges in the kernel and in user space: connections that a policy forbids later cannot be cut`,
      remedy:
        "Give all bridges of this node the same datapath_type, or upgrade Open vSwitch to 3.5.",
    };
  }
  for (const [name, udpPort] of tunnelsBeside(facts)) {
    if (udpPort !== tunnelUdpPort) continue;
    yield {
      code: "tunnel-port-taken",
      severity: facts.datapathType === "system" ? "error" : "warning",
      message: `${name} takes VXLAN on UDP port ${udpPort} as well`,
      remedy: "Give all agents another port with --tunnel-udp-port, the same on every node.",
    };
  }
}

function tunnelsBeside({ otherTunnels, interfaces }: NodeFacts): readonly [string, number][] {
  const kernel = interfaces.flatMap(({ name, kind, tunnelPort }): [string, number][] =>
    // Open vSwitch makes the one of that name in the kernel for its own.
    kind === "vxlan" && tunnelPort !== undefined && !name.startsWith("vxlan_sys_")
      ? [[name, tunnelPort]]
      : [],
  );
  return [...kernel, ...Object.entries(otherTunnels)];
}

function* judgeUnderlay(facts: NodeFacts): Generator<NodeProblem> {
  const { underlay, addresses, configured } = facts;
  const { vtep, mtu } = underlay;
  const present = facts.interfaces.flatMap((one) => one.addresses);
  if (vtep === undefined) {
    // The controller is still to say it.
    if (!facts.complete) return;
    yield {
      code: "no-node-address",
      severity: "error",
      message: "this node's address is not known: it has no InternalIP in the API",
      remedy: "Check --node, which must be the Node object's name, or give --underlay-address.",
    };
  } else if (!present.includes(vtep)) {
    yield {
      code: "node-address-missing",
      severity: "error",
      message: `the node's first InternalIP, ${vtep}, is on none of its interfaces`,
      remedy:
        "Other nodes send to that address. Set the kubelet's --node-ip to one that the node has.",
    };
  }
  const [first] = configured;
  if (addresses.length > 0 && first !== undefined && first !== addresses[0]) {
    yield {
      code: "node-address-differs",
      severity: "warning",
      message: `--underlay-address is ${first}, but the API has ${addresses[0]} first, which counts`,
      remedy: "Leave the flag out.",
    };
  }
  if (mtu < leastUnderlayMtu) {
    yield {
      code: "underlay-mtu-small",
      severity: "error",
      message: `the network between the nodes (${underlay.interfaces.join(", ")}) carries ${mtu} bytes`,
      remedy: `IPv6 in a tunnel needs ${leastUnderlayMtu}. Raise the interface's MTU.`,
    };
  }
}

function* judgeSegmentation(facts: NodeFacts): Generator<NodeProblem> {
  if (facts.datapathType !== "netdev" || facts.version === undefined) return;
  const able = isAtLeast(facts.version, segmentsTunnels);
  if (facts.segmentation && !able) {
    yield {
      code: "segmentation-breaks-tunnels",
      severity: "error",
      message: `userspace-tso-enable is on, and Open vSwitch ${facts.version} drops large TCP segments between nodes`,
      remedy:
        "ovs-vsctl remove Open_vSwitch . other_config userspace-tso-enable, and restart ovs-vswitchd; or upgrade to 3.5.",
    };
  }
  if (!facts.segmentation && able) {
    yield {
      code: "segmentation-off",
      severity: "advice",
      message: "TCP between pods is slower than it could be: userspace-tso-enable is off",
      remedy:
        "ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true, and restart ovs-vswitchd. It concerns all bridges.",
    };
  }
}

function* judgeFilter(facts: NodeFacts): Generator<NodeProblem> {
  for (const { chain, reason } of facts.closedChains) {
    yield {
      code: "forwarding-filtered",
      severity: "error",
      message: `the packet filter's chain ${chain} drops what it does not know, and could not be opened: ${reason}`,
      remedy: "Let it accept what comes in or goes out through isobar-gw.",
    };
  }
  if (facts.legacyTables) {
    yield {
      code: "iptables-legacy",
      severity: "warning",
      message: "iptables has rules of its older kind on this node, which the agent does not see",
      remedy:
        "If pods do not reach the outside: iptables-legacy -I FORWARD -i isobar-gw -j ACCEPT, and the same with -o.",
    };
  }
  const { connections } = facts;
  if (connections !== undefined && connections.tracked > nearlyFull * connections.most) {
    yield {
      code: "connections-nearly-full",
      severity: "error",
      message: `the kernel tracks ${connections.tracked} of at most ${connections.most} connections; further ones will be dropped`,
      remedy: "Raise net.netfilter.nf_conntrack_max.",
    };
  }
}
