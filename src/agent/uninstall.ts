import { rm } from "node:fs/promises";
import { join } from "node:path";
import { uuidsOf } from "../ovsdb/value.ts";
import type { Log } from "../runtime/log.ts";
import { OvsdbClient } from "../switch/ovsdb-client.ts";
import { removeCni } from "./cni-installer.ts";
import type { AgentConfig } from "./config.ts";
import { deleteInterfaces, listInterfaces } from "./container-interface.ts";
import { removeKernelGuard } from "./kernel-guard.ts";
import { KernelSettings, kernelSettingsFile } from "./kernel-settings.ts";
import { removeNetfilter } from "./netfilter.ts";
import { isAttachmentPort, ownPorts } from "./switch-ports.ts";

const connectTimeoutMs = 5_000;

/**
 * Removes from the node all that the agent has made: bridge, interfaces, source NAT, state. The node's other bridges stay.
 * The agent itself must have been stopped.
 * @throws {UnavailableError} @throws {PeerError} @throws {CommandError}
 */
export async function uninstall(config: AgentConfig, log: Log): Promise<void> {
  const client = new OvsdbClient({ address: { path: config.ovsdbSocket } });
  try {
    await client.connected(connectTimeoutMs);
    await removeBridge(client, config.bridge);
  } finally {
    await client.close();
  }
  if (config.cni !== undefined) await removeCni(config.cni);
  await deleteInterfaces([...(await listInterfaces())].filter(isAttachmentPort));
  await removeNetfilter(ownPorts.gateway.name);
  await removeKernelGuard();
  const settings = new KernelSettings(join(config.stateDir, kernelSettingsFile));
  const restored = await settings.restore();
  await rm(config.stateDir, { recursive: true, force: true });
  log.info({ bridge: config.bridge, restored }, "removed");
}

async function removeBridge(client: OvsdbClient, name: string): Promise<void> {
  const where = [["name", "==", name]] as const;
  const [found] = await client.transact([
    { op: "select", table: "Bridge", where, columns: ["_uuid"] },
  ]);
  const uuids = (found?.rows ?? []).flatMap((row) => uuidsOf(row["_uuid"]));
  await client.transact([
    {
      op: "mutate",
      table: "Open_vSwitch",
      where: [],
      mutations: [["bridges", "delete", uuids.map((uuid) => ({ uuid }))]],
    },
  ]);
}
