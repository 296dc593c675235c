// The node's own way into the overlay: an internal port of the switch, through which the node and its pods reach each
// other and pods reach the outside. Routes and a fixed neighbour; netfilter.ts says under which addresses.
import { type Family, formatPrefix, parseAddress, parsePrefix } from "../../net/address.ts";
import { hairpinAddresses } from "../../pipeline/virtual-address.ts";
import { runCommand, runIp } from "../../runtime/command.ts";
import { gateways } from "../attach/interface-plan.ts";
import type { KernelSettings } from "./kernel-settings.ts";
import { type NetfilterPlan, applyNetfilter } from "./netfilter.ts";

export interface GatewayPlan extends NetfilterPlan {
  readonly mtu: number;
  /** MAC address of the next hop inside the overlay. */
  readonly routerMac: string;
  /** CIDRs of virtual addresses, which lead through the port as the pools do. */
  readonly serviceCidrs: readonly string[];
}

const families = [4, 6] as const satisfies readonly Family[];

/** Makes the gateway as planned, whatever was there. The internal port must exist. @throws {CommandError} */
export async function applyGateway(plan: GatewayPlan, settings: KernelSettings): Promise<void> {
  const pools = plan.pools.map(parsePrefix);
  const used = new Set(pools.map((pool) => pool.family));
  const routed = [...pools, ...plan.serviceCidrs.map(parsePrefix)];
  await enableForwarding(plan.port, used, settings);
  const stale = await staleRoutes(plan);
  await runIp([
    `link set dev ${plan.port} addrgenmode none`,
    `link set dev ${plan.port} mtu ${plan.mtu} up`,
    ...stale.map((route) => `route delete ${route} dev ${plan.port}`),
    ...families.map(
      (family) =>
        `neigh replace ${gateways[family]} lladdr ${plan.routerMac} dev ${plan.port} nud permanent`,
    ),
    ...routed.map((prefix) => routeTo(formatPrefix(prefix), prefix.family, plan)),
    // What the switch sends back to the node as if from there.
    ...[...used].map((family) => routeTo(hairpinAddresses[family], family, plan)),
  ]);
  await applyNetfilter(plan);
}

function routeTo(prefix: string, family: Family, plan: GatewayPlan): string {
  const source = plan.nodeAddresses.find((address) => parseAddress(address).family === family);
  const via = `via ${gateways[family]} dev ${plan.port} onlink`;
  return `route replace ${prefix} ${via}${source === undefined ? "" : ` src ${source}`}`;
}

/** Whether the kernel forwards what the gateway needs it to. @throws {Error} of the file system. */
export async function gatewayForwards(
  { pools }: GatewayPlan,
  settings: KernelSettings,
): Promise<boolean> {
  for (const [family, name] of [
    [4, "ipv4/ip_forward"],
    [6, "ipv6/conf/all/forwarding"],
  ] as const) {
    const used = pools.some((pool) => parsePrefix(pool).family === family);
    if (used && (await settings.get(name)) === "0") return false;
  }
  return true;
}

/** Routes of networks through the port that nothing needs any more; single addresses are others' to keep. */
async function staleRoutes({ port, pools, serviceCidrs }: GatewayPlan): Promise<readonly string[]> {
  const routed = [...pools, ...serviceCidrs];
  const wanted = new Set(routed.map((cidr) => formatPrefix(parsePrefix(cidr))));
  const stale: string[] = [];
  for (const family of families) {
    const listing = await runCommand(["ip", `-${family}`, "-json", "route", "show", "dev", port]);
    const routes: unknown = JSON.parse(listing === "" ? "[]" : listing);
    if (!Array.isArray(routes)) continue;
    for (const { dst, gateway } of routes as readonly { dst: string; gateway?: string }[]) {
      const destination = dst.includes("/") ? dst : `${dst}/${family === 4 ? 32 : 128}`;
      const isNetwork = !destination.endsWith(family === 4 ? "/32" : "/128");
      if (gateway !== undefined && isNetwork && !wanted.has(destination)) stale.push(destination);
    }
  }
  return stale;
}

async function enableForwarding(
  port: string,
  used: ReadonlySet<Family>,
  settings: KernelSettings,
): Promise<void> {
  if (used.has(4)) {
    await switchOn("ipv4/ip_forward", settings);
    // Replies of pods to the node's other addresses come back on another path than the route to the pod.
    await settings.set(`ipv4/conf/${port}/rp_filter`, "2", false);
  }
  if (used.has(6)) {
    await settings.set(`ipv6/conf/${port}/disable_ipv6`, "0", false);
    await keepRouterAdvertisements(settings);
    await switchOn("ipv6/conf/all/forwarding", settings);
  }
}

/** Whatever is not 0 is on, and may mean more to somebody. */
async function switchOn(name: string, settings: KernelSettings): Promise<void> {
  if ((await settings.get(name)) === "0") await settings.set(name, "1");
}

/** Linux takes no router's word any more when it forwards, unless an interface is told to: its default route would time out. */
async function keepRouterAdvertisements(settings: KernelSettings): Promise<void> {
  const listing = await runCommand(["ip", "-6", "-json", "route", "show", "proto", "ra"]);
  const routes: unknown = JSON.parse(listing === "" ? "[]" : listing);
  if (!Array.isArray(routes)) return;
  const devices = new Set((routes as readonly { dev?: string }[]).map(({ dev }) => dev));
  for (const device of devices) {
    if (device === undefined) continue;
    // 0 is an interface whose advertisements a program takes in; 2 is what is wanted.
    const name = `ipv6/conf/${device}/accept_ra`;
    if ((await settings.get(name)) === "1") await settings.set(name, "2");
  }
}
