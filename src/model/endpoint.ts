import type { PortProtocol } from "../net/protocol.ts";

export type Labels = Readonly<Record<string, string>>;

/** A zone collects networks; a Kubernetes namespace is one. */
export interface Zone {
  readonly name: string;
  readonly labels: Labels;
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: PortProtocol;
  readonly port: number;
}

/** In place of a node's name: an address that every node answers itself. */
export const everyNode = "*";

/** One attachment: a pod, a virtual machine, a host, a VLAN behind a gateway. */
export interface Endpoint {
  /** Unique among all endpoints, e.g. `shop/web-1`. */
  readonly id: string;
  readonly zone: string;
  readonly labels: Labels;
  readonly namedPorts: readonly NamedPort[];
  /** Name of the domain whose addresses it has. */
  readonly domain: string;
  /** In text form, at most one per family; empty while none is allocated. */
  readonly addresses: readonly string[];
  /** Empty while none is allocated. */
  readonly mac: string;
  /** Uids under which whoever attaches it may name the attached object; absent when it has none. */
  readonly uids?: readonly string[];
  /** Name of the node it is attached to, or `everyNode`; `undefined` before it is placed. */
  readonly node: string | undefined;
}

/** One routing context (VRF). Addresses of two domains may overlap. */
export interface Domain {
  readonly name: string;
  /** VXLAN network identifier, 1 to 2^24 - 1 (RFC 7348 section 5). */
  readonly vni: number;
  /** Address pools, CIDRs in text form. */
  readonly pools: readonly string[];
  /** CIDRs outside the pools to which endpoints keep their own addresses; none when absent. */
  readonly unmasqueraded?: readonly string[];
  /** CIDRs outside the pools that virtual addresses are from; none when absent. */
  readonly serviceCidrs?: readonly string[];
  /** How nodes answer DNS; they do not when absent. */
  readonly dns?: DomainDns;
}

/** DNS of a domain, answered by each node itself. */
export interface DomainDns {
  /** The Service at whose addresses it is answered, as `namespace/name`. */
  readonly service: string;
  /** The zone of the cluster's names, in lower case without the last dot. */
  readonly zone: string;
  /** Of the cluster's own records. */
  readonly ttlSeconds: number;
  /** Who answers other names, as `ADDRESS` or `ADDRESS:PORT`; whom the node itself asks when empty. */
  readonly upstreams: readonly string[];
  /** Who answers names of a zone in place of these. */
  readonly forwarders: readonly {
    readonly zone: string;
    readonly servers: readonly string[];
  }[];
}

export interface Node {
  readonly name: string;
  readonly labels: Labels;
  /** Underlay addresses, any number of each family; the first is its VTEP. */
  readonly addresses: readonly string[];
  /** Every address that it is known by, for rules that name nodes; `addresses` among them. */
  readonly knownAddresses: readonly string[];
  /** The topology's zone that it stands in (not a zone of networks); absent: not known. */
  readonly zone?: string;
}
