// Names and addresses of a lab's network.
//
//   external host ── (own subnet) ──┐
//   external host ── (own subnet) ──┤ fabric: router, and bridge `underlay` 172.30.0.0/24, fd00:30::/64
//                                   │
//         node1: veth ─ br-ext ─────┤     on each node the underlay address is on br-ext, a bridge of Open vSwitch:
//         node2: veth ─ br-ext ─────┘     its tunnels in user space want it there
import { formatAddress, parsePrefix, prefixContains, tryParseAddress } from "../../net/address.ts";
import { LabError } from "../errors.ts";

/** Everything outside of the overlay that pods may talk to, each host in a subnet of its own. */
export interface ExternalHostSpec {
  readonly name: string;
  /** With the length of its subnet, at most one of each family. The subnet's first address is the router's. */
  readonly addresses: readonly string[];
}

/** In the address blocks for documentation: RFC 5737 and RFC 3849. */
export const defaultExternalHosts: readonly ExternalHostSpec[] = [
  { name: "internet", addresses: ["198.51.100.10/24", "2001:db8:1::10/48"] },
  { name: "bank", addresses: ["192.0.2.10/24", "2001:db8:2::10/48"] },
  { name: "office", addresses: ["203.0.113.10/24", "2001:db8:3::10/48"] },
];

/** An address with its subnet and the subnet's router. */
interface Placement {
  readonly address: string;
  readonly length: number;
  readonly router: string;
}

export interface HostPlan {
  readonly name: string;
  /** Name of its network namespace. */
  readonly netns: string;
  /** Name of the fabric's end of its veth pair. */
  readonly port: string;
  readonly placements: readonly Placement[];
}

export interface NetworkPlan {
  readonly lab: string;
  /** Network namespace in which everything meets. */
  readonly fabric: string;
  readonly nodes: readonly HostPlan[];
  readonly externalHosts: readonly HostPlan[];
}

/** The prefix of all names of network namespaces of a lab, and of no other lab's: a lab's name has no full stop. */
export function netnsPrefix(lab: string): string {
  return `isobar-${lab}.`;
}

/** `pod` is `namespace/name`. A namespace has no full stop in its name, so that two pods never share one. */
export function podNetns(lab: string, pod: string): string {
  if (!/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/.test(pod)) {
    throw new LabError(`expected a pod such as shop/web-1, got "${pod}"`);
  }
  const name = `${netnsPrefix(lab)}pod.${pod.replace("/", ".")}`;
  // The name of a file.
  if (name.length > 255)
    throw new LabError(`the name of pod ${pod} is too long for a network namespace`);
  return name;
}

/** Name of the interface by which nodes and external hosts are connected. */
export const uplinkName = "uplink";

/** The fabric's own addresses among the nodes'. */
export const underlayRouters = ["172.30.0.1/24", "fd00:30::1/64"] as const;
const firstNode = 10;
const maxNodes = 200;

/** @throws {LabError} */
function place(cidr: string): Placement {
  const [text = "", length] = cidr.split("/");
  const address = tryParseAddress(text);
  if (address === undefined || length === undefined) {
    throw new LabError(
      `expected an address with a prefix length such as 192.0.2.10/24, got "${cidr}"`,
    );
  }
  const subnet = parsePrefix(cidr);
  const router = formatAddress({ family: subnet.family, bits: subnet.bits | 1n });
  if (!prefixContains(subnet, address) || router === text) {
    throw new LabError(`${cidr}: the subnet's first address is its router's`);
  }
  return { address: text, length: subnet.length, router };
}

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
      throw new LabError(
        `expected a name of lower case letters, digits and hyphens, got "${name}"`,
      );
    }
    if (seen.has(name)) throw new LabError(`the name ${name} is there twice`);
    seen.add(name);
  }
}

/** @throws {LabError} */
export function planNetwork(
  lab: string,
  nodes: readonly string[],
  externalHosts: readonly ExternalHostSpec[],
): NetworkPlan {
  const prefix = netnsPrefix(lab);
  if (nodes.length > maxNodes) throw new LabError(`expected at most ${maxNodes} nodes`);
  for (const names of [nodes, externalHosts.map((host) => host.name)]) checkNames(names);
  return {
    lab,
    fabric: `${prefix}fabric`,
    nodes: nodes.map((name, index) => ({
      name,
      netns: `${prefix}node.${name}`,
      port: `node${index}`,
      placements: [
        place(`172.30.0.${firstNode + index}/24`),
        place(`fd00:30::${(firstNode + index).toString(16)}/64`),
      ],
    })),
    externalHosts: externalHosts.map(({ name, addresses }, index) => ({
      name,
      netns: `${prefix}external.${name}`,
      port: `ext${index}`,
      placements: addresses.map(place),
    })),
  };
}
