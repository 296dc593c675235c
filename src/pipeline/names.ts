/** The keys of a record that is a list, in its order. */
export function namesOf<Name extends string>(list: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(list).filter((name): name is Name => Object.hasOwn(list, name));
}
