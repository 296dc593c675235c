// The two ends of an attachment: a veth pair, one end in the container's network namespace, the other a port of the switch.
import { readFile } from "node:fs/promises";
import { type Address, type Prefix, formatAddress, formatPrefix, widthOf } from "../net/address.ts";
import { formatMac, parseMac } from "../net/mac.ts";
import { runCommand, runIp } from "../runtime/command.ts";
import { CommandError } from "../runtime/errors.ts";
import { AttachError } from "./errors.ts";
import { attachmentLinkGroup } from "./kernel-guard.ts";

/** The next hop that endpoints and the node see; the switch answers for any address. */
export const gateways = { 4: "169.254.1.1", 6: "fe80::1" } as const;

export interface InterfacePlan {
  /** Name of the switch's end. */
  readonly port: string;
  /** Path of the container's network namespace. */
  readonly netns: string;
  /** Name of the container's end. */
  readonly interface: string;
  readonly mac: string;
  /** Every neighbour is reached through the gateway. */
  readonly addresses: readonly Address[];
  /** What is reached through the interface, by the gateway of its family. */
  readonly routes: readonly Prefix[];
  readonly mtu: number;
  /** Whether the kernel must fill in checksums before packets leave the container. */
  readonly checksumInKernel: boolean;
}

/** Names of the network interfaces in the agent's own namespace. */
export async function listInterfaces(): Promise<ReadonlySet<string>> {
  const table = await readFile("/proc/thread-self/net/dev", "utf8");
  return new Set(table.split("\n").flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []));
}

/**
 * Makes both ends, addresses and routes. An end of the same name that is there already is replaced.
 * @throws {AttachError} `interface-exists`
 * @throws {CommandError} Either leaves nothing behind.
 */
export async function createInterface(plan: InterfacePlan): Promise<void> {
  const { port, netns, mtu } = plan;
  const mac = formatMac(parseMac(plan.mac));
  await deleteInterfaces([port]);
  try {
    await runIp([
      `link add name ${port} mtu ${mtu} type veth peer name ${plan.interface} mtu ${mtu} address ${mac} netns ${netns}`,
      // The switch's end is no party of the network: without a link-local address it sends nothing of its own.
      `link set dev ${port} addrgenmode none`,
      // Nor does the node's own stack answer for it: see kernel-guard.ts.
      `link set dev ${port} arp off group ${attachmentLinkGroup}`,
      `link set dev ${port} up`,
    ]);
    await runCommand(
      ["nsenter", `--net=${netns}`, "sh", "-ec", containerScript(plan)],
      containerBatch(plan),
    );
  } catch (error) {
    await deleteInterfaces([port]);
    if (error instanceof CommandError && error.message.includes("File exists")) {
      const text = `there is an interface ${plan.interface} in ${netns} already`;
      throw new AttachError("interface-exists", text, { cause: error });
    }
    throw error;
  }
}

/** Names of the switch's ends of attachments that have a larger MTU. @throws {CommandError} */
export async function listLargerInterfaces(mtu: number): Promise<readonly string[]> {
  const group = String(attachmentLinkGroup);
  const listing = await runCommand(["ip", "-json", "link", "show", "group", group]);
  const links: unknown = JSON.parse(listing === "" ? "[]" : listing);
  if (!Array.isArray(links)) return [];
  return (links as readonly { ifname?: string; mtu?: number }[]).flatMap((link) =>
    link.ifname !== undefined && (link.mtu ?? 0) > mtu ? [link.ifname] : [],
  );
}

/** Of both ends; connections that are open take it up with their next packets. @throws {CommandError} */
export async function reduceMtu(
  { port, netns, interface: name }: Pick<InterfacePlan, "port" | "netns" | "interface">,
  mtu: number,
): Promise<void> {
  // The container's end first: nothing must come out of it that the other does not take.
  const set = ["ip", "link", "set", "dev", name, "mtu", String(mtu)] as const;
  await runCommand(["nsenter", `--net=${netns}`, ...set]);
  await runCommand(["ip", "link", "set", "dev", port, "mtu", String(mtu)]);
}

/** Removes the switch's ends and with them the containers'. Names that do not exist are passed over. */
export async function deleteInterfaces(ports: readonly string[]): Promise<void> {
  const existing = await listInterfaces();
  for (const port of ports.filter((name) => existing.has(name))) {
    try {
      await runCommand(["ip", "link", "delete", "dev", port]);
    } catch (error) {
      // The namespace may have gone, and the pair with it, since the list was read.
      if (error instanceof CommandError && (await listInterfaces()).has(port)) throw error;
    }
  }
}

function containerScript(plan: InterfacePlan): string {
  const steps = [];
  if (plan.addresses.some(({ family }) => family === 6)) {
    steps.push(`echo 0 >/proc/sys/net/ipv6/conf/${plan.interface}/disable_ipv6`);
  }
  // The switch in user space passes packets on as they are: a checksum that hardware was to fill in stays empty, and TCP
  // and UDP fail behind conntrack or a tunnel while ping works.
  if (plan.checksumInKernel) steps.push(`ethtool -K ${plan.interface} tx off >/dev/null`);
  return [...steps, "ip -batch -"].join("\n");
}

function containerBatch(plan: InterfacePlan): string {
  const name = plan.interface;
  const lines = [`link set dev ${name} up`];
  for (const address of plan.addresses) {
    const width = widthOf(address.family);
    const gateway = gateways[address.family];
    // Addresses are unique by allocation, and the switch answers for them: asking around first only costs a second.
    const noDetection = address.family === 6 ? " nodad" : "";
    lines.push(
      `addr add ${formatAddress(address)}/${width} dev ${name}${noDetection}`,
      `route replace ${gateway}/${width} dev ${name} scope link`,
    );
  }
  for (const route of plan.routes) {
    lines.push(`route replace ${formatPrefix(route)} via ${gateways[route.family]} dev ${name}`);
  }
  return `${lines.join("\n")}\n`;
}
