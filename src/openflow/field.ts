// Match fields: OXM (OpenFlow Switch Specification 1.5.1, section 7.2.3) and NXM, as ovs-fields(7) lists them.

/** OXM classes. No field of the registry is an experimenter's; unknown ones may be. */
export const oxmClass = {
  nxm0: 0x0000,
  nxm1: 0x0001,
  ericsson: 0x1000,
  basic: 0x8000,
  packetRegister: 0x8001,
  experimenter: 0xffff,
} as const;

/** Nicira's number as an experimenter: of Open vSwitch's actions, messages and errors. */
export const niciraExperimenter = 0x00002320;

/** How ovs-ofctl writes a field's value. */
export type FieldFormat =
  | "decimal"
  | "hexadecimal"
  | "ethernet"
  | "ipv4"
  | "ipv6"
  | "port"
  | "frag"
  | "ct-state"
  | "tcp-flags"
  | "tunnel-flags";

/** A field must have one of these values for another field to be matched or set. */
interface Requirement {
  readonly field: "eth_type" | "ip_proto" | "icmpv6_type" | "vlan_vid" | "ct_state" | "ct_nw_proto";
  readonly anyOf: readonly number[];
  /** Bits of the field that count; all when absent. */
  readonly mask?: number;
}

export interface Field {
  readonly class: number;
  readonly number: number;
  /** Width of the value; on the wire it is right-aligned in `sizeBytes`. */
  readonly bits: number;
  readonly sizeBytes: number;
  readonly maskable: boolean;
  /** Whether actions may change it. */
  readonly writable: boolean;
  readonly requires: readonly Requirement[];
  readonly format: FieldFormat;
}

interface Traits {
  readonly class?: number;
  readonly sizeBytes?: number;
  readonly exact?: true;
  readonly readOnly?: true;
  readonly requires?: readonly Requirement[];
  readonly format?: FieldFormat;
}

function field(number: number, bits: number, traits: Traits = {}): Field {
  return {
    class: traits.class ?? oxmClass.basic,
    number,
    bits,
    sizeBytes: traits.sizeBytes ?? Math.ceil(bits / 8),
    maskable: traits.exact !== true,
    writable: traits.readOnly !== true,
    requires: traits.requires ?? [],
    format: traits.format ?? "decimal",
  };
}

const nxm1 = { class: oxmClass.nxm1 } as const;
const register = { ...nxm1, format: "hexadecimal" } as const;
const wideRegister = { class: oxmClass.packetRegister, format: "hexadecimal" } as const;
const conntrack = { ...nxm1, readOnly: true } as const;

const tagged: Requirement = { field: "vlan_vid", anyOf: [0x1000], mask: 0x1000 };
// Tracked and not invalid. Any bit that only a valid connection has would do as well.
const tracked: Requirement = { field: "ct_state", anyOf: [0x20], mask: 0x30 };
const ctPorts: Requirement = { field: "ct_nw_proto", anyOf: [6, 17, 132] };
const ip4: Requirement = { field: "eth_type", anyOf: [0x0800] };
const ip6: Requirement = { field: "eth_type", anyOf: [0x86dd] };
const ip: Requirement = { field: "eth_type", anyOf: [0x0800, 0x86dd] };
const arp: Requirement = { field: "eth_type", anyOf: [0x0806, 0x8035] };
const mpls: Requirement = { field: "eth_type", anyOf: [0x8847, 0x8848] };
const tcp = [ip, { field: "ip_proto", anyOf: [6] }] as const;
const udp = [ip, { field: "ip_proto", anyOf: [17] }] as const;
const sctp = [ip, { field: "ip_proto", anyOf: [132] }] as const;
const icmp4 = [ip4, { field: "ip_proto", anyOf: [1] }] as const;
const icmp6 = [ip6, { field: "ip_proto", anyOf: [58] }] as const;
const nd = [...icmp6, { field: "icmpv6_type", anyOf: [135, 136] }] as const;
const ndSolicit = [...icmp6, { field: "icmpv6_type", anyOf: [135] }] as const;
const ndAdvert = [...icmp6, { field: "icmpv6_type", anyOf: [136] }] as const;

