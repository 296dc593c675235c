// Virtual addresses with something behind them. A Kubernetes Service gives one for each port and family.
import type { PortProtocol } from "../net/protocol.ts";

/** A virtual address and port. */
export interface Frontend {
  readonly address: string;
  readonly port: number;
}

/** An address and port behind a service: an endpoint's, a node's, or one outside. */
export interface Backend {
  readonly address: string;
  readonly port: number;
  /** The node that it is on; `undefined` for one that is on none. */
  readonly node: string | undefined;
  /** One that is not ready is used only where no other is left: it is about to end and still serves. */
  readonly ready: boolean;
}

/** Connections to any of its frontends go to one of its backends. */
export interface VirtualService {
  /** Unique, e.g. `shop/web http IPv4`. */
  readonly id: string;
  /** Name of the domain in which the frontends are reached. */
  readonly domain: string;
  readonly protocol: PortProtocol;
  /** All of one family. */
  readonly frontends: readonly Frontend[];
  /** Whether only backends on the client's own node count. */
  readonly localOnly: boolean;
  /** Whether all connections of a client's address go to the same backend, as long as it is there. */
  readonly sticky: boolean;
  /** Of the frontends' family. No two have the same address and port. */
  readonly backends: readonly Backend[];
}
