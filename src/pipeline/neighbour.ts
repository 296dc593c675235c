// Address resolution is answered in the switch: every target is at the router. So endpoints route everything, even to
// their neighbours, and no broadcast leaves its port. ARP: RFC 826; neighbour discovery: RFC 4861 sections 4.3 and 4.4.
import type { Action, Flow } from "../openflow/flow.ts";
import { reservedPorts } from "../openflow/port-number.ts";
import {
  type KnownMatch,
  move,
  setField,
  subfield,
  whereField,
  whereRegister,
  wholeField,
} from "./flow-builder.ts";
import { plumb, refuse } from "./plumbing.ts";
import { origins } from "./registers.ts";

/** The one MAC that every endpoint sees behind every address; locally administered. */
export const routerMac = 0x0a_15_0b_a2_00_01n;

const arp = 0x0806;
const ipv4 = 0x0800;
const ipv6 = 0x86dd;
const icmpv6 = 58;
/** Router solicitation to redirect: RFC 4861 section 4. */
const discoveryTypes = [133, 134, 135, 136, 137] as const;
const solicitation = 135;
const advertisement = 136;
/** Source and target link-layer address: RFC 4861 section 4.6.1. */
const sourceOption = 1;
const targetOption = 2;
/** Router, solicited, override: RFC 4861 section 4.4. */
const advertisementFlags = 0xe0000000;
/** A packet that no router has forwarded: RFC 4861 section 7.1. */
const unroutedHopLimit = 255;

const back: Action = { kind: "output", port: reservedPorts.inPort };

/** Matches of a neighbour discovery message of the type. */
export function whereDiscovery(type: number): readonly KnownMatch[] {
  return [
    whereField("eth_type", ipv6),
    whereField("ip_proto", icmpv6),
    whereField("icmpv6_type", type),
  ];
}

function answerArp(): Flow {
  return plumb({
    table: "Neighbour",
    priority: 200,
    match: [whereField("eth_type", arp), whereField("arp_op", 1)],
    actions: [
      setField("arp_op", 2),
      move(wholeField("eth_src"), wholeField("eth_dst")),
      setField("eth_src", routerMac),
      move(wholeField("arp_sha"), wholeField("arp_tha")),
      setField("arp_sha", routerMac),
      // The register only holds the target while the two addresses change places.
      move(wholeField("arp_tpa"), subfield("argument4")),
      move(wholeField("arp_spa"), wholeField("arp_tpa")),
      move(subfield("argument4"), wholeField("arp_spa")),
      back,
    ],
  });
}

/**
 * The target's link-layer address may be set only where the type says advertisement, hence a second table. Without a
 * source option there is no room for the answer's option: such a solicitation is dropped, as is one without a source
 * address, which asks whether its sender's own address is taken (RFC 4862 section 5.4).
 */
function answerSolicitation(): Flow[] {
  return [
    plumb({
      table: "Neighbour",
      priority: 200,
      match: [
        ...whereDiscovery(solicitation),
        whereField("icmpv6_code", 0),
        whereField("nw_ttl", unroutedHopLimit),
        whereField("nd_options_type", sourceOption),
      ],
      actions: [
        move(wholeField("eth_src"), wholeField("eth_dst")),
        setField("eth_src", routerMac),
        move(wholeField("ipv6_src"), wholeField("ipv6_dst")),
        move(wholeField("nd_target"), wholeField("ipv6_src")),
        setField("icmpv6_type", advertisement),
        setField("nd_reserved", advertisementFlags),
        setField("nd_options_type", targetOption),
      ],
      next: "NeighbourAnswer",
    }),
    plumb({
      table: "NeighbourAnswer",
      priority: 100,
      match: whereDiscovery(advertisement),
      actions: [setField("nd_tll", routerMac), back],
    }),
  ];
}

function drop(priority: number, match: readonly KnownMatch[]): Flow {
  return refuse("neighbourMessage", { table: "Neighbour", priority, match });
}

/** Answers, then what is addressed to the router; everything else is dropped. */
export function renderNeighbour(): Flow[] {
  // The guard of its port has seen where a local packet is from.
  const routed = [ipv4, ipv6].flatMap((etherType) => {
    const match = [whereField("eth_type", etherType), whereField("eth_dst", routerMac)];
    const local = [...match, whereRegister("origin", origins.local)];
    return [
      plumb({ table: "Neighbour", priority: 110, match: local, next: "Conntrack" }),
      plumb({ table: "Neighbour", priority: 100, match, next: "Sender" }),
    ];
  });
  return [
    answerArp(),
    drop(150, [whereField("eth_type", arp)]),
    drop(300, [...whereDiscovery(solicitation), whereField("ipv6_src", 0)]),
    ...answerSolicitation(),
    ...discoveryTypes.map((type) => drop(150, whereDiscovery(type))),
    ...routed,
  ];
}
