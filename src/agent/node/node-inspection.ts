// Looks at the node: what the agent depends on and others may have changed.
import { readFile } from "node:fs/promises";
import type { NodeReport } from "../../southbound/attachment.ts";
import { unixctl } from "../../switch/unixctl.ts";
import type { AgentConfig } from "../config.ts";
import { findControlSocket } from "../control-socket.ts";
import { type ClosedChain, openForwardChains } from "./forward-chains.ts";
import type { GatewayKeeper, Surroundings } from "./gateway-keeper.ts";
import { type NodeFacts, judgeNode, segmentsInSwitch } from "./node-report.ts";
import type { SwitchDatabase } from "../switch-database.ts";
import { ownPorts } from "../attach/switch-ports.ts";

export interface NodeInspectionOptions {
  readonly config: AgentConfig;
  readonly database: SwitchDatabase;
  readonly gateway: GatewayKeeper;
}

/** IANA's port for VXLAN, which Open vSwitch takes unless told otherwise. */
const standardTunnelPort = 4789;

export class NodeInspection {
  readonly #options: NodeInspectionOptions;
  #version: string | undefined;

  constructor(options: NodeInspectionOptions) {
    this.#options = options;
  }

  /** Of Open vSwitch, as it said when it was last asked. */
  get version(): string | undefined {
    return this.#version;
  }

  /**
   * Whether the switch cuts endpoints' large TCP segments itself. In user space it must have said so: the setting takes
   * effect when ovs-vswitchd is started again.
   */
  get segmentation(): boolean {
    const { config, database } = this.#options;
    if (config.datapathType !== "netdev") return config.datapathType === "system";
    const takesSegments = database.facts()?.takesSegments ?? false;
    return takesSegments && segmentsInSwitch(this.#switchFacts());
  }

  /**
   * The switch in user space passes packets on as they are, unless it cuts segments itself: a checksum that hardware was to
   * fill in stays empty, and TCP and UDP fail behind conntrack or a tunnel while ping works.
   */
  get checksumInKernel(): boolean {
    return this.#options.config.datapathType === "netdev" && !this.segmentation;
  }

  /** Lets other programs' packet filters accept what the overlay forwards, and tells of the rest. @throws {CommandError} */
  async inspect(seen: Surroundings): Promise<NodeReport> {
    const { config, gateway } = this.#options;
    this.#version = (await askVersion(config.rundir)) ?? this.#version;
    const closedChains = await openForwardChains(ownPorts.gateway.name);
    const facts = await this.#facts(seen, closedChains);
    const { version } = facts;
    return {
      bridge: config.bridge,
      datapath: config.datapathType,
      ...(version === undefined ? {} : { switchVersion: version }),
      segmentation: this.segmentation,
      checksumInKernel: this.checksumInKernel,
      addresses: gateway.addresses(),
      underlay: { interfaces: seen.underlay.interfaces, mtu: seen.underlay.mtu },
      tunnelUdpPort: config.tunnelUdpPort,
      endpointMtu: seen.underlay.endpointMtu,
      problems: judgeNode(facts),
    };
  }

  #switchFacts(): Pick<NodeFacts, "version" | "segmentation" | "twoDatapaths"> {
    const facts = this.#options.database.facts();
    return {
      version: this.#version,
      twoDatapaths: (facts?.datapathTypes.size ?? 0) > 1,
      segmentation: facts?.otherConfig["userspace-tso-enable"] === "true",
    };
  }

  async #facts(seen: Surroundings, closedChains: readonly ClosedChain[]): Promise<NodeFacts> {
    const { config, database, gateway } = this.#options;
    const own = Object.values(ownPorts).map(({ name }) => database.ports().get(name));
    const tunnels = database.others().filter(({ type }) => type === "vxlan");
    return {
      ...this.#switchFacts(),
      datapathType: config.datapathType,
      refusal: database.refusal,
      portErrors: Object.fromEntries(
        own.flatMap((port) => (port?.error === undefined ? [] : [[port.name, port.error]])),
      ),
      otherTunnels: Object.fromEntries(
        tunnels.map(({ name, options }) => [
          name,
          Number(options["dst_port"] ?? standardTunnelPort),
        ]),
      ),
      tunnelUdpPort: config.tunnelUdpPort,
      ...seen,
      addresses: gateway.told(),
      configured: config.underlayAddresses,
      closedChains,
      legacyTables: await hasLegacyTables(),
      connections: await readConnections(),
    };
  }
}

/** Of the ovs-vswitchd that runs; the database says only what somebody has told it. */
async function askVersion(rundir: string): Promise<string | undefined> {
  try {
    const text = await unixctl(findControlSocket(rundir), "version");
    return /\(Open vSwitch\) (\S+)/.exec(text)?.[1];
  } catch {
    // It is away.
    return undefined;
  }
}

/** Tables that the kernel has for iptables' older backend; none where nobody has ever used it. */
async function hasLegacyTables(): Promise<boolean> {
  const names = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
  const lists = await Promise.all(names.map(async (name) => await read(name)));
  return lists.some((list) => list?.split("\n").includes("filter"));
}

async function readConnections(): Promise<NodeFacts["connections"]> {
  const folder = "/proc/sys/net/netfilter";
  const tracked = await read(`${folder}/nf_conntrack_count`);
  const most = await read(`${folder}/nf_conntrack_max`);
  if (tracked === undefined || most === undefined) return undefined;
  return { tracked: Number(tracked), most: Number(most) };
}

async function read(path: string): Promise<string | undefined> {
  return await readFile(path, "utf8").catch(() => undefined);
}
