// IPv4 and IPv6 addresses and prefixes. Text forms: RFC 4291 section 2.2, output as RFC 5952 section 4.
import { AddressError } from "./errors.ts";

export type Family = 4 | 6;

/** `bits` holds the address as one unsigned number, the first octet most significant. */
export interface Address {
  readonly family: Family;
  readonly bits: bigint;
}

/** All bits of `bits` below `length` are zero. */
export interface Prefix {
  readonly family: Family;
  readonly bits: bigint;
  /** Leading bits that count: 0 to 32 or 0 to 128. */
  readonly length: number;
}

/** Width of an address of the family, in bits. */
export function widthOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    // A leading zero is refused, as Kubernetes refuses it: some parsers read it as octal.
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return BigInt(value);
}

/** Groups of 16 bits; the last two may be written as IPv4 where the address ends here. */
function parseGroups(text: string, endsHere: boolean): bigint[] | undefined {
  if (text === "") return [];
  const groups: bigint[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const v4 = endsHere && index === parts.length - 1 ? parseV4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push(v4 >> 16n, v4 & 0xffffn);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}

function parseV6(text: string): bigint | undefined {
  const [before = "", after, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  const head = parseGroups(before, after === undefined);
  const tail = parseGroups(after ?? "", true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (after === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<bigint>(missing).fill(0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

/** @throws {AddressError} when the text is no IPv4 or IPv6 address; zones (`%eth0`) are refused. */
export function parseAddress(text: string): Address {
  const v6 = text.includes(":");
  const bits = v6 ? parseV6(text) : parseV4(text);
  if (bits === undefined) throw new AddressError(`expected an IPv4 or IPv6 address, got "${text}"`);
  return { family: v6 ? 6 : 4, bits };
}

/** `undefined` where `parseAddress` throws. */
export function tryParseAddress(text: string): Address | undefined {
  const bits = text.includes(":") ? parseV6(text) : parseV4(text);
  return bits === undefined ? undefined : { family: text.includes(":") ? 6 : 4, bits };
}

function formatV6(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number((bits >> BigInt(112 - 16 * i)) & 0xffffn),
  );
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}

export function formatAddress(address: Address): string {
  if (address.family === 6) return formatV6(address.bits);
  return [24n, 16n, 8n, 0n].map((shift) => (address.bits >> shift) & 0xffn).join(".");
}

/** A number whose leading `length` bits are ones. */
export function prefixMask(family: Family, length: number): bigint {
  const width = widthOf(family);
  return ((1n << BigInt(length)) - 1n) << BigInt(width - length);
}

/** The prefix of that length around an address; host bits are cleared. */
export function prefixOf(address: Address, length: number): Prefix {
  return {
    family: address.family,
    bits: address.bits & prefixMask(address.family, length),
    length,
  };
}

/** `undefined` where `parsePrefix` throws. */
export function tryParsePrefix(text: string): Prefix | undefined {
  const [base = "", length = "", ...rest] = text.split("/");
  const address = tryParseAddress(base);
  if (address === undefined || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(length))
    return undefined;
  return Number(length) > widthOf(address.family) ? undefined : prefixOf(address, Number(length));
}

/** Host bits may be set and are cleared, as Kubernetes accepts them. @throws {AddressError} */
export function parsePrefix(text: string): Prefix {
  const prefix = tryParsePrefix(text);
  if (prefix === undefined) {
    throw new AddressError(`expected a CIDR such as 10.0.0.0/8 or 2001:db8::/64, got "${text}"`);
  }
  return prefix;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix)}/${prefix.length}`;
}

/** Whether every address of `inner` lies in `outer`. */
export function prefixContains(outer: Prefix, inner: Prefix | Address): boolean {
  if (outer.family !== inner.family) return false;
  if ("length" in inner && inner.length < outer.length) return false;
  return (inner.bits & prefixMask(outer.family, outer.length)) === outer.bits;
}
