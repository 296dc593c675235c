import type { Family } from "../net/address.ts";
import type { Protocol } from "../net/protocol.ts";

export type PacketEnd =
  | { readonly kind: "endpoint"; readonly id: string }
  | { readonly kind: "node"; readonly name: string }
  /** In text form; an address that an endpoint or a node has stands for it. */
  | { readonly kind: "address"; readonly address: string };

/** The packet that opens a connection. Replies are no question: they pass where the opening passed. */
export interface Packet {
  readonly source: PacketEnd;
  readonly destination: PacketEnd;
  readonly protocol: Protocol;
  /** 0 to 65535. Without it only services that name no port match; ICMP has none. */
  readonly destinationPort?: number;
  /** Needed only where both ends have both families; then IPv4 is assumed. */
  readonly family?: Family;
  /** Whose addresses are meant. Needed only where no end is an endpoint and there are several domains. */
  readonly domain?: string;
}
