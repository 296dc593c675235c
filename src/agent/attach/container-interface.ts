// The two ends of an attachment: a veth pair, one end in the container's network namespace, the other a port of the switch.
import { closeSync, openSync, write } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { KernelError } from "../../kernel/errors.ts";
import { type NamedRequest, NetlinkSocket } from "../../kernel/netlink-socket.ts";
import { fillChecksums, inNetns, openNetns } from "../../kernel/system-calls.ts";
import { parseAddress, prefixOf, widthOf } from "../../net/address.ts";
import { parseMac } from "../../net/mac.ts";
import {
  decodeLink,
  encodeChangeLink,
  encodeCreateVeth,
  encodeDeleteLink,
  encodeGetLink,
} from "../../netlink/link.ts";
import { encodeAddAddress, encodeReplaceRoute } from "../../netlink/route.ts";
import { runCommand } from "../../runtime/command.ts";
import { AttachError } from "../errors.ts";
import { type InterfaceEnds, type InterfacePlan, gateways } from "./interface-plan.ts";
import { attachmentLinkGroup } from "../node/kernel-guard.ts";
import { kernelSettingsFolder } from "../node/kernel-settings.ts";

const writeBytes = promisify(write);

/** In the agent's own namespace; opened at the first need, for as long as the process lives. */
let makers: NetlinkSocket | undefined;
/** A deletion waits in the kernel until nobody looks at the interface any more; nobody else is to wait for that. */
let removers: NetlinkSocket | undefined;

/** Names of the network interfaces in the agent's own namespace. O(interfaces). */
export async function listInterfaces(): Promise<ReadonlySet<string>> {
  const table = await readFile("/proc/thread-self/net/dev", "utf8");
  return new Set(table.split("\n").flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []));
}

/**
 * Makes both ends, addresses and routes. A switch's end of the same name that is there already is replaced.
 * @throws {AttachError} `interface-exists`
 * @throws {KernelError} Either leaves nothing behind.
 */
export async function createInterface(plan: InterfacePlan): Promise<void> {
  try {
    await createEnds(plan);
    await setUpContainer(plan);
  } catch (error) {
    await deleteInterfaces([plan.port]);
    if (!(error instanceof KernelError && error.code === "EEXIST")) throw error;
    const text = `there is an interface ${plan.interface} in ${plan.netns} already`;
    throw new AttachError("interface-exists", text, { cause: error });
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

/** Of both ends; connections that are open take it up with their next packets. @throws {KernelError} */
export async function reduceMtu(
  { port, netns, interface: name }: InterfaceEnds,
  mtu: number,
): Promise<void> {
  const set = (device: string): NamedRequest => ({
    what: `MTU of ${device}`,
    ...encodeChangeLink(device, { mtu }),
  });
  // The container's end first: nothing must come out of it that the other does not take.
  using container = inNetns(netns, () => new NetlinkSocket());
  await container.request([set(name)]);
  makers ??= new NetlinkSocket();
  await makers.request([set(port)]);
}

/**
 * Removes the switch's ends and with them the containers'. Names that do not exist are passed over.
 * @throws {KernelError}
 */
export async function deleteInterfaces(ports: readonly string[]): Promise<void> {
  removers ??= new NetlinkSocket();
  await removers.request(ports.map(deletion));
}

/** One that is not there is passed over. */
function deletion(port: string): NamedRequest {
  return { what: `deletion of ${port}`, ...encodeDeleteLink(port), tolerated: ["ENODEV"] };
}

/** Both ends, the switch's of them ready. */
async function createEnds({
  port,
  netns,
  interface: name,
  mac,
  mtu,
}: InterfacePlan): Promise<void> {
  using namespace = openNetns(netns);
  const peer = { name, mtu, mac: parseMac(mac), netns: namespace.fd };
  const veth = { name: port, mtu, group: attachmentLinkGroup, peer };
  makers ??= new NetlinkSocket();
  await makers.request([
    deletion(port),
    { what: `interface ${name} in ${netns}`, ...encodeCreateVeth(veth) },
    {
      what: `settings of ${port}`,
      // The switch's end is no party of the network: without a link-local address it sends nothing of its own. Nor does the
      // node's own stack answer for it: see kernel-guard.ts.
      ...encodeChangeLink(port, { linkLocal: false, arp: false }),
    },
    { what: `raising ${port}`, ...encodeChangeLink(port, { up: true }) },
  ]);
}

async function setUpContainer({
  netns,
  interface: name,
  addresses,
  routes,
  checksumInKernel,
}: InterfacePlan): Promise<void> {
  using socket = inNetns(netns, () => new NetlinkSocket());
  if (addresses.some(({ family }) => family === 6)) await enableIpv6(netns, name);
  // The switch in user space passes packets on as they are: a checksum that hardware was to fill in stays empty, and TCP
  // and UDP fail behind conntrack or a tunnel while ping works.
  if (checksumInKernel) await fillChecksums(socket.fd, name);
  const answers = await socket.request([
    { what: `raising ${name}`, ...encodeChangeLink(name, { up: true }) },
    { what: `looking at ${name}`, ...encodeGetLink(name) },
  ]);
  const index = answers.flatMap((answer) => decodeLink(answer)?.index ?? [])[0];
  if (index === undefined) throw new KernelError(`the kernel does not show ${name}`, "");
  await socket.request([
    ...addresses.map((address) => ({
      what: `address of ${name}`,
      ...encodeAddAddress(index, address),
    })),
    ...addresses.map(({ family }) => ({
      what: `next hop of ${name}`,
      ...encodeReplaceRoute(index, prefixOf(parseAddress(gateways[family]), widthOf(family))),
    })),
    ...routes.map((route) => ({
      what: `route through ${name}`,
      ...encodeReplaceRoute(index, route, parseAddress(gateways[route.family])),
    })),
  ]);
}

/** Settings are of the namespace that their file was opened in; to write them may take as long as netlink. */
async function enableIpv6(netns: string, name: string): Promise<void> {
  const fd = inNetns(netns, () =>
    openSync(`${kernelSettingsFolder}/ipv6/conf/${name}/disable_ipv6`, "w"),
  );
  try {
    await writeBytes(fd, "0");
  } finally {
    closeSync(fd);
  }
}
