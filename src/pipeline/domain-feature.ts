// Domains: their VNIs, their pools, and the gateway of each to the node's own network stack.
import { type Prefix, formatPrefix, parsePrefix } from "../net/address.ts";
import { AddressError } from "../net/errors.ts";
import { parseMac } from "../net/mac.ts";
import type { Flow } from "../openflow/flow.ts";
import type { DomainResource } from "../southbound/resources.ts";
import { Claims } from "./claims.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts, GatewayFact } from "./fact.ts";
import type { Feature, Mark, RenderContext } from "./feature.ts";
import {
  buildFlow,
  load,
  setField,
  whereArgument,
  whereField,
  whereRegister,
} from "./flow-builder.ts";
import { endpointPriorities } from "./forwarding.ts";
import { origins, places } from "./registers.ts";
import { tunnelPort } from "./tunnel-port.ts";

/** What a node's network stack sends: ARP, IPv4, IPv6. */
const gatewayTypes = [0x0806, 0x0800, 0x86dd] as const;

export class DomainFeature implements Feature {
  readonly #facts: Facts;
  readonly #vnis = new Claims<number>();
  readonly #gatewayPorts = new Claims<number>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    domain: (change, mark) => {
      for (const vni of this.#vnis.update(change, (domain) => [domain.vni])) {
        for (const claimant of this.#vnis.claimants(vni)) this.#markDomain(claimant, mark);
      }
      this.#markDomain(change.id, mark);
    },
    gateway: (change, mark) => {
      for (const ofport of this.#gatewayPorts.update(change, (gateway) => [gateway.ofport])) {
        for (const claimant of this.#gatewayPorts.claimants(ofport))
          this.#markDomain(claimant, mark);
      }
      this.#markDomain(change.id, mark);
    },
    tunnel: (_, mark) => {
      for (const { id } of this.#facts.all("domain")) this.#markDomain(id, mark);
    },
  };

  #markDomain(id: string, mark: Mark): void {
    mark(`domain ${id}`, (context) => this.#renderDomain(id, context));
  }

  #renderDomain(id: string, context: RenderContext): readonly Flow[] {
    const domain = this.#facts.get("domain", id);
    if (domain === undefined) return [];
    const report = (message: string): void =>
      context.report({ resource: { kind: "domain", id }, message });
    const number = context.number("domain", id);
    const flows = [...this.#renderPools(domain, number, report)];
    if (this.#vnis.owner(domain.vni) === id) flows.push(...this.#renderTunnel(domain, number));
    else report(`VNI ${domain.vni} belongs to several domains`);
    const gateway = this.#facts.get("gateway", id);
    if (gateway === undefined) return flows;
    if (this.#gatewayPorts.owner(gateway.ofport) !== id) {
      report(`port ${gateway.ofport} is the gateway of several domains`);
      return flows;
    }
    return [...flows, ...renderGateway(gateway, number, report)];
  }

  #renderPools(domain: DomainResource, number: number, report: (message: string) => void): Flow[] {
    const pools = new Map<string, Prefix>();
    for (const text of domain.pools) {
      try {
        const pool = parsePrefix(text);
        pools.set(formatPrefix(pool), pool);
      } catch (error) {
        if (!(error instanceof AddressError)) throw error;
        report(error.message);
      }
    }
    return [...pools.values()].map((pool) =>
      buildFlow({
        table: "Endpoint",
        priority: endpointPriorities.pool,
        cookie: encodeCookie({ feature: "domain", number }),
        match: [whereRegister("domain", number), ...whereArgument(pool)],
        actions: [load("place", places.unassigned)],
      }),
    );
  }

  #renderTunnel({ vni }: DomainResource, number: number): Flow[] {
    const tunnel = tunnelPort(this.#facts);
    if (tunnel === undefined) return [];
    const cookie = encodeCookie({ feature: "domain", number });
    return [
      buildFlow({
        table: "TunnelDomain",
        priority: 100,
        cookie,
        match: [whereField("tun_id", vni)],
        actions: [load("domain", number)],
        next: "SpoofGuard",
      }),
      buildFlow({
        table: "Output",
        priority: 100,
        cookie,
        match: [whereRegister("place", places.remote), whereRegister("domain", number)],
        actions: [setField("tun_id", vni)],
        next: "TunnelOutput",
      }),
    ];
  }
}

function renderGateway(
  { ofport, mac: text }: GatewayFact,
  number: number,
  report: (message: string) => void,
): Flow[] {
  let mac: bigint;
  try {
    mac = parseMac(text);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    report(`gateway: ${error.message}`);
    return [];
  }
  const cookie = encodeCookie({ feature: "domain", number });
  return [
    buildFlow({
      table: "Classify",
      priority: 200,
      cookie,
      match: [whereField("in_port", ofport)],
      actions: [load("origin", origins.gateway), load("domain", number)],
      next: "SpoofGuard",
    }),
    // Any source address: SenderCheck refuses those of the domain's pools.
    ...gatewayTypes.map((etherType) =>
      buildFlow({
        table: "SpoofGuard",
        priority: 100,
        cookie,
        match: [
          whereField("in_port", ofport),
          whereField("eth_src", mac),
          whereField("eth_type", etherType),
        ],
        next: "Neighbour",
      }),
    ),
    ...([places.ownNode, places.outside] as const).map((place) =>
      buildFlow({
        table: "Output",
        priority: 100,
        cookie,
        match: [whereRegister("place", place), whereRegister("domain", number)],
        actions: [setField("eth_dst", mac), { kind: "output", port: ofport }],
      }),
    ),
  ];
}
