import type { Facts } from "./fact.ts";

/** The tunnel's port number; of several the one with the least name, so that the order of arrival does not matter. */
export function tunnelPort(facts: Facts): number | undefined {
  return [...facts.all("tunnel")].toSorted((a, b) => (a.id < b.id ? -1 : 1))[0]?.ofport;
}
