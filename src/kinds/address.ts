// Addresses and CIDRs in objects.
import { invalid } from "../apimachinery/field-error.ts";
import type { FieldError } from "../apimachinery/kind.ts";
import {
  parsePrefix,
  prefixContains,
  tryParseAddress,
  type Address,
  type Prefix,
} from "../net/address.ts";
import { AddressError } from "../net/errors.ts";

const mappedV4: Prefix = parsePrefix("::ffff:0:0/96");

/** `undefined` for text that is no CIDR. Host bits may be set. */
export function tryParsePrefix(text: string): Prefix | undefined {
  try {
    return parsePrefix(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

export function validateCidr(text: string, path: string): FieldError[] {
  const prefix = tryParsePrefix(text);
  if (prefix === undefined) {
    const form = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    return [invalid(path, text, form)];
  }
  // The two families of such an address match different packets: it is refused before it can mean either.
  return prefixContains(mappedV4, prefix)
    ? [invalid(path, text, "must not have an IPv4-mapped IPv6 address")]
    : [];
}

export function validateAddress(text: string, path: string): FieldError[] {
  const address: Address | undefined = tryParseAddress(text);
  if (address === undefined) {
    const form = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    return [invalid(path, text, form)];
  }
  return prefixContains(mappedV4, address)
    ? [invalid(path, text, "must not be an IPv4-mapped IPv6 address")]
    : [];
}
