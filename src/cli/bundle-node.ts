// What a node's switch and network say, for a support bundle. `enter` goes before each command, as nsenter for a lab's node.
import { runCommand } from "../runtime/command.ts";
import type { Bundle } from "./bundle.ts";

export interface NodeAccess {
  /** Folder in the bundle. */
  readonly path: string;
  readonly enter: readonly string[];
  /** Open vSwitch's run directory. */
  readonly runDir: string;
  readonly databaseSocket: string;
  readonly bridge: string;
}

export async function collectNode(bundle: Bundle, access: NodeAccess): Promise<void> {
  const { path, enter, runDir, databaseSocket, bridge } = access;
  const run = async (...command: readonly string[]): Promise<string> => {
    const [program, ...args] = [...enter, ...command];
    return await runCommand([program ?? "", ...args]);
  };
  const management = `unix:${runDir}/${bridge}.mgmt`;
  const commands: Readonly<Record<string, readonly string[]>> = {
    "flows.txt": ["ovs-ofctl", "-O", "OpenFlow15", "dump-flows", management],
    "groups.txt": ["ovs-ofctl", "-O", "OpenFlow15", "dump-groups", management],
    "ports.txt": ["ovs-ofctl", "-O", "OpenFlow15", "dump-ports-desc", management],
    "ovsdb.txt": ["ovsdb-client", "dump", `unix:${databaseSocket}`, "Open_vSwitch"],
    "addresses.txt": ["ip", "-details", "address", "show"],
    "routes.txt": ["ip", "route", "show", "table", "all"],
    "routes-ipv6.txt": ["ip", "-6", "route", "show", "table", "all"],
    "neighbours.txt": ["ip", "neighbour", "show"],
    "nftables.txt": ["nft", "list", "ruleset"],
  };
  for (const [name, command] of Object.entries(commands)) {
    await bundle.add(`${path}/${name}`, async () => await run(...command));
  }
  await bundle.add(`${path}/conntrack.json`, async () => {
    const control = await run("sh", "-c", `ls ${runDir}/ovs-vswitchd*.ctl`);
    const [socket = ""] = control.trim().split("\n");
    const dump = await run("ovs-appctl", "-t", socket, "dpctl/dump-conntrack");
    return `${JSON.stringify(summariseConntrack(dump), undefined, 2)}\n`;
  });
}

/** Numbers of connections by protocol, zone and state: who speaks to whom is not needed to see that something is wrong. */
export function summariseConntrack(dump: string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = { all: 0 };
  for (const line of dump.split("\n")) {
    const [, protocol] = /^([a-z0-9]+),/.exec(line) ?? [];
    if (protocol === undefined) continue;
    const zone = /,zone=(\d+)/.exec(line)?.[1] ?? "0";
    const state = /state=([A-Z_0-9]+)/.exec(line)?.[1];
    const key = [protocol, `zone ${zone}`, ...(state === undefined ? [] : [state])].join(", ");
    counts[key] = (counts[key] ?? 0) + 1;
    counts["all"] = (counts["all"] ?? 0) + 1;
  }
  return counts;
}
