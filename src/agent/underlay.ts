// What the agent needs to know of the network between the nodes.
import { tryParseAddress } from "../net/address.ts";
import { runCommand } from "../runtime/command.ts";

/** Bytes that VXLAN puts around a packet: outer IP, UDP, VXLAN and inner Ethernet headers (RFC 7348 section 5). */
const overhead = { 4: 50, 6: 70 } as const;

/** What a standard Ethernet carries. */
export const defaultUnderlayMtu = 1500;

/** Size of the largest packet that an endpoint may send, so that no tunnel has to cut it. */
export function endpointMtu(underlayMtu: number, addresses: readonly string[]): number {
  const family = tryParseAddress(addresses[0] ?? "")?.family ?? 4;
  return underlayMtu - overhead[family];
}

/** MTU of the interface that has one of the addresses; `undefined` when none has. */
export async function readUnderlayMtu(addresses: readonly string[]): Promise<number | undefined> {
  const links: unknown = JSON.parse(await runCommand(["ip", "-json", "address", "show"]));
  if (!Array.isArray(links)) return undefined;
  for (const link of links as readonly {
    mtu?: number;
    addr_info?: readonly { local?: string }[];
  }[]) {
    const has = link.addr_info?.some(
      ({ local }) => local !== undefined && addresses.includes(local),
    );
    if (has === true) return link.mtu;
  }
  return undefined;
}