/**
 * In the order in which Open vSwitch reports the fields of a match, so that a reported match is in canonical order already.
 * `vlan_vid` is 13 bits wide: bit 12 says that a tag is present, as on the wire.
 */
export const fields = {
  packet_type: field(44, 32, { exact: true, readOnly: true, format: "hexadecimal" }),
  dp_hash: field(35, 32, { ...register, readOnly: true }),
  recirc_id: field(36, 32, { ...nxm1, exact: true, readOnly: true }),
  conj_id: field(37, 32, { ...nxm1, exact: true, readOnly: true }),
  // Open vSwitch lets actions change it under its 16-bit NXM number only, which is not listed here.
  in_port: field(0, 32, { exact: true, readOnly: true, format: "port" }),
  actset_output: field(43, 32, { exact: true, readOnly: true, format: "port" }),
  eth_src: field(4, 48, { format: "ethernet" }),
  eth_dst: field(3, 48, { format: "ethernet" }),
  eth_type: field(5, 16, { exact: true, readOnly: true, format: "hexadecimal" }),
  vlan_vid: field(6, 13),
  vlan_pcp: field(7, 3, { exact: true, requires: [tagged] }),
  mpls_tc: field(35, 3, { exact: true, requires: [mpls] }),
  mpls_bos: field(36, 1, { exact: true, readOnly: true, requires: [mpls] }),
  mpls_ttl: field(30, 8, { ...nxm1, exact: true, requires: [mpls] }),
  mpls_label: field(34, 20, { exact: true, sizeBytes: 4, requires: [mpls] }),
  ip_src: field(11, 32, { requires: [ip4], format: "ipv4" }),
  ip_dst: field(12, 32, { requires: [ip4], format: "ipv4" }),
  ipv6_src: field(26, 128, { requires: [ip6], format: "ipv6" }),
  ipv6_dst: field(27, 128, { requires: [ip6], format: "ipv6" }),
  ip_frag: field(26, 2, { ...nxm1, readOnly: true, requires: [ip], format: "frag" }),
  ip_dscp: field(8, 6, { exact: true, requires: [ip] }),
  ip_ecn: field(9, 2, { exact: true, requires: [ip] }),
  nw_ttl: field(29, 8, { ...nxm1, exact: true, requires: [ip] }),
  ipv6_label: field(28, 20, { sizeBytes: 4, requires: [ip6], format: "hexadecimal" }),
  ip_proto: field(10, 8, { exact: true, readOnly: true, requires: [ip] }),
  tcp_src: field(13, 16, { requires: tcp }),
  tcp_dst: field(14, 16, { requires: tcp }),
  tcp_flags: field(42, 12, { readOnly: true, requires: tcp, format: "tcp-flags" }),
  udp_src: field(15, 16, { requires: udp }),
  udp_dst: field(16, 16, { requires: udp }),
  sctp_src: field(17, 16, { requires: sctp }),
  sctp_dst: field(18, 16, { requires: sctp }),
  icmp_type: field(19, 8, { exact: true, requires: icmp4 }),
  icmp_code: field(20, 8, { exact: true, requires: icmp4 }),
  icmpv6_type: field(29, 8, { exact: true, requires: icmp6 }),
  icmpv6_code: field(30, 8, { exact: true, requires: icmp6 }),
  nd_reserved: field(1, 32, { class: oxmClass.ericsson, exact: true, requires: nd }),
  nd_target: field(31, 128, { requires: nd, format: "ipv6" }),
  nd_options_type: field(2, 8, { class: oxmClass.ericsson, exact: true, requires: nd }),
  nd_sll: field(32, 48, { requires: ndSolicit, format: "ethernet" }),
  nd_tll: field(33, 48, { requires: ndAdvert, format: "ethernet" }),
  arp_op: field(21, 16, { exact: true, requires: [arp] }),
  arp_spa: field(22, 32, { requires: [arp], format: "ipv4" }),
  arp_tpa: field(23, 32, { requires: [arp], format: "ipv4" }),
  arp_sha: field(24, 48, { requires: [arp], format: "ethernet" }),
  arp_tha: field(25, 48, { requires: [arp], format: "ethernet" }),
  tun_id: field(38, 64, { format: "hexadecimal" }),
  tun_flags: field(104, 1, { ...nxm1, sizeBytes: 2, format: "tunnel-flags" }),
  tun_src: field(31, 32, { ...nxm1, format: "ipv4" }),
  tun_dst: field(32, 32, { ...nxm1, format: "ipv4" }),
  tun_ipv6_src: field(109, 128, { ...nxm1, format: "ipv6" }),
  tun_ipv6_dst: field(110, 128, { ...nxm1, format: "ipv6" }),
  tun_gbp_id: field(38, 16, nxm1),
  tun_gbp_flags: field(39, 8, register),
  reg0: field(0, 32, register),
  reg1: field(1, 32, register),
  reg2: field(2, 32, register),
  reg3: field(3, 32, register),
  reg4: field(4, 32, register),
  reg5: field(5, 32, register),
  reg6: field(6, 32, register),
  reg7: field(7, 32, register),
  reg8: field(8, 32, register),
  reg9: field(9, 32, register),
  reg10: field(10, 32, register),
  reg11: field(11, 32, register),
  reg12: field(12, 32, register),
  reg13: field(13, 32, register),
  reg14: field(14, 32, register),
  reg15: field(15, 32, register),
  xreg0: field(0, 64, wideRegister),
  xreg1: field(1, 64, wideRegister),
  xreg2: field(2, 64, wideRegister),
  xreg3: field(3, 64, wideRegister),
  xreg4: field(4, 64, wideRegister),
  xreg5: field(5, 64, wideRegister),
  xreg6: field(6, 64, wideRegister),
  xreg7: field(7, 64, wideRegister),
  xxreg0: field(111, 128, register),
  xxreg1: field(112, 128, register),
  xxreg2: field(113, 128, register),
  xxreg3: field(114, 128, register),
  pkt_mark: field(33, 32, register),
  ct_state: field(105, 8, { ...conntrack, sizeBytes: 4, format: "ct-state" }),
  ct_zone: field(106, 16, { ...conntrack, exact: true, format: "hexadecimal" }),
  ct_mark: field(107, 32, register),
  ct_label: field(108, 128, register),
  ct_nw_src: field(120, 32, { ...conntrack, requires: [ip4, tracked], format: "ipv4" }),
  ct_ipv6_src: field(122, 128, { ...conntrack, requires: [ip6, tracked], format: "ipv6" }),
  ct_nw_dst: field(121, 32, { ...conntrack, requires: [ip4, tracked], format: "ipv4" }),
  ct_ipv6_dst: field(123, 128, { ...conntrack, requires: [ip6, tracked], format: "ipv6" }),
  ct_nw_proto: field(119, 8, { ...conntrack, exact: true, requires: [ip, tracked] }),
  ct_tp_src: field(124, 16, { ...conntrack, requires: [ctPorts] }),
  ct_tp_dst: field(125, 16, { ...conntrack, requires: [ctPorts] }),
  metadata: field(2, 64, { format: "hexadecimal" }),
} as const satisfies Record<string, Field>;

export type KnownFieldName = keyof typeof fields;

/**
 * A field that this registry lacks: its OXM header in hexadecimal, without the mask bit, and for the experimenter class the
 * experimenter's number after another colon. So a match that someone else installed survives decoding.
 */
type UnknownFieldName = `oxm:${string}`;

export type FieldName = KnownFieldName | UnknownFieldName;

export function isKnownField(name: string): name is KnownFieldName {
  return Object.hasOwn(fields, name);
}

/** Every name of the registry, in its order. */
export const fieldNames: readonly KnownFieldName[] = Object.keys(fields).filter(isKnownField);

const ranks = new Map<string, number>(fieldNames.map((name, index) => [name, index]));

/** Position in the registry; unknown fields come after all others. */
export function fieldRank(name: FieldName): number {
  return ranks.get(name) ?? ranks.size;
}
