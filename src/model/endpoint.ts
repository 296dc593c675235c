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
  /** Name of the node it is attached to; `undefined` before it is placed. */
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
