import { formatMac } from "../net/mac.ts";
import { routerMac } from "../pipeline/neighbour.ts";
import type { AgentConfig } from "./config.ts";
import { type GatewayPlan, applyGateway } from "./gateway.ts";
import type { NodeState } from "./node-state.ts";
import { ownPorts } from "./switch-ports.ts";
import { defaultUnderlayMtu, endpointMtu, readUnderlayMtu } from "./underlay.ts";

/** Keeps the node's gateway as the domain's pools and the node's addresses have it. */
export class GatewayKeeper {
  readonly #config: AgentConfig;
  readonly #state: NodeState;

  constructor(config: AgentConfig, state: NodeState) {
    this.#config = config;
    this.#state = state;
  }

  /** MTU of endpoints. */
  async mtu(): Promise<number> {
    const addresses = this.#addresses();
    return endpointMtu((await readUnderlayMtu(addresses)) ?? defaultUnderlayMtu, addresses);
  }

  /** @throws {CommandError} */
  async apply(): Promise<void> {
    const { datapathType, gatewayDomain } = this.#config;
    const domain = this.#state.get("domain", gatewayDomain);
    // The dummy datapath has ports, but no network interfaces behind them.
    if (datapathType === "dummy" || domain === undefined) return;
    const plan: GatewayPlan = {
      port: ownPorts.gateway.name,
      mtu: await this.mtu(),
      routerMac: formatMac(routerMac),
      pools: domain.pools,
      nodeAddresses: this.#addresses(),
    };
    await applyGateway(plan);
  }

  /** As configured, or else as the controller says. */
  #addresses(): readonly string[] {
    const { node, underlayAddresses } = this.#config;
    if (underlayAddresses.length > 0) return underlayAddresses;
    return this.#state.get("node", node)?.addresses ?? [];
  }
}
