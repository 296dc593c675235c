// Port numbers: OpenFlow Switch Specification 1.5.1, section 7.2.1, ofp_port_no.

/** Reserved ports. Ordinary ones are below `max`. */
export const reservedPorts = {
  max: 0xffffff00,
  unset: 0xfffffff7,
  inPort: 0xfffffff8,
  table: 0xfffffff9,
  normal: 0xfffffffa,
  flood: 0xfffffffb,
  all: 0xfffffffc,
  controller: 0xfffffffd,
  local: 0xfffffffe,
  any: 0xffffffff,
} as const;

/** As ovs-ofctl spells them. */
const names = new Map<number, string>([
  [reservedPorts.unset, "UNSET"],
  [reservedPorts.inPort, "IN_PORT"],
  [reservedPorts.table, "TABLE"],
  [reservedPorts.normal, "NORMAL"],
  [reservedPorts.flood, "FLOOD"],
  [reservedPorts.all, "ALL"],
  [reservedPorts.controller, "CONTROLLER"],
  [reservedPorts.local, "LOCAL"],
  [reservedPorts.any, "ANY"],
]);

export function formatPort(port: number): string {
  return names.get(port) ?? String(port);
}

/** Nicira actions hold ports in 16 bits, as OpenFlow 1.0 did: the reserved ones keep their low half. */
export function encodePort16(port: number): number {
  if (port >= reservedPorts.max) return port & 0xffff;
  if (port < 0xff00) return port;
  throw new RangeError(`expected a port below 65280 or a reserved one, got ${port}`);
}

export function decodePort16(port: number): number {
  return port >= 0xff00 ? 0xffff0000 + port : port;
}
