// OVN on nodes of a lab's network: its databases and ovn-northd on the first, ovn-controller on each.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanup } from "../src/lab/network/cleanup.ts";
import { LabNetwork } from "../src/lab/network/lab-network.ts";
import type { LabNode } from "../src/lab/network/lab-node.ts";
import type { Operation } from "../src/ovsdb/operation.ts";
import type { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../src/switch/ovsdb-monitor.ts";
import { type Host, attachHost } from "./forwarding-path.ts";
import {
  changeOvn,
  installOvn,
  isConfirmed,
  startDatabase,
  untilNumbered,
  untilOvn,
} from "./ovn.ts";
import { Daemon, until } from "./realisation-switch.ts";

export interface OvnPort extends Host {
  readonly name: string;
  readonly mac: string;
  readonly node: LabNode;
}

export function controlNode({ databaseSocket }: LabNode, ...args: readonly string[]): void {
  execFileSync("ovs-vsctl", [`--db=unix:${databaseSocket}`, ...args]);
}

function daemonOptions({ rundir }: LabNode) {
  const env = { OVN_RUNDIR: rundir, OVS_RUNDIR: rundir, OVN_LOGDIR: rundir, OVN_DBDIR: rundir };
  return { folder: rundir, env };
}

function startController(node: LabNode): Daemon {
  const command = ["nsenter", `--net=${node.netns}`, "ovn-controller"];
  const database = `unix:${node.databaseSocket}`;
  return new Daemon("ovn-controller", [...command, database], daemonOptions(node));
}

export class OvnNodes {
  readonly nodes: readonly LabNode[];
  readonly #network: LabNetwork;
  readonly #northbound: OvsdbClient;
  readonly #monitor: OvsdbMonitor;
  readonly #controllers: Map<LabNode, Daemon>;

  private constructor(parts: {
    readonly network: LabNetwork;
    readonly northbound: OvsdbClient;
    readonly monitor: OvsdbMonitor;
    readonly controllers: Map<LabNode, Daemon>;
  }) {
    this.nodes = parts.network.nodes;
    this.#network = parts.network;
    this.#northbound = parts.northbound;
    this.#monitor = parts.monitor;
    this.#controllers = parts.controllers;
  }

  /** Everything ends with the stack. */
  static async start(count: number, stack: AsyncDisposableStack): Promise<OvnNodes> {
    installOvn();
    const root = mkdtempSync(join(tmpdir(), "isobar-ovn-"));
    const name = `o${process.pid}`;
    stack.defer(() => rmSync(root, { recursive: true, force: true }));
    const nodes = Array.from({ length: count }, (_, n) => `node-${n + 1}`);
    const network = await LabNetwork.create({ name, nodes, externalHosts: [], root });
    stack.defer(async () => {
      await network.destroy();
      await cleanup(name, root);
    });
    const [first] = network.nodes;
    if (first === undefined) throw new Error("expected at least one node");
    const northbound = await startDatabase(first.rundir, "nb", stack);
    const southbound = await startDatabase(first.rundir, "sb", stack);
    const databases = `unix:${first.rundir}`;
    for (const node of network.nodes) {
      controlNode(
        node,
        "add-br",
        "br-int",
        "--",
        "set",
        "bridge",
        "br-int",
        "datapath_type=netdev",
        "fail_mode=secure",
      );
      const ids = {
        "system-id": node.name,
        "ovn-remote": `${databases}/sb.sock`,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": node.addresses[0] ?? "",
        "ovn-bridge": "br-int",
      };
      const settings = Object.entries(ids).map(([key, value]) => `external_ids:${key}="${value}"`);
      controlNode(node, "set", "open", ".", ...settings);
    }
    const northd = [`--ovnnb-db=${databases}/nb.sock`, `--ovnsb-db=${databases}/sb.sock`];
    stack.use(new Daemon("ovn-northd", ["ovn-northd", ...northd], daemonOptions(first)));
    const controllers = new Map(network.nodes.map((node) => [node, startController(node)]));
    stack.defer(async () => {
      for (const controller of controllers.values()) await controller[Symbol.asyncDispose]();
    });
    const chassis = await southbound.monitor({ Chassis: { columns: ["name"] } });
    // Without one, OVN calls everything done at once.
    await until("chassis", () => chassis.rows("Chassis").size === count || undefined);
    const monitor = await northbound.monitor({ NB_Global: { columns: ["hv_cfg"] } });
    await untilNumbered(monitor);
    return new OvnNodes({ network, northbound, monitor, controllers });
  }

  /** Hosts with an address each, on one logical switch, and what comes with its row, such as ACLs. */
  async createSwitch(
    ports: readonly { readonly name: string; readonly node: LabNode }[],
    acls: readonly { readonly priority: number; readonly match: string; readonly action: string }[],
  ): Promise<readonly OvnPort[]> {
    const netnses = await this.#network.createPods(ports.map(({ name }) => `ovn/${name}`));
    const hosts = ports.map(({ name, node }, n) => ({
      name,
      node,
      netns: netnses[n] ?? "",
      address: `10.4.0.${n + 1}`,
      mac: `0a:00:00:00:00:${(n + 1).toString(16).padStart(2, "0")}`,
    }));
    for (const host of hosts) {
      attachHost(host.node.netns, host.name, host);
      controlNode(
        host.node,
        "add-port",
        "br-int",
        host.name,
        "--",
        "set",
        "interface",
        host.name,
        `external_ids:iface-id=${host.name}`,
      );
    }
    const named = (prefix: string, rows: readonly unknown[]) =>
      rows.map((_, n) => ({ namedUuid: `${prefix}${n}` }));
    await this.#change([
      ...hosts.map(({ name, mac, address }, n): Operation => ({
        op: "insert",
        table: "Logical_Switch_Port",
        row: { name, addresses: `${mac} ${address}` },
        uuidName: `port${n}`,
      })),
      ...acls.map((acl, n): Operation => ({
        op: "insert",
        table: "ACL",
        row: { direction: "to-lport", ...acl },
        uuidName: `acl${n}`,
      })),
      {
        op: "insert",
        table: "Logical_Switch",
        row: { name: "bench", ports: named("port", hosts), acls: named("acl", acls) },
      },
    ]);
    return hosts;
  }

  /** For ACLs, as `$name`. */
  async addAddressSet(name: string, addresses: readonly string[]): Promise<void> {
    await this.#change([{ op: "insert", table: "Address_Set", row: { name, addresses } }]);
  }

  /** Kills the node's ovn-controller and starts another. */
  async restartController(node: LabNode): Promise<void> {
    await this.#controllers.get(node)?.[Symbol.asyncDispose]();
    this.#controllers.set(node, startController(node));
  }

  /** Settles when every ovn-controller has its switch's confirmation, as `ovn-nbctl --wait=hv` waits for it. */
  async #change(operations: readonly Operation[]): Promise<void> {
    const { confirmation } = await changeOvn(this.#northbound, operations);
    await untilOvn(this.#monitor, "a confirmation", () => isConfirmed(this.#monitor, confirmation));
  }
}
