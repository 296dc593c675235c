// Nodes: the tunnels to the others, and the addresses of all of them.
import { type Address, formatAddress, tryParseAddress, widthOf } from "../net/address.ts";
import type { Flow } from "../openflow/flow.ts";
import type { NodeResource } from "../southbound/resources.ts";
import { Claims } from "./claims.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import type { Feature, Mark, RenderContext } from "./feature.ts";
import {
  buildFlow,
  familyFields,
  load,
  setField,
  whereArgument,
  whereFamily,
  whereField,
  whereRegister,
} from "./flow-builder.ts";
import { endpointPriorities } from "./forwarding.ts";
import { routerMac } from "./neighbour.ts";
import { origins, places, reservedIdentities } from "./registers.ts";
import { tunnelPort } from "./tunnel-port.ts";

const tunnelFields = {
  4: { source: "tun_src", destination: "tun_dst" },
  6: { source: "tun_ipv6_src", destination: "tun_ipv6_dst" },
} as const;

function addressesOf(node: NodeResource): readonly Address[] {
  return node.addresses.flatMap((text) => tryParseAddress(text) ?? []);
}

function addressKeysOf(node: NodeResource): readonly string[] {
  return addressesOf(node).map(formatAddress);
}

/** Node ports are at the addresses of every node, and the endpoint's own switch knows what is behind them. */
function renderNodeAddress(number: number, { family, bits }: Address): Flow {
  return buildFlow({
    table: "NodeAddress",
    priority: 100,
    cookie: encodeCookie({ feature: "node", number }),
    match: [
      whereRegister("origin", origins.local),
      whereFamily(family),
      whereField(familyFields[family].destination, bits),
    ],
    actions: [load("nodeAddress", 1)],
    next: "Service",
  });
}

export class NodeFeature implements Feature {
  readonly #node: string;
  readonly #facts: Facts;
  readonly #addresses = new Claims<string>();

  constructor(node: string, facts: Facts) {
    this.#node = node;
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    node: (change, mark) => {
      for (const address of this.#addresses.update(change, addressKeysOf)) {
        for (const claimant of this.#addresses.claimants(address)) this.#markNode(claimant, mark);
      }
      this.#markNode(change.id, mark);
    },
    tunnel: (_, mark) => {
      for (const { id } of this.#facts.all("node")) this.#markNode(id, mark);
    },
  };

  #markNode(id: string, mark: Mark): void {
    mark(`node ${id}`, (context) => this.#renderNode(id, context));
  }

  #renderNode(id: string, context: RenderContext): readonly Flow[] {
    const node = this.#facts.get("node", id);
    if (node === undefined) return [];
    const own = addressesOf(node).filter((address) => {
      const text = formatAddress(address);
      if (this.#addresses.owner(text) === id) return true;
      const message = `${text} belongs to several nodes`;
      context.report({ resource: { kind: "node", id }, message });
      return false;
    });
    const number = context.number("node", id);
    const flows = own.flatMap((address) => [
      this.#renderAddress(id, number, address),
      renderNodeAddress(number, address),
    ]);
    const vtep = tryParseAddress(node.addresses[0] ?? "");
    const tunnel = tunnelPort(this.#facts);
    const reachable = vtep !== undefined && this.#addresses.owner(formatAddress(vtep)) === id;
    if (id === this.#node || tunnel === undefined || !reachable) return flows;
    return [...flows, ...this.#renderTunnel(number, vtep, tunnel)];
  }

  #renderAddress(id: string, number: number, address: Address): Flow {
    const own = id === this.#node;
    return buildFlow({
      table: "Endpoint",
      priority: endpointPriorities.node,
      cookie: encodeCookie({ feature: "node", number }),
      match: whereArgument({ ...address, length: widthOf(address.family) }),
      actions: [
        load("resultIdentity", own ? reservedIdentities.ownNode : reservedIdentities.node),
        load("place", own ? places.ownNode : places.remote),
        load("resultLocation", own ? 0 : number),
      ],
    });
  }

  #renderTunnel(number: number, vtep: Address, tunnel: number): Flow[] {
    const cookie = encodeCookie({ feature: "node", number });
    const { source, destination } = tunnelFields[vtep.family];
    return [
      buildFlow({
        table: "Classify",
        priority: 100,
        cookie,
        match: [whereField("in_port", tunnel), whereField(source, vtep.bits)],
        actions: [load("origin", origins.tunnel), load("peer", number)],
        next: "TunnelDomain",
      }),
      // Nobody but the node where an address is may send from it.
      buildFlow({
        table: "SenderCheck",
        priority: 100,
        cookie,
        match: [
          whereRegister("origin", origins.tunnel),
          whereRegister("place", places.remote),
          whereRegister("peer", number),
          whereRegister("resultLocation", number),
        ],
        next: "Conntrack",
      }),
      buildFlow({
        table: "TunnelOutput",
        priority: 100,
        cookie,
        match: [whereRegister("location", number)],
        actions: [
          setField("eth_dst", routerMac),
          setField(destination, vtep.bits),
          { kind: "output", port: tunnel },
        ],
      }),
    ];
  }
}
