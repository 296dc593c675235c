// What is said about who has an address, as whole Ethernet frames. ARP: RFC 826 and RFC 5227; neighbour discovery: RFC 4861 sections
// 4.3 and 4.4.
import { type Address, type Family, formatAddress, tryParseAddress } from "../../net/address.ts";

/** MAC addresses are 6 bytes, as text `0a:00:00:00:00:01`. */
export interface NeighbourQuestion {
  readonly kind: "question";
  readonly family: Family;
  /** The address that is looked for. */
  readonly target: string;
  /** Who asks; `undefined` for one that has no address yet and only asks whether somebody else has it. */
  readonly asker: string | undefined;
  readonly askerMac: string;
}

/** Somebody says that he has the address, asked or not. */
export interface NeighbourClaim {
  readonly kind: "claim";
  readonly family: Family;
  readonly target: string;
  readonly mac: string;
}

export type NeighbourMessage = NeighbourQuestion | NeighbourClaim;

const ethernetSize = 14;
const arpSize = 28;
const arp = 0x0806;
const ipv6 = 0x86dd;
const broadcast = "ff:ff:ff:ff:ff:ff";
const icmpv6 = 58;
const solicitation = 135;
const advertisement = 136;
const ipv6Size = 40;
const messageSize = 24;
const optionSize = 8;
const targetOption = 2;
/** RFC 4861 section 4.4. */
const solicitedFlag = 0x40;
const overrideFlag = 0x20;
/** Ethernet, IPv4, sizes of their addresses, and the operation's first byte. */
const arpHead = [0, 1, 8, 0, 6, 4, 0];
/** Version, class and flow label, and the first byte of the payload's size. */
const ipv6Head = [0x60, 0, 0, 0, 0];
const allNodes = "ff02::1";
const allNodesMac = "33:33:00:00:00:01";

