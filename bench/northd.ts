// OVN's central computation alone: ovn-northd between its two databases, from a change in the northbound one until it has
// written the southbound one (`--wait=sb`). No switch, no ovn-controller: what a controller's own computation compares with.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Operation } from "../src/ovsdb/operation.ts";
import type { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../src/switch/ovsdb-monitor.ts";
import type { Workload } from "./antrea-workloads.ts";
import { changeOvn, isConfirmed, startDatabase, untilNumbered, untilOvn } from "./ovn.ts";
import { Daemon } from "./realisation-switch.ts";

const batchLength = 500;

/** A port group's name: one for each zone and label. */
function groupOf(zone: string, labels: Readonly<Record<string, string>>): string {
  return `${zone}_${Object.values(labels).join("_")}`.replaceAll("-", "_");
}

export class Northd implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #northbound: OvsdbClient;
  readonly #monitor: OvsdbMonitor;
  #groups: string[] = [];

  private constructor(stack: AsyncDisposableStack, northbound: OvsdbClient, monitor: OvsdbMonitor) {
    this.#stack = stack;
    this.#northbound = northbound;
    this.#monitor = monitor;
  }

  static async start(workload: Workload): Promise<Northd> {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "isobar-northd-"));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const northbound = await startDatabase(folder, "nb", stack);
    await startDatabase(folder, "sb", stack);
    const databases = [`--ovnnb-db=unix:${folder}/nb.sock`, `--ovnsb-db=unix:${folder}/sb.sock`];
    const env = { OVN_RUNDIR: folder, OVS_RUNDIR: folder, OVN_LOGDIR: folder, OVN_DBDIR: folder };
    stack.use(new Daemon("ovn-northd", ["ovn-northd", ...databases], { folder, env }));
    const monitor = await northbound.monitor({ NB_Global: { columns: ["sb_cfg"] } });
    monitor.setMaxListeners(0);
    await untilNumbered(monitor);
    const northd = new Northd(stack.move(), northbound, monitor);
    try {
      await northd.#fill(workload);
    } catch (error) {
      await northd[Symbol.asyncDispose]();
      throw error;
    }
    return northd;
  }

  /** Milliseconds until one more port of a group has been computed. */
  async addPort(number: number): Promise<number> {
    const group = this.#groups[number % this.#groups.length] ?? "";
    return await this.#time(insertPort(`extra${number}`, group, 200_000 + number));
  }

  /** Milliseconds until one more ACL of a group has been computed. */
  async addAcl(number: number): Promise<number> {
    const group = this.#groups[number % this.#groups.length] ?? "";
    const peers = this.#groups[(number + 1) % this.#groups.length] ?? "";
    return await this.#time(insertAcl(`extra${number}`, group, peers));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #fill({ endpoints, policies }: Workload): Promise<void> {
    const groups = new Set(endpoints.map(({ zone, labels }) => groupOf(zone, labels)));
    this.#groups = [...groups];
    await this.#change([
      { op: "insert", table: "Logical_Switch", row: { name: "bench" } },
      ...this.#groups.map(
        (name) => ({ op: "insert", table: "Port_Group", row: { name } }) as const,
      ),
    ]);
    for (let from = 0; from < endpoints.length; from += batchLength) {
      const batch = endpoints.slice(from, from + batchLength);
      await this.#store(
        batch.flatMap(({ zone, labels }, index) =>
          insertPort(`port${from + index}`, groupOf(zone, labels), from + index),
        ),
      );
    }
    const acls = Math.min(policies.length, this.#groups.length);
    for (let from = 0; from < acls; from += batchLength) {
      const batch = this.#groups.slice(from, from + batchLength);
      await this.#store(
        batch.flatMap((name, index) => insertAcl(`acl${from + index}`, name, name)),
      );
    }
    await this.#change([]);
  }

  async #time(operations: readonly Operation[]): Promise<number> {
    const start = performance.now();
    await this.#change(operations);
    return performance.now() - start;
  }

  async #store(operations: readonly Operation[]): Promise<void> {
    await this.#northbound.transact(operations);
  }

  async #change(operations: readonly Operation[]): Promise<void> {
    const { confirmation } = await changeOvn(this.#northbound, operations);
    const monitor = this.#monitor;
    await untilOvn(monitor, "a confirmation", () => isConfirmed(monitor, confirmation, "sb_cfg"));
  }
}

function insertPort(name: string, group: string, number: number): Operation[] {
  const octets = [number >> 16, number >> 8, number].map((part) => part & 255);
  const hex = octets.map((part) => part.toString(16).padStart(2, "0")).join(":");
  const row = { name, addresses: [`0a:00:00:${hex} 10.${octets.join(".")}`] };
  const port = { namedUuid: name };
  const where = [["name", "==", group]] as const;
  return [
    { op: "insert", table: "Logical_Switch_Port", row, uuidName: name },
    { op: "mutate", table: "Logical_Switch", where: [], mutations: [["ports", "insert", port]] },
    { op: "mutate", table: "Port_Group", where, mutations: [["ports", "insert", port]] },
  ];
}

function insertAcl(uuidName: string, group: string, peers: string): Operation[] {
  const match = `outport == @${group} && ip4.src == $${peers}_ip4`;
  const row = { direction: "to-lport", priority: 1000, match, action: "allow-related" };
  const where = [["name", "==", group]] as const;
  const acl = { namedUuid: uuidName };
  return [
    { op: "insert", table: "ACL", row, uuidName },
    { op: "mutate", table: "Port_Group", where, mutations: [["acls", "insert", acl]] },
  ];
}

/** What the northd at hand is. */
export function northdVersion(): string {
  return execFileSync("ovn-northd", ["--version"], { encoding: "utf8" }).split("\n", 1)[0] ?? "";
}
