// Transport protocols that policies name, with their numbers (IANA protocol numbers).

export const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** A protocol with ports, spelt as Kubernetes spells it. */
export type PortProtocol = keyof typeof protocolNumbers;

/** ICMP means ICMPv4 or ICMPv6, whichever goes with the packet's addresses. */
export type Protocol = PortProtocol | "ICMP";

export function isPortProtocol(text: string): text is PortProtocol {
  return Object.hasOwn(protocolNumbers, text);
}
