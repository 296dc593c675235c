// A UDP datagram in an Ethernet frame: IEEE 802.3, RFC 791, RFC 8200, RFC 768.
import { type Address, formatAddress } from "../net/address.ts";
import { protocolNumbers } from "../net/protocol.ts";

export interface UdpFrame {
  /** Addresses in canonical text form. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const ethernetSize = 14;
const udpSize = 8;

function addressIn(view: DataView, offset: number, family: Address["family"]): string {
  const words = family === 4 ? 1 : 4;
  let bits = 0n;
  for (let word = 0; word < words; word++) {
    bits = (bits << 32n) | BigInt(view.getUint32(offset + 4 * word));
  }
  return formatAddress({ family, bits });
}

/** Where UDP begins, and the addresses; `undefined` for other packets and for fragments. */
function readNetwork(view: DataView) {
  if (view.byteLength < ethernetSize + 20) return undefined;
  const etherType = view.getUint16(12);
  if (etherType === 0x0800) {
    const headerSize = (view.getUint8(ethernetSize) & 0x0f) * 4;
    // More fragments, or an offset.
    const isFragment = (view.getUint16(ethernetSize + 6) & 0x3fff) !== 0;
    if (isFragment || view.getUint8(ethernetSize + 9) !== protocolNumbers.UDP) return undefined;
    return {
      udp: ethernetSize + headerSize,
      source: addressIn(view, ethernetSize + 12, 4),
      destination: addressIn(view, ethernetSize + 16, 4),
    };
  }
  if (etherType !== 0x86dd || view.byteLength < ethernetSize + 40) return undefined;
  if (view.getUint8(ethernetSize + 6) !== protocolNumbers.UDP) return undefined;
  return {
    udp: ethernetSize + 40,
    source: addressIn(view, ethernetSize + 8, 6),
    destination: addressIn(view, ethernetSize + 24, 6),
  };
}

/** `undefined` for what is no whole UDP datagram. */
export function decodeUdpFrame(frame: Uint8Array): UdpFrame | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const network = readNetwork(view);
  if (network === undefined || frame.length < network.udp + udpSize) return undefined;
  const { udp, source, destination } = network;
  const size = view.getUint16(udp + 4);
  if (size < udpSize || frame.length < udp + size) return undefined;
  return {
    source,
    destination,
    sourcePort: view.getUint16(udp),
    destinationPort: view.getUint16(udp + 2),
    payload: frame.subarray(udp + udpSize, udp + size),
  };
}
