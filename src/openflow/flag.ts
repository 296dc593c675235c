// Bit sets on the wire as lists of names.

/** A name for each bit that has one. */
export type FlagBits<Name extends string> = Readonly<Record<Name, number>>;

export function encodeFlags<Name extends string>(
  bits: FlagBits<Name>,
  names: readonly Name[] | undefined,
): number {
  let value = 0;
  for (const name of names ?? []) value |= bits[name];
  return value >>> 0;
}

/** In the order of the table. Bits without a name are dropped. */
export function decodeFlags<Name extends string>(bits: FlagBits<Name>, value: number): Name[] {
  const names: Name[] = [];
  for (const name in bits) if ((value & bits[name]) !== 0) names.push(name);
  return names;
}

/** Names for the values of a field that takes one of several. */
export type Codes<Name extends string> = Readonly<Record<Name, number>>;

/** The name of a value, `undefined` when the table lacks it. */
export function nameOf<Name extends string>(codes: Codes<Name>, value: number): Name | undefined {
  for (const name in codes) if (codes[name] === value) return name;
  return undefined;
}
