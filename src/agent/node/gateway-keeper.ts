import { tryParsePrefix } from "../../net/address.ts";
import { formatMac } from "../../net/mac.ts";
import { routerMac } from "../../pipeline/neighbour.ts";
import type { PortConfig } from "../../switch/ovs-bridge.ts";
import type { AgentConfig } from "../config.ts";
import { type GatewayPlan, applyGateway, gatewayForwards } from "./gateway.ts";
import type { KernelSettings } from "./kernel-settings.ts";
import { hasNetfilter } from "./netfilter.ts";
import type { NodeState } from "../node-state.ts";
import { isAttachmentPort, ownPortConfigs, ownPorts } from "../attach/switch-ports.ts";
import {
  type NodeInterface,
  type Underlay,
  readInterfaces,
  readRouteDevices,
  underlayOf,
} from "./underlay.ts";

/** The network between the nodes, and what it was read from. */
export interface Surroundings {
  readonly interfaces: readonly NodeInterface[];
  readonly underlay: Underlay;
  /** Whether a controller had told all there is before. */
  readonly complete: boolean;
}

function isOwnInterface(name: string): boolean {
  return name === ownPorts.gateway.name || isAttachmentPort(name);
}

function isPrefix(text: string): boolean {
  return tryParsePrefix(text) !== undefined;
}

/** Keeps the node's gateway as the domain's pools and the node's addresses have it. */
export class GatewayKeeper {
  readonly #config: AgentConfig;
  readonly #state: NodeState;
  readonly #settings: KernelSettings;
  #seen: Surroundings | undefined;
  /** The address between nodes that it was seen for. */
  #seenFor: string | undefined;
  /** What is in force, as JSON. */
  #applied = "";

  constructor(config: AgentConfig, state: NodeState, settings: KernelSettings) {
    this.#config = config;
    this.#state = state;
    this.#settings = settings;
  }

  /** As last looked at, for the address that the node has now. @throws {CommandError} */
  async underlay(): Promise<Underlay> {
    const isCurrent = this.#seenFor === this.addresses()[0];
    const seen = isCurrent ? this.#seen : undefined;
    return (seen ?? (await this.look())).underlay;
  }

  /** Reads the node's interfaces and routes anew. O(interfaces). @throws {CommandError} */
  async look(): Promise<Surroundings> {
    const { complete } = this.#state;
    const [vtep] = this.addresses();
    const [interfaces, routed] = await Promise.all([readInterfaces(), readRouteDevices()]);
    const underlay = underlayOf(vtep, interfaces, routed, isOwnInterface);
    this.#seen = { interfaces, underlay, complete };
    this.#seenFor = vtep;
    return this.#seen;
  }

  /** Addresses of the node's interfaces, as last looked at. @throws {CommandError} */
  async present(): Promise<ReadonlySet<string>> {
    const { interfaces } = this.#seen ?? (await this.look());
    return new Set(interfaces.flatMap(({ addresses }) => addresses));
  }

  /** The agent's own ports, as they are to be now. @throws {CommandError} */
  async ports(): Promise<readonly PortConfig[]> {
    const { datapathType, tunnelUdpPort: udpPort } = this.#config;
    // The dummy datapath has ports, but no network interfaces behind them.
    if (datapathType === "dummy") return ownPortConfigs({ udpPort });
    const { vtep, endpointMtu: mtu } = await this.underlay();
    return ownPortConfigs({ udpPort, vtep, mtu });
  }

  /** Puts everything right, whatever was there. @throws {CommandError} */
  async apply(): Promise<void> {
    const plan = this.#plan(this.#seen ?? (await this.look()));
    if (plan === undefined) return;
    this.#applied = "";
    await applyGateway(plan, this.#settings);
    this.#applied = JSON.stringify(plan);
  }

  /** Whether there is a gateway. */
  get isApplied(): boolean {
    return this.#applied !== "";
  }

  /** Whether what is wanted is in force, as far as can be told without touching it. @throws {CommandError} */
  async holds(): Promise<boolean> {
    const plan = this.#plan(this.#seen ?? (await this.look()));
    if (plan === undefined) return true;
    if (JSON.stringify(plan) !== this.#applied) return false;
    return (await hasNetfilter(plan.port)) && (await gatewayForwards(plan, this.#settings));
  }

  /** The node's addresses: as the controller says, since the other nodes hear the same; before that as configured. */
  addresses(): readonly string[] {
    const told = this.told();
    return told.length > 0 ? told : this.#config.underlayAddresses;
  }

  /** The node's addresses as the controller says. */
  told(): readonly string[] {
    return this.#state.get("node", this.#config.node)?.addresses ?? [];
  }

  #plan({ interfaces, underlay }: Surroundings): GatewayPlan | undefined {
    const { datapathType, gatewayDomain, tunnelUdpPort, linkLocal } = this.#config;
    const domain = this.#state.get("domain", gatewayDomain);
    if (datapathType === "dummy" || domain === undefined) return undefined;
    // Only what an interface has can be a source.
    const present = new Set(interfaces.flatMap(({ addresses }) => addresses));
    return {
      port: ownPorts.gateway.name,
      mtu: underlay.endpointMtu,
      routerMac: formatMac(routerMac),
      pools: domain.pools.filter(isPrefix),
      serviceCidrs: (domain.serviceCidrs ?? []).filter(isPrefix),
      unmasqueraded: (domain.unmasqueraded ?? []).filter(isPrefix),
      nodeAddresses: this.addresses().filter((address) => present.has(address)),
      tunnelUdpPort,
      linkLocal,
    };
  }
}
