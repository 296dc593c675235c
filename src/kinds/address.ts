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

/** Addresses that are no place to reach anything at, with upstream's words for them. */
const specialPrefixes = [
  { prefix: "0.0.0.0/32", rule: "may not be unspecified (0.0.0.0 or ::)" },
  { prefix: "::/128", rule: "may not be unspecified (0.0.0.0 or ::)" },
  { prefix: "127.0.0.0/8", rule: "may not be in the loopback range (127.0.0.0/8, ::1/128)" },
  { prefix: "::1/128", rule: "may not be in the loopback range (127.0.0.0/8, ::1/128)" },
  {
    prefix: "169.254.0.0/16",
    rule: "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
  },
  { prefix: "fe80::/10", rule: "may not be in the link-local range (169.254.0.0/16, fe80::/10)" },
  {
    prefix: "224.0.0.0/24",
    rule: "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
  },
  {
    prefix: "ff02::/10",
    rule: "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
  },
].map(({ prefix, rule }) => ({ prefix: parsePrefix(prefix), rule }));

/** As `validateAddress`, and no unspecified, loopback or link-local one either. */
export function validateOrdinaryAddress(text: string, path: string): FieldError[] {
  const errors = validateAddress(text, path);
  const address = tryParseAddress(text);
  if (errors.length > 0 || address === undefined) return errors;
  return specialPrefixes
    .filter(({ prefix }) => prefixContains(prefix, address))
    .map(({ rule }) => invalid(path, text, rule));
}
