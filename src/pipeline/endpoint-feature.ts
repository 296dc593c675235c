// Endpoints: the addresses of all of them, and the ports of those that are attached to this node.
import { type Address, formatAddress, tryParseAddress, widthOf } from "../net/address.ts";
import { everyNode } from "../model/endpoint.ts";
import { parseMac } from "../net/mac.ts";
import { AddressError } from "../net/errors.ts";
import type { Flow } from "../openflow/flow.ts";
import type { EndpointResource } from "../southbound/resources.ts";
import { Claims } from "./claims.ts";
import { encodeCookie } from "./cookie.ts";
import type { Facts } from "./fact.ts";
import {
  type Change,
  type Feature,
  type Mark,
  type RenderContext,
  SetMap,
  comesOrGoes,
} from "./feature.ts";
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
import { whereDiscovery } from "./neighbour.ts";
import { type Place, origins, places } from "./registers.ts";

const arp = 0x0806;

function addressesOf(endpoint: EndpointResource): readonly Address[] {
  return endpoint.addresses.flatMap((text) => tryParseAddress(text) ?? []);
}

/** Names an address of a domain. */
function addressKey(domain: string, address: Address): string {
  return `${domain} ${formatAddress(address)}`;
}

function addressKeysOf(endpoint: EndpointResource): readonly string[] {
  return addressesOf(endpoint).map((address) => addressKey(endpoint.domain, address));
}

