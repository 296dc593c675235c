import { existsSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { recordOf, uuidsOf } from "../../ovsdb/value.ts";
import type { Log } from "../../runtime/log.ts";
import { OvsdbClient } from "../../switch/ovsdb-client.ts";
import { removeCni } from "../attach/cni-installer.ts";
import type { AgentConfig } from "../config.ts";
import { deleteInterfaces, listInterfaces } from "../attach/container-interface.ts";
import { closeForwardChains } from "./forward-chains.ts";
import { removeDnsTable } from "../dns/host.ts";
import { removeKernelGuard } from "./kernel-guard.ts";
import { KernelSettings, kernelSettingsFile } from "./kernel-settings.ts";
import { removeNetfilter } from "./netfilter.ts";
import { removeNodeServices } from "./node-services.ts";
import { roleKey } from "../switch-database.ts";
import { isAttachmentPort, ownPorts } from "../attach/switch-ports.ts";

const connectTimeoutMs = 5_000;

/**
 * Removes from the node all that the agent has made: bridge, interfaces, rules of the packet filter, files of the CNI plugin,
 * state; kernel settings become what they were. The node's other bridges stay. Endpoints that are still attached lose their
 * interfaces. The agent itself must have been stopped. Once more is no error.
 * @throws {UnavailableError} when the switch's database does not answer, after removing all the rest but the state: the
 * bridge is still to be removed.
 * @throws {PeerError} @throws {CommandError}
 */
export async function uninstall(config: AgentConfig, log: Log): Promise<void> {
  // No container may come any more.
  if (config.cni !== undefined) await removeCni(config.cni);
  const [withSwitch] = await Promise.allSettled([removeFromSwitch(config)]);
  await deleteInterfaces([...(await listInterfaces())].filter(isAttachmentPort));
  await removeNetfilter(ownPorts.gateway.name);
  await removeDnsTable();
  await removeNodeServices(ownPorts.gateway.name);
  await removeKernelGuard();
  await closeForwardChains();
  const settings = new KernelSettings(join(config.stateDir, kernelSettingsFile));
  const restored = await settings.restore();
  if (withSwitch.status === "rejected") throw withSwitch.reason;
  await removeFolder(config.stateDir);
  await rm(config.socket, { force: true });
  log.info({ bridge: config.bridge, restored }, "removed");
}

/** In a container the folder itself is a mount, which stays. */
async function removeFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isErrorOf(error, "ENOENT")) return [];
    throw error;
  });
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true });
  await rmdir(folder).catch((error: unknown) => {
    if (!isErrorOf(error, "ENOENT") && !isErrorOf(error, "EBUSY")) throw error;
  });
}

function isErrorOf(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

async function removeFromSwitch(config: AgentConfig): Promise<void> {
  // Where there is no database there is no bridge.
  if (!existsSync(config.ovsdbSocket)) return;
  const client = new OvsdbClient({ address: { path: config.ovsdbSocket } });
  try {
    await client.connected(connectTimeoutMs);
    await removeBridge(client, config.bridge);
  } finally {
    await client.close();
  }
}

async function removeBridge(client: OvsdbClient, name: string): Promise<void> {
  const where = [["name", "==", name]] as const;
  const [found] = await client.transact([
    { op: "select", table: "Bridge", where, columns: ["_uuid", "external_ids"] },
  ]);
  // One of the name that is somebody else's was never used.
  const own = (found?.rows ?? []).filter((row) => recordOf(row["external_ids"])[roleKey]);
  const uuids = own.flatMap((row) => uuidsOf(row["_uuid"]));
  if (uuids.length === 0) return;
  await client.transact([
    {
      op: "mutate",
      table: "Open_vSwitch",
      where: [],
      mutations: [["bridges", "delete", uuids.map((uuid) => ({ uuid }))]],
    },
  ]);
}
