// A node of the lab: a network namespace with an Open vSwitch of its own.
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Operation } from "../../ovsdb/operation.ts";
import { mapOf } from "../../ovsdb/value.ts";
import { OvsdbClient } from "../../switch/ovsdb-client.ts";
import { LabError } from "../errors.ts";
import { Supervisor } from "../supervisor.ts";
import { runCommand } from "../../runtime/command.ts";
import { netnsPath, runScript } from "./command.ts";
import { type HostPlan, uplinkName } from "./plan.ts";
import { untilReached } from "./reach.ts";

/** Where Open vSwitch itself looks for it: ovsdb-server(1). */
const schema = `${process.env["OVS_PKGDATADIR"] ?? "/usr/share/openvswitch"}/vswitch.ovsschema`;
/** The switch's own way to the underlay, apart from the bridge that agents work on. */
const underlayBridge = "br-ext";
const startTimeoutMs = 15_000;

/** Makes the empty database that every node begins with. @throws {LabError} */
export async function createDatabase(path: string): Promise<void> {
  if (!existsSync(schema)) {
    throw new LabError(
      `no Open vSwitch on this machine (no ${schema}): install openvswitch-switch`,
    );
  }
  await runCommand(["ovsdb-tool", "create", path, schema]);
}

function insertPort(name: string, type: string): Operation[] {
  const interfaces = { namedUuid: `interface_${type}` };
  return [
    { op: "insert", table: "Interface", row: { name, type }, uuidName: `interface_${type}` },
    { op: "insert", table: "Port", row: { name, interfaces }, uuidName: `port_${type}` },
  ];
}

/** Locally administered, and of no other node: a switch that starts again would have another one. */
function underlayMac({ placements }: HostPlan): string {
  const [v4 = ""] = placements.flatMap(({ address }) => (address.includes(":") ? [] : [address]));
  const bytes = v4.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return ["02", "00", ...bytes].join(":");
}

/** What ovs-ctl(8) and an administrator would put into the database before the switch starts. */
function firstTransaction(plan: HostPlan): Operation[] {
  const { name: node } = plan;
  const bridge = {
    name: underlayBridge,
    datapath_type: "netdev",
    fail_mode: "standalone",
    // Peers remember it: other nodes' switches for their tunnels, for a quarter of an hour.
    other_config: mapOf({ hwaddr: underlayMac(plan) }),
    ports: [{ namedUuid: "port_internal" }, { namedUuid: "port_system" }],
  };
  const config = {
    bridges: { namedUuid: "bridge" },
    external_ids: mapOf({ "system-id": node, hostname: node }),
    // One thread of each kind will do; by default there is one a processor, on every node.
    other_config: mapOf({ "n-handler-threads": "1", "n-revalidator-threads": "1" }),
  };
  return [
    ...insertPort(underlayBridge, "internal"),
    ...insertPort(uplinkName, "system"),
    { op: "insert", table: "Bridge", row: bridge, uuidName: "bridge" },
    { op: "insert", table: "Open_vSwitch", row: config },
  ];
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; !holds(); waitedMs += 5) {
    if (waitedMs > startTimeoutMs)
      throw new LabError(`${what} did not come within ${startTimeoutMs} ms`);
    await sleep(5);
  }
}

/** Whether the process is in the node's namespace, by its uplink, and has made the bridge's interface there. */
function hasBridge(pid: number): boolean {
  let table: string;
  try {
    table = readFileSync(`/proc/${pid}/net/dev`, "utf8");
  } catch {
    return false;
  }
  const names = table.split("\n").map((line) => line.split(":")[0]?.trim());
  return names.includes(uplinkName) && names.includes(underlayBridge);
}

export class LabNode {
  readonly name: string;
  /** Path of the network namespace; the agent of this node runs in it. */
  readonly netns: string;
  /** `OVS_RUNDIR` of the node's switch: `<bridge>.mgmt` speaks OpenFlow. */
  readonly rundir: string;
  readonly databaseSocket: string;
  /** Of ovs-vswitchd, for unixctl. */
  readonly controlSocket: string;
  /** On the underlay, IPv4 first. */
  readonly addresses: readonly string[];
  /** What bridges on this switch should have. */
  readonly datapathType = "netdev";
  readonly #plan: HostPlan;
  readonly #supervisor = new Supervisor();
  #underlay: Promise<void> = Promise.resolve();

