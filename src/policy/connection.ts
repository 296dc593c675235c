// What a packet says, looked up in a snapshot: which endpoints, nodes and addresses its ends are.
import { type Address, type Family, prefixContains, tryParseAddress } from "../net/address.ts";
import type { Protocol } from "../net/protocol.ts";
import { unroutable } from "../net/unroutable.ts";
import type { KnownEndpoint } from "./compiled-rule.ts";
import type { Packet, PacketEnd } from "./packet.ts";
import type { PolicyModel } from "./policy-model.ts";

/** One end of a connection. */
export interface ConnectionEnd {
  readonly endpoint: KnownEndpoint | undefined;
  /** Name of the node that the end is or whose address it has. */
  readonly node: string | undefined;
  /** Of the connection's family; `undefined` for an endpoint without addresses. */
  readonly address: Address | undefined;
}

export interface Connection {
  readonly kind: "connection";
  readonly source: ConnectionEnd;
  readonly destination: ConnectionEnd;
  readonly protocol: Protocol;
  readonly port: number | undefined;
}

/** A packet that could not be understood. */
export interface UnknownConnection {
  readonly kind: "unknown";
  readonly reason: string;
}

function unknown(reason: string): UnknownConnection {
  return { kind: "unknown", reason };
}

/** An end before the family is known: what it is and which addresses it could use. */
interface Candidate {
  readonly kind: "candidate";
  readonly endpoint: KnownEndpoint | undefined;
  readonly node: string | undefined;
  readonly addresses: ReadonlyMap<Family, Address>;
}

function lookUpEndpoint(model: PolicyModel, id: string): Candidate | UnknownConnection {
  const endpoint = model.endpoint(id);
  if (endpoint === undefined) return unknown(`there is no endpoint ${id}`);
  if (endpoint.zone === undefined) {
    return unknown(
      `endpoint ${id} is in namespace ${endpoint.endpoint.zone}, which does not exist`,
    );
  }
  if (model.addressPlan(endpoint.endpoint.domain) === undefined) {
    return unknown(`endpoint ${id} is in domain ${endpoint.endpoint.domain}, which does not exist`);
  }
  return { kind: "candidate", endpoint, node: undefined, addresses: endpoint.addresses };
}

function lookUpNode(model: PolicyModel, name: string): Candidate | UnknownConnection {
  const node = model.node(name);
  if (node === undefined) return unknown(`there is no node ${name}`);
  return { kind: "candidate", endpoint: undefined, node: name, addresses: node.addresses };
}

function lookUpAddress(
  model: PolicyModel,
  text: string,
  domain: string | undefined,
): Candidate | UnknownConnection {
  const address = tryParseAddress(text);
  if (address === undefined) return unknown(`"${text}" is no IPv4 or IPv6 address`);
  if (unroutable.some((prefix) => prefixContains(prefix, address))) {
    return unknown(`${text} is not routed`);
  }
  const plan = domain === undefined ? undefined : model.addressPlan(domain);
  if (plan === undefined) return unknown(`which domain is ${text} in?`);
  const owners = plan.owners[address.family];
  const owner = owners.get(address.bits);
  // Whoever names an address means its family, also where the owner has both.
  const addresses = new Map([[address.family, address]]);
  if (owner !== undefined) {
    const found = lookUpEndpoint(model, owner.endpoint.id);
    return found.kind === "unknown" ? found : { ...found, addresses };
  }
  if (owners.has(address.bits)) return unknown(`several endpoints claim ${text}`);
  if (plan.pools.some((pool) => prefixContains(pool, address))) {
    return unknown(`no endpoint has the address ${text}`);
  }
  return {
    kind: "candidate",
    endpoint: undefined,
    node: model.nodeWith(address)?.name,
    addresses,
  };
}

function lookUp(
  model: PolicyModel,
  end: PacketEnd,
  domain: string | undefined,
): Candidate | UnknownConnection {
  switch (end.kind) {
    case "endpoint":
      return lookUpEndpoint(model, end.id);
    case "node":
      return lookUpNode(model, end.name);
    case "address":
      return lookUpAddress(model, end.address, domain);
  }
}

function domainOf(model: PolicyModel, packet: Packet): string | undefined {
  if (packet.domain !== undefined) return packet.domain;
  for (const end of [packet.source, packet.destination]) {
    if (end.kind === "endpoint") return model.endpoint(end.id)?.endpoint.domain;
  }
  return model.onlyDomain;
}

/** `undefined` where an end has no address yet: then only selectors can match it. */
function familyOf(
  packet: Packet,
  source: Candidate,
  destination: Candidate,
): Family | UnknownConnection | undefined {
  const usable = ([4, 6] as const).filter(
    (family) => packet.family === undefined || packet.family === family,
  );
  const shared = usable.find(
    (family) => source.addresses.has(family) && destination.addresses.has(family),
  );
  if (shared !== undefined) return shared;
  const lacking = [source, destination].filter((end) => end.addresses.size === 0);
  if (lacking.length > 0 && lacking.every((end) => end.endpoint !== undefined)) {
    return usable.find(
      (family) => source.addresses.has(family) || destination.addresses.has(family),
    );
  }
  const wanted = packet.family === undefined ? "in a common family" : `for IPv${packet.family}`;
  return unknown(`the two ends have no addresses ${wanted}`);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65535;
}

/** Never throws: what cannot be understood is `unknown`, with the reason in words. */
export function resolveConnection(
  model: PolicyModel,
  packet: Packet,
): Connection | UnknownConnection {
  const { destinationPort: port, protocol } = packet;
  if (port !== undefined && !isPort(port)) return unknown(`${port} is no port`);
  const domain = domainOf(model, packet);
  const source = lookUp(model, packet.source, domain);
  if (source.kind === "unknown") return source;
  const destination = lookUp(model, packet.destination, domain);
  if (destination.kind === "unknown") return destination;
  for (const end of [source, destination]) {
    if (end.endpoint !== undefined && end.endpoint.endpoint.domain !== domain) {
      return unknown(`${end.endpoint.endpoint.id} is not in domain ${domain}`);
    }
  }
  const family = familyOf(packet, source, destination);
  if (typeof family === "object") return family;
  const settle = ({ endpoint, node, addresses }: Candidate): ConnectionEnd => ({
    endpoint,
    node,
    address: family === undefined ? undefined : addresses.get(family),
  });
  return {
    kind: "connection",
    source: settle(source),
    destination: settle(destination),
    protocol,
    port,
  };
}
