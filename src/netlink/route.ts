// Addresses of interfaces and routes through them: rtnetlink(7), linux/if_addr.h, linux/rtnetlink.h.
import { type Address, type Family, type Prefix, widthOf } from "../net/address.ts";
import { type NetlinkRequest, attribute, concat, u32, u8 } from "./message.ts";

const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const families = { 4: 2, 6: 10 } as const satisfies Record<Family, number>;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;

function addressBytes({ family, bits }: Pick<Address, "family" | "bits">): Uint8Array {
  const length = widthOf(family) / 8;
  return Uint8Array.from({ length }, (_, at) =>
    Number((bits >> BigInt(8 * (length - 1 - at))) & 0xffn),
  );
}

/** The address alone: no neighbours come with it. IPv6 does not ask around first whether another has it. */
export function encodeAddAddress(index: number, address: Address): NetlinkRequest {
  const { family } = address;
  const bytes = addressBytes(address);
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: concat(
      // struct ifaddrmsg: family, prefix length, flags, scope, index.
      u8(families[family]),
      u8(widthOf(family)),
      u8(0),
      u8(RT_SCOPE_UNIVERSE),
      u32(index),
      attribute(IFA_LOCAL, bytes),
      attribute(IFA_ADDRESS, bytes),
      ...(family === 6 ? [attribute(IFA_FLAGS, u32(IFA_F_NODAD))] : []),
    ),
  };
}

/** In the main table; one to the same destination is replaced. Without a gateway the destination is on the link. */
export function encodeReplaceRoute(
  index: number,
  destination: Prefix,
  gateway?: Address,
): NetlinkRequest {
  const { family, length } = destination;
  // IPv6 knows no scopes.
  const scope = gateway === undefined && family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: concat(
      // struct rtmsg: family, lengths of destination and source, type of service, table, protocol, scope, type, flags.
      u8(families[family]),
      u8(length),
      u8(0),
      u8(0),
      u8(RT_TABLE_MAIN),
      u8(RTPROT_BOOT),
      u8(scope),
      u8(RTN_UNICAST),
      u32(0),
      ...(length === 0 ? [] : [attribute(RTA_DST, addressBytes(destination))]),
      ...(gateway === undefined ? [] : [attribute(RTA_GATEWAY, addressBytes(gateway))]),
      attribute(RTA_OIF, u32(index)),
    ),
  };
}
