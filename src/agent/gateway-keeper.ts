import { tryParsePrefix } from "../net/address.ts";
import { formatMac } from "../net/mac.ts";
import { routerMac } from "../pipeline/neighbour.ts";
import type { PortConfig } from "../switch/ovs-bridge.ts";
import type { AgentConfig } from "./config.ts";
import { type GatewayPlan, applyGateway } from "./gateway.ts";
import type { KernelSettings } from "./kernel-settings.ts";
import type { NodeState } from "./node-state.ts";
import { isAttachmentPort, ownPortConfigs, ownPorts } from "./switch-ports.ts";
import {
  type NodeInterface,
  type Underlay,
  readInterfaces,
  readRouteDevices,
  underlayOf,
} from "./underlay.ts";

function isOwnInterface(name: string): boolean {
  return name === ownPorts.gateway.name || isAttachmentPort(name);
}

/** Keeps the node's gateway as the domain's pools and the node's addresses have it. */
export class GatewayKeeper {
  readonly #config: AgentConfig;
  readonly #state: NodeState;
  readonly #settings: KernelSettings;

  constructor(config: AgentConfig, state: NodeState, settings: KernelSettings) {
    this.#config = config;
    this.#state = state;
    this.#settings = settings;
  }

  /** The network between the nodes, as it is now. @throws {CommandError} */
  async underlay(): Promise<Underlay> {
    return await this.#underlay(await readInterfaces());
  }

  /** The agent's own ports, as they are to be now. @throws {CommandError} */
  async ports(): Promise<readonly PortConfig[]> {
    const { datapathType, tunnelUdpPort: udpPort } = this.#config;
    // The dummy datapath has ports, but no network interfaces behind them.
    if (datapathType === "dummy") return ownPortConfigs({ udpPort });
    const { vtep, endpointMtu: mtu } = await this.underlay();
    return ownPortConfigs({ udpPort, vtep, mtu });
  }

  /** @throws {CommandError} */
  async apply(): Promise<void> {
    const { datapathType, gatewayDomain, tunnelUdpPort, linkLocal } = this.#config;
    const domain = this.#state.get("domain", gatewayDomain);
    if (datapathType === "dummy" || domain === undefined) return;
    const interfaces = await readInterfaces();
    const underlay = await this.#underlay(interfaces);
    // Only what an interface has can be a source.
    const present = new Set(interfaces.flatMap(({ addresses }) => addresses));
    const plan: GatewayPlan = {
      port: ownPorts.gateway.name,
      mtu: underlay.endpointMtu,
      routerMac: formatMac(routerMac),
      pools: domain.pools.filter((pool) => tryParsePrefix(pool) !== undefined),
      unmasqueraded: (domain.unmasqueraded ?? []).filter(
        (cidr) => tryParsePrefix(cidr) !== undefined,
      ),
      nodeAddresses: this.addresses().filter((address) => present.has(address)),
      tunnelUdpPort,
      linkLocal,
    };
    await applyGateway(plan, this.#settings);
  }

  /** The node's addresses: as the controller says, since the other nodes hear the same; before that as configured. */
  addresses(): readonly string[] {
    const { node, underlayAddresses } = this.#config;
    const told = this.#state.get("node", node)?.addresses ?? [];
    return told.length > 0 ? told : underlayAddresses;
  }

  async #underlay(interfaces: readonly NodeInterface[]): Promise<Underlay> {
    const [vtep] = this.addresses();
    return underlayOf(vtep, interfaces, await readRouteDevices(), isOwnInterface);
  }
}
