// Matches and field values as text: ovs-fields(7).
import { formatAddress } from "../net/address.ts";
import { formatMac } from "../net/mac.ts";
import { type FieldFormat, type FieldName, fields, isKnownField } from "./field.ts";
import type { Match, Subfield } from "./flow.ts";
import { sortMatch } from "./match.ts";
import { formatPort } from "./port-number.ts";

/** Names from bit 0 upwards. */
const flagNames = {
  "ct-state": ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"],
  "tcp-flags": ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"],
  "tunnel-flags": ["oam"],
} as const;

const fragmentNames = new Map<string, string>([
  ["0/3", "no"],
  ["1/3", "first"],
  ["3/3", "later"],
  ["0/1", "no"],
  ["1/1", "yes"],
  ["0/2", "not_later"],
  ["2/2", "later"],
]);

function hex(value: bigint): string {
  return value === 0n ? "0" : `0x${value.toString(16)}`;
}

/** Leading ones followed by zeros only; -1 for any other mask. */
function prefixLength(mask: bigint, width: number): number {
  const zeros = (1n << BigInt(width)) - 1n - mask;
  return (zeros & (zeros + 1n)) === 0n ? width - zeros.toString(2).replace("0", "").length : -1;
}

function formatPlain(value: bigint, format: FieldFormat): string {
  switch (format) {
    case "decimal":
      return String(value);
    case "ethernet":
      return formatMac(value);
    case "ipv4":
      return formatAddress({ family: 4, bits: value });
    case "ipv6":
      return formatAddress({ family: 6, bits: value });
    case "port":
      return formatPort(Number(value));
    case "hexadecimal":
    case "frag":
    case "ct-state":
    case "tcp-flags":
    case "tunnel-flags":
      return hex(value);
  }
}

function formatFlags(value: bigint, mask: bigint, names: readonly string[]): string | undefined {
  if (mask >> BigInt(names.length) !== 0n) return undefined;
  return names
    .filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n)
    .map((name) => (((value >> BigInt(names.indexOf(name))) & 1n) === 1n ? `+${name}` : `-${name}`))
    .join("");
}

function formatMasked(value: bigint, mask: bigint, format: FieldFormat): string {
  if (format === "ct-state" || format === "tcp-flags" || format === "tunnel-flags") {
    const flags = formatFlags(value, mask, flagNames[format]);
    if (flags !== undefined) return flags;
  }
  if (format === "ipv4" || format === "ipv6") {
    const length = prefixLength(mask, format === "ipv4" ? 32 : 128);
    if (length >= 0) return `${formatPlain(value, format)}/${length}`;
  }
  // Masks of decimal fields are read as bit patterns.
  const bits = format === "decimal" ? "hexadecimal" : format;
  return `${formatPlain(value, bits)}/${formatPlain(mask, bits)}`;
}

/** `value`, or `value/mask` where the mask leaves bits out. */
export function formatFieldValue(name: FieldName, value: bigint, mask: bigint | undefined): string {
  if (!isKnownField(name)) return hex(value) + (mask === undefined ? "" : `/${hex(mask)}`);
  const { format, bits } = fields[name];
  const allBits = (1n << BigInt(bits)) - 1n;
  if (format === "frag") {
    return (
      fragmentNames.get(`${value}/${mask ?? allBits}`) ?? `${hex(value)}/${hex(mask ?? allBits)}`
    );
  }
  if (mask === undefined || mask === allBits) return formatPlain(value, format);
  return formatMasked(value, mask, format);
}

/** `reg1[0..15]`, `reg1[3]` or, for a whole field, `reg1[]`. */
export function formatSubfield(subfield: Subfield): string {
  const { field, offset, bits } = subfield;
  if (isKnownField(field) && offset === 0 && bits === fields[field].bits) return `${field}[]`;
  return bits === 1 ? `${field}[${offset}]` : `${field}[${offset}..${offset + bits - 1}]`;
}

/** Fields in the registry's order, so that each follows its prerequisites; the empty text matches everything. */
export function formatMatch(match: Match): string {
  return sortMatch(match)
    .map(({ field, value, mask }) => `${field}=${formatFieldValue(field, value, mask)}`)
    .join(",");
}
