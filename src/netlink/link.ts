// Network interfaces: rtnetlink(7), linux/if_link.h, linux/veth.h.
import { DecodeError } from "../wire/errors.ts";
import {
  type NetlinkMessage,
  type NetlinkRequest,
  attribute,
  concat,
  decodeAttributes,
  decodeText,
  text,
  u16,
  u32,
  u8,
  word,
} from "./message.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const AF_INET6 = 10;

const IFF_UP = 0x1;
const IFF_NOARP = 0x80;

/** Size of struct ifinfomsg. */
const linkHeaderSize = 16;

export interface VethPlan {
  readonly name: string;
  readonly mtu: number;
  /** Link group of this end. */
  readonly group: number;
  readonly peer: {
    readonly name: string;
    readonly mtu: number;
    readonly mac: bigint;
    /** Descriptor of the network namespace that it is made in. */
    readonly netns: number;
  };
}

/** What is to be other with an interface; what is absent stays. */
export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  /** Whether it asks for neighbours and answers for them. */
  readonly arp?: boolean;
  /** Without link-local addresses it sends nothing by itself. Takes effect when it comes up. */
  readonly linkLocal?: false;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly up: boolean;
}

/** struct ifinfomsg: family, padding, type, index, flags, mask of the flags that are to change. */
function linkHeader(flags = 0, mask = 0): Uint8Array {
  return concat(u8(0), u8(0), u16(0), u32(0), u32(flags), u32(mask));
}

function macBytes(mac: bigint): Uint8Array {
  return Uint8Array.from({ length: 6 }, (_, at) => Number((mac >> BigInt(8 * (5 - at))) & 0xffn));
}

/** Both ends, down. Fails when either name is taken. */
export function encodeCreateVeth({ name, mtu, group, peer }: VethPlan): NetlinkRequest {
  const peerEnd = concat(
    linkHeader(),
    attribute(IFLA_MTU, u32(peer.mtu)),
    attribute(IFLA_ADDRESS, macBytes(peer.mac)),
    attribute(IFLA_NET_NS_FD, u32(peer.netns)),
    attribute(IFLA_IFNAME, text(peer.name)),
  );
  return {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: concat(
      linkHeader(),
      attribute(IFLA_MTU, u32(mtu)),
      attribute(IFLA_GROUP, u32(group)),
      attribute(IFLA_IFNAME, text(name)),
      attribute(
        IFLA_LINKINFO,
        attribute(IFLA_INFO_KIND, word("veth")),
        attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peerEnd)),
      ),
    ),
  };
}

/** The kernel raises an interface before it reads the rest: what is to hold from then on goes into a request before. */
export function encodeChangeLink(name: string, change: LinkChange): NetlinkRequest {
  const { up, mtu, arp, linkLocal } = change;
  const flags = (up === true ? IFF_UP : 0) | (arp === false ? IFF_NOARP : 0);
  const mask = (up === undefined ? 0 : IFF_UP) | (arp === undefined ? 0 : IFF_NOARP);
  const none = attribute(IFLA_INET6_ADDR_GEN_MODE, u8(IN6_ADDR_GEN_MODE_NONE));
  return {
    type: RTM_NEWLINK,
    flags: 0,
    body: concat(
      linkHeader(flags, mask),
      attribute(IFLA_IFNAME, text(name)),
      ...(mtu === undefined ? [] : [attribute(IFLA_MTU, u32(mtu))]),
      ...(linkLocal === undefined ? [] : [attribute(IFLA_AF_SPEC, attribute(AF_INET6, none))]),
    ),
  };
}

/** Of a veth pair the other end goes as well. */
export function encodeDeleteLink(name: string): NetlinkRequest {
  return {
    type: RTM_DELLINK,
    flags: 0,
    body: concat(linkHeader(), attribute(IFLA_IFNAME, text(name))),
  };
}

export function encodeGetLink(name: string): NetlinkRequest {
  return {
    type: RTM_GETLINK,
    flags: 0,
    body: concat(linkHeader(), attribute(IFLA_IFNAME, text(name))),
  };
}

/** `undefined` for a message about something else. @throws {DecodeError} */
export function decodeLink({ type, body }: NetlinkMessage): Link | undefined {
  if (type !== RTM_NEWLINK) return undefined;
  if (body.length < linkHeaderSize) throw new DecodeError("truncated", "an interface is cut");
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const attributes = decodeAttributes(body.subarray(linkHeaderSize));
  const mtu = attributes.get(IFLA_MTU);
  return {
    index: view.getInt32(4, true),
    name: decodeText(attributes.get(IFLA_IFNAME) ?? new Uint8Array()),
    mtu: mtu === undefined ? 0 : new DataView(mtu.buffer, mtu.byteOffset).getUint32(0, true),
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
  };
}
