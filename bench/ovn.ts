// OVN's databases and daemons, and what of theirs benchmarks wait for. Changes are made over OVSDB, as ovn-nbctl makes them,
// without the cost of starting ovn-nbctl.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Operation } from "../src/ovsdb/operation.ts";
import { atomsOf, numberOf } from "../src/ovsdb/value.ts";
import { OvsdbClient } from "../src/switch/ovsdb-client.ts";
import type { OvsdbMonitor } from "../src/switch/ovsdb-monitor.ts";
import type { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { Daemon, until } from "./realisation-switch.ts";

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

/** ovn-northd makes the row in which changes are numbered. */
export async function untilNumbered(monitor: OvsdbMonitor): Promise<void> {
  await until("a row of NB_Global", () => monitor.rows("NB_Global").size === 1 || undefined);
}

/** Stores a change and numbers it, as `ovn-nbctl --wait` does. @throws {Error} when there is nothing to number it by. */
export async function changeOvn(
  northbound: OvsdbClient,
  operations: readonly Operation[],
): Promise<{ readonly uuid: string; readonly confirmation: number }> {
  const results = await northbound.transact([
    ...operations,
    { op: "mutate", table: "NB_Global", where: [], mutations: [["nb_cfg", "+=", 1]] },
    { op: "select", table: "NB_Global", where: [], columns: ["nb_cfg"] },
  ]);
  const confirmation = numberOf(results.at(-1)?.rows?.[0]?.["nb_cfg"]);
  // Waiting for no number would be no waiting, and OVN would look quick.
  if (confirmation === undefined) throw new Error("expected a row of NB_Global, got none");
  return { uuid: results[0]?.uuid ?? "", confirmation };
}

/** Whether ovn-controller has the switch's confirmation of the change; with `sb_cfg`, whether ovn-northd has worked it out. */
export function isConfirmed(
  monitor: OvsdbMonitor,
  confirmation: number,
  by: "hv_cfg" | "sb_cfg" = "hv_cfg",
): boolean {
  const [global] = monitor.rows("NB_Global").values();
  return (numberOf(global?.[by]) ?? 0) >= confirmation;
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
  await untilNumbered(monitor);
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
