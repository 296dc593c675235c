// OVN in realisation.bench.ts: its own databases, ovn-northd, and ovn-controller on a switch of the same build. Changes are
// made over OVSDB, as ovn-nbctl makes them, without the cost of starting ovn-nbctl.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import type { Operation } from "../src/ovsdb/operation.ts";
import { type Row, atomsOf, numberOf } from "../src/ovsdb/value.ts";
import { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../src/switch/ovsdb-monitor.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { Daemon, addPorts, countFlows, until } from "./realisation-switch.ts";
import {
  type Contender,
  type Endpoint,
  type Rule,
  endpointsOf,
  extraEndpoint,
  groupName,
} from "./realisation-workload.ts";

/** Far more than it takes where nothing else runs. */
const confirmTimeoutMs = 600_000;

/** Installs Debian's packages when they are missing. @throws {Error} when that is not possible. */
export function installOvn(): void {
  if (existsSync("/usr/bin/ovn-northd") && existsSync("/usr/bin/ovn-controller")) return;
  if (process.getuid?.() !== 0) throw new Error("OVN is missing, and only root can install it");
  console.log("installing Debian packages: ovn-central ovn-host");
  // The packages' services stay off: the machine is to be as it was.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const install = ["install", "-y", "-qq", "--no-install-recommends", "ovn-central", "ovn-host"];
  execFileSync("apt-get", install, { env, stdio: ["ignore", "ignore", "inherit"] });
}

/** OVN takes no hyphen in the name of a port group. */
function portGroup(group: string): string {
  return group.replace("-", "_");
}

function aclRow({ pair, ports }: Rule): Row {
  const [subjects, peers] = (["b", "a"] as const).map((side) => portGroup(groupName(side, pair)));
  const port = ports.length === 1 ? String(ports[0]) : `{${ports.join(", ")}}`;
  return {
    direction: "to-lport",
    priority: 1000,
    match: `outport == @${subjects} && ip4.src == $${peers}_ip4 && tcp.dst == ${port}`,
    action: "allow-related",
  };
}

function portRow({ name }: Endpoint, n: number): Row {
  const [high, low] = [n >> 8, n & 255];
  const hex = (octet: number): string => octet.toString(16).padStart(2, "0");
  return { name, addresses: [`0a:00:00:00:${hex(high)}:${hex(low)} 10.0.${high}.${low}`] };
}

/** The groups' ports are dropped to by default. */
const isolated = "isolated";

function insertPort(endpoint: Endpoint, n: number): Operation[] {
  const port = { namedUuid: `port${n}` };
  const group = [["name", "==", portGroup(endpoint.group)]] as const;
  return [
    {
      op: "insert",
      table: "Logical_Switch_Port",
      row: portRow(endpoint, n),
      uuidName: port.namedUuid,
    },
    { op: "mutate", table: "Logical_Switch", where: [], mutations: [["ports", "insert", port]] },
    { op: "mutate", table: "Port_Group", where: group, mutations: [["ports", "insert", port]] },
  ];
}

function insertAcl(rule: Rule, uuidName: string): Operation[] {
  const where = [["name", "==", portGroup(groupName("b", rule.pair))]] as const;
  const acl = { namedUuid: uuidName };
  return [
    { op: "insert", table: "ACL", row: aclRow(rule), uuidName },
    { op: "mutate", table: "Port_Group", where, mutations: [["acls", "insert", acl]] },
  ];
}

export class Ovn implements Contender {
  readonly name = "OVN";
  storedAtMs = 0;
  readonly #stack: AsyncDisposableStack;
  readonly #ovs: OpenVswitch;
  readonly #northbound: OvsdbClient;
  readonly #monitor: OvsdbMonitor;
  readonly #endpoints: readonly Endpoint[];
  #extraRule = "";
  #extraPort = "";

  private constructor(parts: {
    readonly stack: AsyncDisposableStack;
    readonly ovs: OpenVswitch;
    readonly northbound: OvsdbClient;
    readonly monitor: OvsdbMonitor;
    readonly endpoints: readonly Endpoint[];
  }) {
    this.#stack = parts.stack;
    this.#ovs = parts.ovs;
    this.#northbound = parts.northbound;
    this.#monitor = parts.monitor;
    this.#endpoints = parts.endpoints;
  }

  static async start(options: { readonly perSide: number; readonly pairs: number }): Promise<Ovn> {
    await using stack = new AsyncDisposableStack();
    const ovs = stack.use(await OpenVswitch.start());
    const endpoints = endpointsOf(options.perSide, options.pairs);
    const labels = [...endpoints, extraEndpoint].map(({ name }) => ({ "iface-id": name }));
    await addPorts(ovs, labels);
    const { northbound, monitor } = await startOvn(ovs, stack);
    const ovn = new Ovn({ stack: stack.move(), ovs, northbound, monitor, endpoints });
    try {
      await ovn.#populate(options.pairs);
    } catch (error) {
      await ovn[Symbol.asyncDispose]();
      throw error;
    }
    return ovn;
  }

  async applyRules(rules: readonly Rule[]): Promise<void> {
    await this.change(rules.flatMap((rule, n) => insertAcl(rule, `acl${n}`)));
  }

  /** All but what drops by default. */
  async removeRules(): Promise<void> {
    const where = [["name", "!=", isolated]] as const;
    await this.change([{ op: "update", table: "Port_Group", where, row: { acls: [] } }]);
  }

  async addRule(rule: Rule): Promise<void> {
    this.#extraRule = await this.change(insertAcl(rule, "extra"));
  }

  async removeRule(): Promise<void> {
    const mutations = [["acls", "delete", { uuid: this.#extraRule }]] as const;
    await this.change([{ op: "mutate", table: "Port_Group", where: [], mutations }]);
  }

  async addEndpoint(): Promise<void> {
    this.#extraPort = await this.change(insertPort(extraEndpoint, this.#endpoints.length));
    await this.#portsUp(this.#endpoints.length + 1);
  }

  async removeEndpoint(): Promise<void> {
    const mutations = [["ports", "delete", { uuid: this.#extraPort }]] as const;
    await this.change([{ op: "mutate", table: "Logical_Switch", where: [], mutations }]);
  }

  flowCount(): number {
    return countFlows(this.#ovs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #populate(pairs: number): Promise<void> {
    const sides = ["a", "b"] as const;
    const names = Array.from({ length: pairs }, (_, pair) =>
      sides.map((side) => portGroup(groupName(side, pair))),
    ).flat();
    const subjects = this.#endpoints.flatMap(({ name }, n) =>
      name.startsWith("b") ? [{ namedUuid: `port${n}` }] : [],
    );
    const drop = { direction: "to-lport", priority: 900, action: "drop" };
    await this.change([
      { op: "insert", table: "Logical_Switch", row: { name: "bench" } },
      ...names.map((name) => ({ op: "insert", table: "Port_Group", row: { name } }) as const),
      ...this.#endpoints.flatMap(insertPort),
      {
        op: "insert",
        table: "ACL",
        row: { ...drop, match: `outport == @${isolated} && ip4` },
        uuidName: "drop",
      },
      {
        op: "insert",
        table: "Port_Group",
        row: { name: isolated, ports: subjects, acls: { namedUuid: "drop" } },
      },
    ]);
    await this.#portsUp(this.#endpoints.length);
  }

  /** Gives the UUID of the first row inserted. */
  async change(operations: readonly Operation[]): Promise<string> {
    const { uuid, confirmation } = await changeOvn(this.#northbound, operations);
    this.storedAtMs = performance.now();
    await this.#until("a confirmation", () => isConfirmed(this.#monitor, confirmation));
    return uuid;
  }

  async #portsUp(length: number): Promise<void> {
    await this.#until("ports that are up", () => arePortsUp(this.#monitor, length));
  }

  async #until(what: string, reached: () => boolean): Promise<void> {
    await untilOvn(this.#monitor, what, reached);
  }
}

/** Stores a change that ovn-controller is to confirm, as `ovn-nbctl --wait=hv` does. */
export async function changeOvn(
  northbound: OvsdbClient,
  operations: readonly Operation[],
): Promise<{ readonly uuid: string; readonly confirmation: number }> {
  const results = await northbound.transact([
    ...operations,
    { op: "mutate", table: "NB_Global", where: [], mutations: [["nb_cfg", "+=", 1]] },
    { op: "select", table: "NB_Global", where: [], columns: ["nb_cfg"] },
  ]);
  const confirmation = numberOf(results.at(-1)?.rows?.[0]?.["nb_cfg"]) ?? 0;
  return { uuid: results[0]?.uuid ?? "", confirmation };
}

/** Whether ovn-controller has the switch's confirmation of the change. */
export function isConfirmed(monitor: OvsdbMonitor, confirmation: number): boolean {
  const [global] = monitor.rows("NB_Global").values();
  return (numberOf(global?.["hv_cfg"]) ?? 0) >= confirmation;
}

/** Whether so many logical ports are up. */
export function arePortsUp(monitor: OvsdbMonitor, length: number): boolean {
  const ports = [...monitor.rows("Logical_Switch_Port").values()];
  return ports.filter(({ up }) => atomsOf(up)[0] === true).length === length;
}

export async function untilOvn(
  monitor: OvsdbMonitor,
  what: string,
  reached: () => boolean,
): Promise<void> {
  const signal = AbortSignal.timeout(confirmTimeoutMs);
  while (!reached()) {
    try {
      await once(monitor, "change", { signal });
    } catch (cause) {
      throw new Error(`OVN: ${what}: not within ${confirmTimeoutMs} ms`, { cause });
    }
  }
}

/** OVN's databases and daemons on the switch, with the monitor that `isConfirmed` and `arePortsUp` need. */
export async function startOvn(
  ovs: OpenVswitch,
  stack: AsyncDisposableStack,
): Promise<{ readonly northbound: OvsdbClient; readonly monitor: OvsdbMonitor }> {
  const northbound = await startDatabase(ovs.rundir, "nb", stack);
  const southbound = await startDatabase(ovs.rundir, "sb", stack);
  startDaemons(ovs, stack);
  const chassis = await southbound.monitor({ Chassis: { columns: ["name"] } });
  // Without one, OVN calls everything done at once.
  await until("a chassis", () => chassis.rows("Chassis").size === 1 || undefined);
  const monitor = await northbound.monitor({
    NB_Global: { columns: ["hv_cfg"] },
    Logical_Switch_Port: { columns: ["name", "up"] },
  });
  monitor.setMaxListeners(0);
  // ovn-northd makes the row in which changes are numbered.
  await until("a row of NB_Global", () => monitor.rows("NB_Global").size === 1 || undefined);
  return { northbound, monitor };
}

export async function startDatabase(
  rundir: string,
  name: "nb" | "sb",
  stack: AsyncDisposableStack,
): Promise<OvsdbClient> {
  const [file, path] = [join(rundir, `${name}.db`), join(rundir, `${name}.sock`)];
  execFileSync("ovsdb-tool", ["create", file, `/usr/share/ovn/ovn-${name}.ovsschema`]);
  const listen = [`--remote=punix:${path}`, `--unixctl=${join(rundir, `${name}.ctl`)}`];
  const command = ["ovsdb-server", "-vconsole:off", ...listen, file];
  const server = stack.use(new Daemon(name, command, { folder: rundir }));
  await until("a database of OVN", () => server.running && (existsSync(path) || undefined));
  const database = name === "nb" ? "OVN_Northbound" : "OVN_Southbound";
  const client = new OvsdbClient({ address: { path }, database, requestTimeoutMs: 60_000 });
  stack.defer(async () => await client.close());
  await client.connected(10_000);
  return client;
}

function startDaemons({ rundir, databaseSocket }: OpenVswitch, stack: AsyncDisposableStack): void {
  const [northbound, southbound] = [`unix:${rundir}/nb.sock`, `unix:${rundir}/sb.sock`];
  const ids = {
    "system-id": "chassis",
    "ovn-remote": southbound,
    "ovn-encap-type": "geneve",
    "ovn-encap-ip": "127.0.0.1",
    "ovn-bridge": "br-int",
  };
  const settings = Object.entries(ids).map(([key, value]) => `external_ids:${key}="${value}"`);
  execFileSync("ovs-vsctl", [`--db=unix:${databaseSocket}`, "set", "open", ".", ...settings]);
  const env = { OVN_RUNDIR: rundir, OVS_RUNDIR: rundir, OVN_LOGDIR: rundir, OVN_DBDIR: rundir };
  const options = { folder: rundir, env };
  const databases = [`--ovnnb-db=${northbound}`, `--ovnsb-db=${southbound}`];
  stack.use(new Daemon("ovn-northd", ["ovn-northd", ...databases], options));
  stack.use(new Daemon("ovn-controller", ["ovn-controller", `unix:${databaseSocket}`], options));
}
