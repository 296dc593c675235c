// 48-bit MAC addresses (IEEE 802 EUI-48).
import { AddressError } from "./errors.ts";

/** A MAC as one unsigned number below 2^48, the first octet most significant. @throws {AddressError} */
export function parseMac(text: string): bigint {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
    throw new AddressError(`expected a MAC address such as 0a:00:00:00:00:01, got "${text}"`);
  }
  return BigInt(`0x${text.replaceAll(":", "")}`);
}

export function formatMac(mac: bigint): string {
  return mac
    .toString(16)
    .padStart(12, "0")
    .replaceAll(/(..)(?=.)/g, "$1:");
}