function tryParseMac(text: string): bigint | undefined {
  try {
    return parseMac(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

/** What the flows of a local endpoint's port are made of. */
interface LocalPort {
  readonly endpoint: EndpointResource;
  readonly ofport: number;
  readonly mac: bigint;
}

export class EndpointFeature implements Feature {
  readonly #node: string;
  readonly #facts: Facts;
  readonly #addresses = new Claims<string>();
  readonly #ofports = new Claims<number>();
  /** Identity or domain → ids of the endpoints on this node. */
  readonly #localByIdentity = new SetMap<string, string>();
  readonly #localByDomain = new SetMap<string, string>();

  constructor(node: string, facts: Facts) {
    this.#node = node;
    this.#facts = facts;
  }

  readonly on: Feature["on"] = {
    endpoint: (change, mark) => this.#changeEndpoint(change, mark),
    port: (change, mark) => {
      for (const ofport of this.#ofports.update(change, (port) => [port.ofport])) {
        this.#markPorts(this.#ofports.claimants(ofport), mark);
      }
      this.#markPorts([change.id], mark);
      this.#markAddresses(this.#facts.get("endpoint", change.id), mark);
    },
    // What they say is other features' matter: a rule more or less leaves the ports of its many subjects alone.
    posture: (change, mark) => {
      if (comesOrGoes(change)) this.#markPorts(this.#localByIdentity.get(change.id), mark);
    },
    domain: (change, mark) => {
      if (comesOrGoes(change)) this.#markPorts(this.#localByDomain.get(change.id), mark);
    },
  };

  #changeEndpoint(change: Change<"endpoint">, mark: Mark): void {
    const { id, before, after } = change;
    this.#addresses.update(change, addressKeysOf);
    if (before?.node === this.#node) {
      this.#localByIdentity.delete(before.identity, id);
      this.#localByDomain.delete(before.domain, id);
    }
    if (after?.node === this.#node) {
      this.#localByIdentity.add(after.identity, id);
      this.#localByDomain.add(after.domain, id);
    }
    this.#markAddresses(before, mark);
    this.#markAddresses(after, mark);
    this.#markPorts([id], mark);
  }

  #markAddresses(endpoint: EndpointResource | undefined, mark: Mark): void {
    if (endpoint === undefined) return;
    for (const address of addressesOf(endpoint)) {
      const key = addressKey(endpoint.domain, address);
      mark(`address ${key}`, (context) => this.#renderAddress(key, address, context));
    }
  }

  #markPorts(ids: Iterable<string>, mark: Mark): void {
    for (const id of ids) mark(`port ${id}`, (context) => this.#renderPort(id, context));
  }

  #renderAddress(key: string, address: Address, context: RenderContext): readonly Flow[] {
    const owner = this.#addresses.owner(key);
    if (owner === undefined) {
      for (const id of this.#addresses.claimants(key)) {
        const message = `${formatAddress(address)} belongs to several endpoints`;
        context.report({ resource: { kind: "endpoint", id }, message });
      }
      return [];
    }
    const endpoint = this.#facts.get("endpoint", owner);
    if (endpoint === undefined) return [];
    const { place, location } = this.#placeOf(endpoint, context);
    const identity = context.number("identity", endpoint.identity);
    return [
      buildFlow({
        table: "Endpoint",
        priority: endpointPriorities.endpoint,
        cookie: encodeCookie({ feature: "address", number: identity }),
        match: [
          whereRegister("domain", context.number("domain", endpoint.domain)),
          ...whereArgument({ ...address, length: widthOf(address.family) }),
        ],
        actions: [
          load("resultIdentity", identity),
          load("place", places[place]),
          load("resultLocation", location),
        ],
      }),
    ];
  }

  #placeOf(
    { id, node }: EndpointResource,
    context: RenderContext,
  ): { readonly place: Place; readonly location: number } {
    if (node === everyNode) return { place: "ownNode", location: 0 };
    if (node !== this.#node) return { place: "remote", location: context.number("node", node) };
    // One without a port is known, and Output has no flow for it.
    return { place: "local", location: this.#facts.get("port", id)?.ofport ?? 0 };
  }

  /** Closed until everything is there that decides about its traffic. */
  #renderPort(id: string, context: RenderContext): readonly Flow[] {
    const endpoint = this.#facts.get("endpoint", id);
    const ofport = this.#facts.get("port", id)?.ofport;
    if (endpoint?.node !== this.#node || ofport === undefined) return [];
    const mac = tryParseMac(endpoint.mac);
    const problem =
      mac === undefined
        ? `"${endpoint.mac}" is no MAC address`
        : this.#ofports.owner(ofport) === undefined
          ? `port ${ofport} belongs to several endpoints`
          : undefined;
    if (problem !== undefined) {
      context.report({ resource: { kind: "endpoint", id }, message: problem });
    }
    if (mac === undefined || problem !== undefined) return [];
    const complete =
      this.#facts.has("domain", endpoint.domain) && this.#facts.has("posture", endpoint.identity);
    if (!complete) return [];
    const port = { endpoint, ofport, mac };
    return [
      this.#renderClassify(port, context),
      ...addressesOf(endpoint).flatMap((address) => this.#renderGuard(port, address)),
      this.#renderItself(port),
      this.#renderOutput(port),
    ];
  }

  #renderClassify({ endpoint, ofport }: LocalPort, context: RenderContext): Flow {
    return buildFlow({
      table: "Classify",
      priority: 100,
      cookie: encodeCookie({ feature: "port", number: ofport }),
      match: [whereField("in_port", ofport)],
      actions: [
        load("origin", origins.local),
        load("domain", context.number("domain", endpoint.domain)),
        load("sourceIdentity", context.number("identity", endpoint.identity)),
      ],
      next: "SpoofGuard",
    });
  }

  #renderGuard({ ofport, mac }: LocalPort, address: Address): Flow[] {
    const { family, bits } = address;
    const cookie = encodeCookie({ feature: "port", number: ofport });
    const guard = { table: "SpoofGuard", cookie } as const;
    const from = [whereField("in_port", ofport), whereField("eth_src", mac)];
    const routed = buildFlow({
      ...guard,
      priority: 100,
      match: [...from, whereFamily(family), whereField(familyFields[family].source, bits)],
      next: "Neighbour",
    });
    if (family === 6) {
      // Solicitations may come from any address of the sender, as their answer goes back to the same port.
      const match = [...from, ...whereDiscovery(135), whereField("nd_sll", mac)];
      return [routed, buildFlow({ ...guard, priority: 100, match, next: "Neighbour" })];
    }
    const ask = [...from, whereField("eth_type", arp), whereField("arp_spa", bits)];
    return [
      routed,
      buildFlow({
        ...guard,
        priority: 100,
        match: [...ask, whereField("arp_sha", mac)],
        next: "Neighbour",
      }),
      // An announcement of its own address (RFC 5227) must not be answered by somebody else.
      buildFlow({ ...guard, priority: 200, match: [...ask, whereField("arp_tpa", bits)] }),
    ];
  }

  /** A service that it uses may have itself behind it. */
  #renderItself({ ofport }: LocalPort): Flow {
    return buildFlow({
      table: "Route",
      priority: 300,
      cookie: encodeCookie({ feature: "port", number: ofport }),
      match: [
        whereField("in_port", ofport),
        whereRegister("place", places.local),
        whereRegister("location", ofport),
        whereRegister("balanced", 1),
      ],
      actions: [load("hairpin", 1)],
      next: "Transport",
    });
  }

  #renderOutput({ ofport, mac }: LocalPort): Flow {
    return buildFlow({
      table: "Output",
      priority: 100,
      cookie: encodeCookie({ feature: "port", number: ofport }),
      match: [whereRegister("place", places.local), whereRegister("location", ofport)],
      actions: [setField("eth_dst", mac), { kind: "output", port: ofport }],
    });
  }
}
