// What somebody asks for in the annotations of a pod or its namespace, instead of any address of the namespace's.
import { type Address, type Prefix, tryParseAddress, tryParsePrefix } from "../net/address.ts";

export interface AddressRequest {
  /** Exactly these, at most one of each family; empty for any. */
  readonly addresses: readonly Address[];
  /** Name of the network, in the pod's namespace. */
  readonly network: string | undefined;
  /** Parts of the domain's pools; `undefined` for all of them. */
  readonly pools: readonly Prefix[] | undefined;
  /** Whether the addresses wait for the next pod of the name, and for how long: as long as the owner exists, or a time. */
  readonly keep: { readonly seconds: number | undefined } | undefined;
}

export type AddressAnnotations = Readonly<Record<string, string>>;

export const annotation = {
  domain: "isobar.io/domain",
  addresses: "isobar.io/addresses",
  network: "isobar.io/network",
  pools: "isobar.io/pools",
  keep: "isobar.io/keep-addresses",
} as const;

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const longestSeconds = 365 * 86_400;

/** A pod's annotations go before its namespace's. The problems say what was expected and what came. */
export function parseAddressRequest(
  pod: AddressAnnotations,
  namespace: AddressAnnotations,
): { readonly request: AddressRequest; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const read = <T>(
    name: string,
    text: string | undefined,
    parse: (text: string) => T | undefined,
    expected: string,
  ): T | undefined => {
    if (text === undefined) return undefined;
    const value = parse(text.trim());
    if (value === undefined) problems.push(`${name}: expected ${expected}, got "${text}"`);
    return value;
  };
  const { addresses, network, pools, keep } = annotation;
  const request: AddressRequest = {
    addresses:
      read(
        addresses,
        pod[addresses],
        parseAddresses,
        "addresses, at most one of each family, such as 10.128.0.7,fd00::7",
      ) ?? [],
    network: read(network, pod[network] ?? namespace[network], parseName, "the name of a network"),
    pools: read(
      pools,
      pod[pools] ?? namespace[pools],
      parsePools,
      "CIDRs that do not overlap, such as 10.128.0.0/16,fd00:128::/56",
    ),
    keep: read(
      keep,
      pod[keep] ?? namespace[keep],
      parseKeep,
      '"owner" or a time of at most a year, such as 90s, 10m, 24h or 7d',
    ),
  };
  return { request, problems };
}

function parseAddresses(text: string): readonly Address[] | undefined {
  const addresses = text.split(",").map((part) => tryParseAddress(part.trim()));
  const known = addresses.filter((address) => address !== undefined);
  const families = new Set(known.map(({ family }) => family));
  return known.length === addresses.length && families.size === known.length ? known : undefined;
}

function parseName(text: string): string | undefined {
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text) ? text : undefined;
}

function parsePools(text: string): readonly Prefix[] | undefined {
  const prefixes = text.split(",").map((part) => tryParsePrefix(part.trim()));
  const known = prefixes.filter((prefix) => prefix !== undefined);
  return known.length === prefixes.length ? known : undefined;
}

function parseKeep(text: string): { readonly seconds: number | undefined } | undefined {
  if (text === "owner") return { seconds: undefined };
  const seconds = parseSeconds(text) ?? 0;
  return seconds > 0 ? { seconds } : undefined;
}

/** A time of at most a year, such as 0s, 90s, 10m, 24h or 7d. */
export function parseSeconds(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (unitSeconds[match?.[2] ?? ""] ?? Number.NaN);
  return seconds <= longestSeconds ? seconds : undefined;
}