function macText(frame: Uint8Array, at: number): string {
  return Array.from(frame.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(
    ":",
  );
}

function macBytes(text: string): number[] {
  return text.split(":").map((byte) => Number.parseInt(byte, 16));
}

function addressText(frame: Uint8Array, at: number, family: Family): string {
  const bytes = frame.subarray(at, at + (family === 4 ? 4 : 16));
  const bits = bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return formatAddress({ family, bits });
}

function addressBytes({ family, bits }: Address): number[] {
  const length = family === 4 ? 4 : 16;
  return Array.from({ length }, (_, index) =>
    Number((bits >> BigInt(8 * (length - 1 - index))) & 0xffn),
  );
}

function parsed(text: string, family: Family): Address {
  const address = tryParseAddress(text);
  return address?.family === family ? address : { family, bits: 0n };
}

/** `undefined` for everything else than a question or a claim. */
export function decodeNeighbour(frame: Uint8Array): NeighbourMessage | undefined {
  if (frame.length < ethernetSize) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const type = view.getUint16(12);
  if (type === arp) return decodeArp(frame, view);
  return type === ipv6 ? decodeDiscovery(frame, view) : undefined;
}

function decodeArp(frame: Uint8Array, view: DataView): NeighbourMessage | undefined {
  const at = ethernetSize;
  if (frame.length < at + arpSize) return undefined;
  // Ethernet and IPv4, with addresses of their sizes.
  if (view.getUint32(at) !== 0x0001_0800 || view.getUint16(at + 4) !== 0x0604) return undefined;
  const operation = view.getUint16(at + 6);
  const mac = macText(frame, at + 8);
  const sender = addressText(frame, at + 14, 4);
  const target = addressText(frame, at + 24, 4);
  // Whoever asks for his own address says that he has it.
  if (operation === 2 || sender === target) {
    return { kind: "claim", family: 4, target: sender, mac };
  }
  if (operation !== 1) return undefined;
  const asker = sender === "0.0.0.0" ? undefined : sender;
  return { kind: "question", family: 4, target, asker, askerMac: mac };
}

function decodeDiscovery(frame: Uint8Array, view: DataView): NeighbourMessage | undefined {
  const at = ethernetSize + ipv6Size;
  if (frame.length < at + messageSize || view.getUint8(ethernetSize + 6) !== icmpv6) {
    return undefined;
  }
  // A packet that no router has forwarded: RFC 4861 section 7.1.
  if (view.getUint8(ethernetSize + 7) !== 255 || view.getUint8(at + 1) !== 0) return undefined;
  const type = view.getUint8(at);
  const target = addressText(frame, at + 8, 6);
  if (type === solicitation) {
    const sender = addressText(frame, ethernetSize + 8, 6);
    const asker = sender === "::" ? undefined : sender;
    return { kind: "question", family: 6, target, asker, askerMac: macText(frame, 6) };
  }
  if (type !== advertisement) return undefined;
  return { kind: "claim", family: 6, target, mac: optionMac(frame, view, at + messageSize) };
}

/** The target's MAC; the frame's where the message has none. */
function optionMac(frame: Uint8Array, view: DataView, start: number): string {
  for (let at = start; at + optionSize <= frame.length;) {
    const size = view.getUint8(at + 1) * 8;
    if (view.getUint8(at) === targetOption && size === optionSize) return macText(frame, at + 2);
    if (size === 0) break;
    at += size;
  }
  return macText(frame, 6);
}

/** That `mac` has the address, to the one who asked. */
export function encodeAnswer(question: NeighbourQuestion, mac: string): Uint8Array {
  const { family, target, asker, askerMac } = question;
  if (family === 4) {
    return encodeArp(2, { to: askerMac, mac, sender: target, targetMac: askerMac, target: asker });
  }
  // Somebody without an address is answered to everybody: RFC 4861 section 7.2.4.
  const flags = overrideFlag | (asker === undefined ? 0 : solicitedFlag);
  const toMac = asker === undefined ? allNodesMac : askerMac;
  return encodeAdvertisement({ toMac, to: asker ?? allNodes, mac, target, flags });
}

/** That `mac` has the address, to everybody, asked by nobody: for IPv4 in both forms that hosts are known to heed. */
export function encodeAnnouncement(target: string, mac: string): readonly Uint8Array[] {
  if (target.includes(":")) {
    const to = { toMac: allNodesMac, to: allNodes };
    return [encodeAdvertisement({ ...to, mac, target, flags: overrideFlag })];
  }
  return [1, 2].map((operation) =>
    encodeArp(operation, { to: broadcast, mac, sender: target, targetMac: broadcast, target }),
  );
}

function encodeArp(
  operation: number,
  parts: {
    readonly to: string;
    readonly mac: string;
    readonly sender: string;
    readonly targetMac: string;
    readonly target: string | undefined;
  },
): Uint8Array {
  const { to, mac, sender, targetMac, target = "0.0.0.0" } = parts;
  return Uint8Array.from([
    ...macBytes(to),
    ...macBytes(mac),
    arp >> 8,
    arp & 0xff,
    ...arpHead,
    operation,
    ...macBytes(mac),
    ...addressBytes(parsed(sender, 4)),
    ...macBytes(targetMac),
    ...addressBytes(parsed(target, 4)),
  ]);
}

function encodeAdvertisement(parts: {
  readonly toMac: string;
  readonly to: string;
  readonly mac: string;
  readonly target: string;
  readonly flags: number;
}): Uint8Array {
  const { toMac, to, mac, target, flags } = parts;
  const [source, destination] = [addressBytes(parsed(target, 6)), addressBytes(parsed(to, 6))];
  const body = [
    advertisement,
    ...new Uint8Array(3),
    flags,
    ...new Uint8Array(3),
    ...source,
    targetOption,
    1,
    ...macBytes(mac),
  ];
  const size = body.length;
  const sum = checksum([...source, ...destination, 0, 0, 0, size, 0, 0, 0, icmpv6, ...body]);
  body[2] = sum >> 8;
  body[3] = sum & 0xff;
  return Uint8Array.from([
    ...macBytes(toMac),
    ...macBytes(mac),
    ipv6 >> 8,
    ipv6 & 0xff,
    ...ipv6Head,
    size,
    icmpv6,
    255,
    ...source,
    ...destination,
    ...body,
  ]);
}

/** RFC 1071, over an even number of bytes. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
