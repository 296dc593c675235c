// Runs of addresses, written as a CIDR or as its first and last address: 192.0.2.0/28, 192.0.2.10-192.0.2.20.
import {
  type Address,
  type Family,
  formatAddress,
  tryParseAddress,
  tryParsePrefix,
  widthOf,
} from "./address.ts";

export interface AddressRange {
  readonly family: Family;
  /** Both are in it. */
  readonly first: bigint;
  readonly last: bigint;
}

/** `undefined` for text that is no range. Host bits of a CIDR may be set. */
export function tryParseRange(text: string): AddressRange | undefined {
  const prefix = tryParsePrefix(text);
  if (prefix !== undefined) {
    const { family, bits, length } = prefix;
    return { family, first: bits, last: bits + (1n << BigInt(widthOf(family) - length)) - 1n };
  }
  const [from, to, ...rest] = text.split("-").map((each) => tryParseAddress(each.trim()));
  if (from === undefined || to === undefined || rest.length > 0) return undefined;
  if (from.family !== to.family || from.bits > to.bits) return undefined;
  return { family: from.family, first: from.bits, last: to.bits };
}

export function rangeContains(range: AddressRange, { family, bits }: Address): boolean {
  return range.family === family && range.first <= bits && bits <= range.last;
}

export function rangesOverlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** How many addresses there are in it. */
export function rangeLength({ first, last }: AddressRange): bigint {
  return last - first + 1n;
}

export function formatRange({ family, first, last }: AddressRange): string {
  const [from, to] = [first, last].map((bits) => formatAddress({ family, bits }));
  return `${from}-${to}`;
}
