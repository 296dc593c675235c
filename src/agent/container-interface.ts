// The two ends of an attachment: a veth pair, one end in the container's network namespace, the other a port of the switch.
import { readFile } from "node:fs/promises";
import { KernelError } from "../kernel/errors.ts";
import { runCommand } from "../runtime/command.ts";
import { AttachError } from "./errors.ts";
import type { InterfaceEnds, InterfacePlan } from "./interface-plan.ts";
import { InterfaceThread } from "./interface-thread.ts";
import { attachmentLinkGroup } from "./kernel-guard.ts";

const makers = new InterfaceThread();
/** A deletion waits in the kernel until nobody looks at the interface any more; nobody else is to wait for that. */
const removers = new InterfaceThread();

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
    await makers.run({ kind: "create", plan });
  } catch (error) {
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
  await makers.run({ kind: "reduce-mtu", ends: { port, netns, interface: name }, mtu });
}

/**
 * Removes the switch's ends and with them the containers'. Names that do not exist are passed over.
 * @throws {KernelError}
 */
export async function deleteInterfaces(ports: readonly string[]): Promise<void> {
  if (ports.length > 0) await removers.run({ kind: "delete", ports });
}
