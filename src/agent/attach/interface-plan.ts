import type { Address, Prefix } from "../../net/address.ts";

/** The next hop that endpoints and the node see; the switch answers for any address. */
export const gateways = { 4: "169.254.1.1", 6: "fe80::1" } as const;

export interface InterfacePlan {
  /** Name of the switch's end. */
  readonly port: string;
  /** Path of the container's network namespace. */
  readonly netns: string;
  /** Name of the container's end. */
  readonly interface: string;
  readonly mac: string;
  /** Every neighbour is reached through the gateway. */
  readonly addresses: readonly Address[];
  /** What is reached through the interface, by the gateway of its family. */
  readonly routes: readonly Prefix[];
  readonly mtu: number;
  /** Whether the kernel must fill in checksums before packets leave the container. */
  readonly checksumInKernel: boolean;
}

/** Where the two ends of an attachment are. */
export type InterfaceEnds = Pick<InterfacePlan, "port" | "netns" | "interface">;
