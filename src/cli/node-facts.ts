// What a node is like, as far as Isobar depends on it. Reads, and changes nothing.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { release } from "node:os";
import { join } from "node:path";
import { isObject } from "../apimachinery/json.ts";
import { runCommand } from "../runtime/command.ts";

export interface NodePlaces {
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  readonly runDir: string;
  readonly agentSocket: string;
}

interface LinkFact {
  readonly name: string;
  readonly mtu: number;
  /** `vxlan`, `bridge`, …; absent for hardware. */
  readonly kind?: string;
  /** Of a VXLAN device. */
  readonly port?: number;
  readonly hasDefaultRoute: boolean;
}

/** `undefined` where it could not be found out. */
export interface NodeFacts {
  readonly kernel: string;
  readonly isRoot: boolean;
  /** Whether a kernel module is loaded, can be loaded, or neither. */
  readonly modules: Readonly<Record<string, "loaded" | "available" | "missing">>;
  readonly switchVersion: string | undefined;
  readonly switchRuns: boolean;
  readonly agentRuns: boolean;
  readonly links: readonly LinkFact[] | undefined;
  /** Those of Isobar's TCP ports that somebody else has. */
  readonly takenPorts: readonly number[];
  readonly cniConfigs: readonly string[] | undefined;
  readonly cniPlugins: readonly string[] | undefined;
  readonly sysctls: Readonly<Record<string, string | undefined>>;
  readonly nameservers: readonly string[];
  readonly programs: Readonly<Record<string, boolean>>;
}

const isobarPorts = [10720, 10721, 10722] as const;
const moduleNames = ["openvswitch", "vxlan", "nf_conntrack", "nf_tables"] as const;
const sysctlNames = [
  "net/ipv4/ip_forward",
  "net/ipv4/conf/all/rp_filter",
  "net/netfilter/nf_conntrack_max",
] as const;
const programNames = ["NetworkManager", "firewalld"] as const;

export async function readNodeFacts(places: NodePlaces): Promise<NodeFacts> {
  const modules: [string, "loaded" | "available" | "missing"][] = [];
  for (const name of moduleNames) modules.push([name, await moduleState(name)]);
  const takenPorts: number[] = [];
  for (const port of isobarPorts) if (await isTaken(port)) takenPorts.push(port);
  return {
    kernel: release(),
    isRoot: process.geteuid?.() === 0,
    modules: Object.fromEntries(modules),
    switchVersion: await switchVersion(),
    switchRuns: existsSync(join(places.runDir, "db.sock")),
    agentRuns: existsSync(places.agentSocket),
    links: await readLinks(),
    takenPorts,
    cniConfigs: filesIn(places.cniConfDir)?.filter((name) => /\.(conf|conflist|json)$/.test(name)),
    cniPlugins: filesIn(places.cniBinDir),
    sysctls: Object.fromEntries(sysctlNames.map((name) => [name, sysctl(name)])),
    nameservers: readNameservers(),
    programs: Object.fromEntries(programNames.map((name) => [name, isRunning(name)])),
  };
}

async function moduleState(name: string): Promise<"loaded" | "available" | "missing"> {
  // Built into the kernel it has a folder too, if it has parameters; else modprobe knows it.
  if (existsSync(`/sys/module/${name}`)) return "loaded";
  try {
    await runCommand(["modprobe", "--dry-run", "--quiet", name]);
    return "available";
  } catch {
    return "missing";
  }
}

async function switchVersion(): Promise<string | undefined> {
  try {
    return /(\d+\.\d+\.\d+)/.exec(await runCommand(["ovs-vswitchd", "--version"]))?.[1];
  } catch {
    return undefined;
  }
}

async function readLinks(): Promise<LinkFact[] | undefined> {
  try {
    const links = listOf(await runCommand(["ip", "-details", "-json", "link", "show"]));
    const routes = [
      ...listOf(await runCommand(["ip", "-4", "-json", "route", "show", "default"])),
      ...listOf(await runCommand(["ip", "-6", "-json", "route", "show", "default"])),
    ];
    const ways = new Set(routes.map(({ dev }) => dev));
    return links.map((link) => linkFact(link, ways.has(link["ifname"])));
  } catch {
    return undefined;
  }
}

function linkFact(link: Record<string, unknown>, hasDefaultRoute: boolean): LinkFact {
  const info = isObject(link["linkinfo"]) ? link["linkinfo"] : {};
  const data = isObject(info["info_data"]) ? info["info_data"] : {};
  const kind = info["info_kind"];
  const port = data["port"];
  return {
    name: String(link["ifname"]),
    mtu: Number(link["mtu"]),
    ...(typeof kind === "string" && { kind }),
    ...(typeof port === "number" && { port }),
    hasDefaultRoute,
  };
}

function listOf(json: string): Record<string, unknown>[] {
  const value: unknown = json.trim() === "" ? [] : JSON.parse(json);
  return Array.isArray(value) ? value.filter(isObject) : [];
}

async function isTaken(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EADDRINUSE"));
  server.listen(port, () => server.close(() => resolve(false)));
  return await promise;
}

function filesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return undefined;
  }
}

function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

function readNameservers(): string[] {
  try {
    const text = readFileSync("/etc/resolv.conf", "utf8");
    return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = ""]) => address);
  } catch {
    return [];
  }
}

function isRunning(program: string): boolean {
  // The kernel keeps the first 15 characters of a program's name.
  const wanted = program.slice(0, 15);
  return readdirSync("/proc").some((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/comm`, "utf8").trim() === wanted;
    } catch {
      return false;
    }
  });
}
