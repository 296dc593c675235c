// How a set is kept where most hold one or two values: nothing for none, one value as it is, some in a list, many in a
// Set. A Set of one costs several times as much. Values must be neither lists nor sets; their order is of no meaning.

export type Few<Value> = undefined | Value | readonly Value[] | Set<Value>;

/** Up to this many stand in a list. */
export const fewAtMost = 8;

export function isList<Value>(few: Few<Value>): few is readonly Value[] {
  return Array.isArray(few);
}

export function countOf<Value>(few: Few<Value>): number {
  if (few === undefined) return 0;
  if (few instanceof Set) return few.size;
  return isList(few) ? few.length : 1;
}

/** They must not be added or deleted while they are gone through. */
export function valuesOf<Value>(few: Few<Value>): Iterable<Value> {
  if (few === undefined) return none;
  if (few instanceof Set || isList(few)) return few;
  return [few];
}

const none: readonly never[] = [];

export function includes<Value>(few: Few<Value>, value: Value): boolean {
  if (few === undefined || few === value) return few !== undefined;
  if (few instanceof Set) return few.has(value);
  return isList(few) && few.includes(value);
}

/** The values and this one. A Set is changed in place, a list never. */
export function added<Value>(few: Few<Value>, value: Value): Few<Value> {
  if (few === undefined) return value;
  if (few instanceof Set) return few.add(value);
  if (includes(few, value)) return few;
  if (!isList(few)) return [few, value];
  // Copied to the exact size: a list that grows in place reserves room for sixteen more.
  return few.length < fewAtMost ? few.concat([value]) : new Set(few).add(value);
}

/** The values without this one. A Set is changed in place, a list never. */
export function without<Value>(few: Few<Value>, value: Value): Few<Value> {
  if (few === value) return undefined;
  if (few instanceof Set) few.delete(value);
  return isList(few) ? unwrapped<Value>(few.filter((each) => each !== value)) : few;
}

/** A list as it is kept: one value stands alone. */
export function unwrapped<Value>(list: readonly Value[]): undefined | Value | readonly Value[] {
  return list.length > 1 ? list : list[0];
}
