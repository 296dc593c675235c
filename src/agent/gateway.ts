// The node's own way into the overlay: an internal port of the switch, through which the node and its pods reach each
// other and pods reach the outside. Routes, a fixed neighbour, and source NAT in an nftables table of its own.
import { writeFile } from "node:fs/promises";
import {
  type Family,
  formatPrefix,
  parseAddress,
  parsePrefix,
  prefixContains,
} from "../net/address.ts";
import { runCommand, runIp } from "../runtime/command.ts";
import { gateways } from "./container-interface.ts";

export interface GatewayPlan {
  /** Name of the internal port. */
  readonly port: string;
  readonly mtu: number;
  /** MAC address of the next hop inside the overlay. */
  readonly routerMac: string;
  /** Pools of every domain that is reached through this port. */
  readonly pools: readonly string[];
  readonly nodeAddresses: readonly string[];
}

/** RFC 7348 section 5; what Open vSwitch uses unless told otherwise. */
const vxlanUdpPort = 4789;

const families = [4, 6] as const satisfies readonly Family[];

/** Makes the gateway as planned, whatever was there. The internal port must exist. @throws {CommandError} */
export async function applyGateway(plan: GatewayPlan): Promise<void> {
  const pools = plan.pools.map(parsePrefix);
  await enableForwarding(plan.port, new Set(pools.map((pool) => pool.family)));
  const stale = await staleRoutes(plan);
  await runIp([
    `link set dev ${plan.port} addrgenmode none`,
    `link set dev ${plan.port} mtu ${plan.mtu} up`,
    ...stale.map((route) => `route delete ${route} dev ${plan.port}`),
    ...families.map(
      (family) =>
        `neigh replace ${gateways[family]} lladdr ${plan.routerMac} dev ${plan.port} nud permanent`,
    ),
    ...pools.map((pool) => routeTo(formatPrefix(pool), pool.family, plan)),
  ]);
  await runCommand(["nft", "-f", "-"], netfilterRules(plan));
}

/** Removes what `applyGateway` made outside the switch; routes go with the port. */
export async function removeGateway(port: string): Promise<void> {
  await runCommand(
    ["nft", "-f", "-"],
    `table inet ${tableName(port)}\ndelete table inet ${tableName(port)}\n`,
  );
}

function routeTo(pool: string, family: Family, plan: GatewayPlan): string {
  const source = plan.nodeAddresses.find((address) => parseAddress(address).family === family);
  const via = `via ${gateways[family]} dev ${plan.port} onlink`;
  return `route replace ${pool} ${via}${source === undefined ? "" : ` src ${source}`}`;
}

/** Routes through the port that no pool needs any more. */
async function staleRoutes({ port, pools }: GatewayPlan): Promise<readonly string[]> {
  const wanted = new Set(pools.map((pool) => formatPrefix(parsePrefix(pool))));
  const stale: string[] = [];
  for (const family of families) {
    const listing = await runCommand(["ip", `-${family}`, "-json", "route", "show", "dev", port]);
    const routes: unknown = JSON.parse(listing === "" ? "[]" : listing);
    if (!Array.isArray(routes)) continue;
    for (const { dst, gateway } of routes as readonly { dst: string; gateway?: string }[]) {
      const destination = dst.includes("/") ? dst : `${dst}/${family === 4 ? 32 : 128}`;
      if (gateway !== undefined && !wanted.has(destination)) stale.push(destination);
    }
  }
  return stale;
}

async function enableForwarding(port: string, used: ReadonlySet<Family>): Promise<void> {
  const settings: [string, string][] = [];
  if (used.has(4)) {
    settings.push(
      ["ipv4/ip_forward", "1"],
      // Replies of pods to the node's other addresses come back on another path than the route to the pod.
      [`ipv4/conf/${port}/rp_filter`, "2"],
    );
  }
  if (used.has(6)) {
    settings.push([`ipv6/conf/${port}/disable_ipv6`, "0"], ["ipv6/conf/all/forwarding", "1"]);
  }
  for (const [name, value] of settings) await writeFile(`/proc/sys/net/${name}`, value);
}

/** One table a port, so that two agents on one machine do not meet. */
function tableName(port: string): string {
  return `isobar-${port}`;
}

/**
 * Tunnel packets of pods do not leave the node: under its address another node would take them for the node's own, with
 * any pod of this node as their sender.
 */
function netfilterRules({ port, pools }: GatewayPlan): string {
  const name = tableName(port);
  const rules = families.flatMap((family) => {
    const prefixes = pools.map(parsePrefix).filter((pool) => pool.family === family);
    if (prefixes.length === 0) return [];
    // A set of nftables may not name an address twice.
    const outermost = prefixes.filter((pool, index) =>
      prefixes.every((other, at) => at === index || !prefixContains(other, pool)),
    );
    const set = outermost.map(formatPrefix).join(", ");
    const field = family === 4 ? "ip" : "ip6";
    return [
      `${field} saddr { ${set} } ${field} daddr != { ${set} } oifname != "${port}" masquerade`,
    ];
  });
  // Declared, deleted and declared again in one transaction: the first line lets the second one always succeed.
  return `table inet ${name}
delete table inet ${name}
table inet ${name} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${rules.join("\n    ")}
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${port}" udp dport ${vxlanUdpPort} drop
  }
}
`;
}
