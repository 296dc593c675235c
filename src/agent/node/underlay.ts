// What the agent needs to know of the network between the nodes, read from the node's interfaces.
import { tryParseAddress } from "../../net/address.ts";
import { runCommand } from "../../runtime/command.ts";

/** Bytes that VXLAN puts around a packet: outer IP, UDP, VXLAN and inner Ethernet headers (RFC 7348 section 5). */
const overhead = { 4: 50, 6: 70 } as const;

/** What a standard Ethernet carries. */
const defaultUnderlayMtu = 1500;

/** RFC 8200 section 5: what IPv6 asks of every link. */
const leastEndpointMtu = 1280;

export interface NodeInterface {
  readonly name: string;
  readonly mtu: number;
  /** `vxlan`, `veth`, `tun`, …; empty for one of hardware. */
  readonly kind: string;
  /** Of tunnels the UDP port. */
  readonly tunnelPort: number | undefined;
  readonly loopback: boolean;
  readonly up: boolean;
  /** Without prefix lengths; not those of the link alone. */
  readonly addresses: readonly string[];
}

export interface Underlay {
  /** This node's end of the tunnels. */
  readonly vtep: string | undefined;
  /** The interfaces whose MTU counts: the one with the tunnels' address, or those that it is reached through. */
  readonly interfaces: readonly string[];
  readonly mtu: number;
  /** Size of the largest packet that an endpoint may send, so that no tunnel has to cut it. */
  readonly endpointMtu: number;
}

/** The node's interfaces, as ip(8) tells of them. @throws {CommandError} */
export async function readInterfaces(): Promise<readonly NodeInterface[]> {
  const listing = await runCommand(["ip", "-json", "-details", "address", "show"]);
  const links: unknown = JSON.parse(listing);
  return Array.isArray(links) ? links.map(interfaceOf) : [];
}

interface Link {
  readonly ifname?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly port?: number };
  };
  readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
}

function interfaceOf(link: Link): NodeInterface {
  const addresses = (link.addr_info ?? []).filter(({ scope }) => scope !== "link");
  return {
    name: link.ifname ?? "",
    mtu: link.mtu ?? defaultUnderlayMtu,
    kind: link.linkinfo?.info_kind ?? "",
    tunnelPort: link.linkinfo?.info_data?.port,
    loopback: link.flags?.includes("LOOPBACK") ?? false,
    up: link.flags?.includes("UP") ?? false,
    addresses: addresses.flatMap(({ local }) => local ?? []),
  };
}

/** Names of the interfaces that the main table routes through. @throws {CommandError} */
export async function readRouteDevices(): Promise<ReadonlySet<string>> {
  const devices = new Set<string>();
  for (const family of ["-4", "-6"]) {
    const listing = await runCommand(["ip", family, "-json", "route", "show", "table", "main"]);
    const routes: unknown = JSON.parse(listing === "" ? "[]" : listing);
    if (!Array.isArray(routes)) continue;
    for (const { dev, nexthops = [] } of routes as readonly {
      dev?: string;
      nexthops?: readonly { dev?: string }[];
    }[]) {
      for (const name of [dev, ...nexthops.map((hop) => hop.dev)]) {
        if (name !== undefined) devices.add(name);
      }
    }
  }
  return devices;
}

/**
 * The underlay of a node whose tunnels end at `vtep`. Where that is an address of no link (loopback or dummy, as nodes have
 * it that speak BGP to their switches), the least MTU counts of all interfaces that routes lead through, `own` excepted.
 */
export function underlayOf(
  vtep: string | undefined,
  interfaces: readonly NodeInterface[],
  routed: ReadonlySet<string>,
  own: (name: string) => boolean,
): Underlay {
  const carriesPackets = (one: NodeInterface): boolean => !one.loopback && one.kind !== "dummy";
  const holder = interfaces.find((one) => vtep !== undefined && one.addresses.includes(vtep));
  const counted =
    holder === undefined || carriesPackets(holder)
      ? interfaces.filter((one) => one === holder)
      : interfaces.filter(
          (one) => one.up && carriesPackets(one) && routed.has(one.name) && !own(one.name),
        );
  const mtu = counted.length > 0 ? Math.min(...counted.map((one) => one.mtu)) : defaultUnderlayMtu;
  const family = tryParseAddress(vtep ?? "")?.family ?? 4;
  return {
    vtep,
    interfaces: counted.map(({ name }) => name),
    mtu,
    endpointMtu: Math.max(mtu - overhead[family], leastEndpointMtu),
  };
}
