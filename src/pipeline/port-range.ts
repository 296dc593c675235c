/** Ports as a switch matches them: those that equal `value` in the bits of `mask`. */
export interface MaskedPort {
  readonly value: number;
  readonly mask: number;
}

/**
 * The fewest masked ports that are together the ports `from` to `to`, both included, at most 30. Anything but integers
 * from 0 to 65535 in order gives none.
 */
export function coverPortRange(from: number, to: number): readonly MaskedPort[] {
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to > 0xffff) return [];
  const covers: MaskedPort[] = [];
  let next = from;
  while (next <= to) {
    // The largest block that starts here: aligned to its own size, and not past the end.
    let blockLength = next === 0 ? 0x10000 : next & -next;
    while (next + blockLength - 1 > to) blockLength /= 2;
    covers.push({ value: next, mask: 0x10000 - blockLength });
    next += blockLength;
  }
  return covers;
}
