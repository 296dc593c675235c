// Names of addresses: RFC 1035 section 3.5, RFC 3596 section 2.5.
import { type Prefix, widthOf } from "../net/address.ts";

const trees = [
  { suffix: ".in-addr.arpa", family: 4, labelBits: 8, label: /^(0|[1-9]\d{0,2})$/, base: 10 },
  { suffix: ".ip6.arpa", family: 6, labelBits: 4, label: /^[0-9a-f]$/, base: 16 },
] as const;

/** The address, or the network, that a name in lower case stands for; `undefined` for every other name. */
export function parseReverseName(name: string): Prefix | undefined {
  const tree = trees.find(({ suffix }) => name.endsWith(suffix));
  if (tree === undefined) return undefined;
  const labels = name.slice(0, -tree.suffix.length).split(".").toReversed();
  const length = labels.length * tree.labelBits;
  const width = widthOf(tree.family);
  if (length > width) return undefined;
  let bits = 0n;
  for (const label of labels) {
    const value = Number.parseInt(label, tree.base);
    if (!tree.label.test(label) || value >= 2 ** tree.labelBits) return undefined;
    bits = (bits << BigInt(tree.labelBits)) | BigInt(value);
  }
  return { family: tree.family, bits: bits << BigInt(width - length), length };
}
