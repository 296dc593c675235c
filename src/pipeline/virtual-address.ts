// Addresses that exist between a port of the switch and what is behind it, and nowhere else. No router forwards them:
// IPv4 link-local (RFC 3927 section 2.7), and IPv6's discard-only block (RFC 6666).
import { type Address, type Family, parseAddress } from "../net/address.ts";

/** Under which a client shows itself to itself, when its connection to a service comes back to it. */
export const hairpinAddresses = {
  4: "169.254.1.2",
  6: "100::2",
} as const satisfies Record<Family, string>;

/** Where a node sends connections to its own addresses that are for node ports. */
export const nodePortAddresses = {
  4: "169.254.1.3",
  6: "100::3",
} as const satisfies Record<Family, string>;

/** As numbers. */
export function virtualBits(addresses: Readonly<Record<Family, string>>, family: Family): bigint {
  const address: Address = parseAddress(addresses[family]);
  return address.bits;
}