  constructor(plan: HostPlan, directory: string) {
    this.#plan = plan;
    this.name = plan.name;
    this.netns = netnsPath(plan.netns);
    this.rundir = join(directory, "nodes", plan.name);
    this.databaseSocket = join(this.rundir, "db.sock");
    this.controlSocket = join(this.rundir, "ovs-vswitchd.ctl");
    this.addresses = plan.placements.map(({ address }) => address);
  }

  /**
   * Starts the switch in the namespace, which must have its uplink. Both of its processes are started again when they
   * die. Settles when the node has its underlay addresses.
   * @throws {LabError}
   */
  async start(emptyDatabase: string): Promise<void> {
    mkdirSync(this.rundir, { recursive: true });
    const database = join(this.rundir, "conf.db");
    copyFileSync(emptyDatabase, database);
    this.#startDaemon("ovsdb-server", [
      `--remote=punix:${this.databaseSocket}`,
      `--unixctl=${join(this.rundir, "ovsdb-server.ctl")}`,
      database,
    ]);
    await until(`ovsdb-server of ${this.name}`, () => existsSync(this.databaseSocket));
    const client = new OvsdbClient({ address: { path: this.databaseSocket } });
    try {
      await client.connected(startTimeoutMs);
      await client.transact(firstTransaction(this.#plan));
    } finally {
      await client.close();
    }
    this.#startDaemon(
      "ovs-vswitchd",
      [`--unixctl=${this.controlSocket}`, `unix:${this.databaseSocket}`],
      (pid) => {
        this.#underlay = this.#configureUnderlay(pid);
        // Whoever waits for it sees the failure; after a restart nobody does.
        this.#underlay.catch(() => undefined);
      },
    );
    await this.#underlay;
  }

  /** Ids of the switch's processes, as far as they run now. */
  get processes(): { readonly database: number | undefined; readonly switch: number | undefined } {
    const pids = new Map(this.#supervisor.status().map(({ name, pid }) => [name, pid]));
    return { database: pids.get("ovsdb-server"), switch: pids.get("ovs-vswitchd") };
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop();
  }

  #startDaemon(name: string, args: readonly string[], onStart?: (pid: number) => void): void {
    const log = join(this.rundir, `${name}.log`);
    // Each program takes the place of the one before it: the process that is watched is the daemon.
    const setting = [
      `OVS_RUNDIR=${this.rundir}`,
      `OVS_LOGDIR=${this.rundir}`,
      `OVS_DBDIR=${this.rundir}`,
    ];
    const command = ["nsenter", `--net=${this.netns}`, "env", ...setting, name] as const;
    this.#supervisor.start({
      name,
      command: [...command, "-vconsole:off", "-vsyslog:off", `--log-file=${log}`, ...args],
      logFile: join(this.rundir, `${name}.out`),
      ...(onStart && { onStart }),
    });
  }

  /**
   * The bridge's interface lives and dies with the switch's process, and its addresses with it. At first the switch takes
   * it down once more to give it its MAC, which may lose addresses and routes: then they are configured again.
   */
  async #configureUnderlay(pid: number): Promise<void> {
    await until(`${underlayBridge} of ${this.name}`, () => hasBridge(pid));
    const deadline = performance.now() + startTimeoutMs;
    for (;;) {
      try {
        await this.#addressUnderlay();
        await untilReached(this.#plan, 1_000);
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(20);
      }
    }
  }

  async #addressUnderlay(): Promise<void> {
    const { netns, placements } = this.#plan;
    await runScript(netns, [
      // Before it has its own MAC, nobody shall hear of the addresses.
      `ip -oneline link show dev ${underlayBridge} | grep -qF ${underlayMac(this.#plan)}`,
      `ip link set ${underlayBridge} up`,
      ...placements.flatMap(({ address, length, router }) => [
        `ip address replace ${address}/${length} dev ${underlayBridge}`,
        `ip route replace default via ${router} dev ${underlayBridge}`,
      ]),
    ]);
  }
}
