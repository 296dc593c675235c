// Virtual addresses with something behind them. A Kubernetes Service gives one for each port and family.
import type { Family } from "../net/address.ts";
import type { PortProtocol } from "../net/protocol.ts";

/** Where a virtual address is meant to be used from: inside the cluster, or outside it as well. */
export type FrontendScope = "cluster" | "external";

/** A virtual address and port. */
export interface Frontend {
  readonly address: string;
  readonly port: number;
  readonly scope: FrontendScope;
}

/** `Local`: only backends on the node at which the connection arrives count. */
export type TrafficPolicy = "Cluster" | "Local";

/** An address and port behind a service: an endpoint's, a node's, or one outside. */
export interface Backend {
  readonly address: string;
  readonly port: number;
  /** The node that it is on; `undefined` for one that is on none. */
  readonly node: string | undefined;
  /** One that is not ready is used only where no other is left: it is about to end and still serves. */
  readonly ready: boolean;
  /** Zones and nodes whose clients it is meant for; absent: all. */
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
  /** Its share of new connections beside the others'; 1 when absent. */
  readonly weight?: number;
}

/** Connections to any of its frontends, or to its node port, go to one of its backends. */
export interface VirtualService {
  /** Unique, e.g. `shop/web TCP/80 IPv4`. */
  readonly id: string;
  /** The object that it comes from, `NAMESPACE/NAME`. */
  readonly name: string;
  /** Empty where the port has no name. */
  readonly portName: string;
  /** Name of the domain in which the frontends are reached. */
  readonly domain: string;
  readonly protocol: PortProtocol;
  /** Of all its frontends and backends. */
  readonly family: Family;
  readonly frontends: readonly Frontend[];
  /** The port at every node's addresses; absent: none. */
  readonly nodePort?: number;
  /** For frontends of scope `cluster`. */
  readonly internalPolicy: TrafficPolicy;
  /** For clients outside the pools that come to an external frontend or to the node port; pods and nodes that do so go by `Cluster`. */
  readonly externalPolicy: TrafficPolicy;
  /** How long all connections of a client's address go to the same backend; absent: each connection for itself. */
  readonly affinitySeconds?: number;
  /** Where each node says by HTTP whether it has a backend. */
  readonly healthCheckNodePort?: number;
  /** CIDRs of the only clients that may use external frontends; absent: all. Empty: none. */
  readonly sourceRanges?: readonly string[];
  /** No two have the same address and port. */
  readonly backends: readonly Backend[];
}
