import type { LeaseClock } from "./clock.ts";
import { EmbeddedStore } from "./embedded-store.ts";
import { makeVolatileJournal } from "./journal.ts";
import type { Store } from "./store.ts";

/**
 * A store that ends with the process. `firstRevision` should be above what an earlier store reached, for the sake of
 * clients that outlive it: what they know is then recognised as old.
 */
export function openMemoryStore(
  options: { firstRevision?: number; clock?: LeaseClock } = {},
): Store {
  return new EmbeddedStore(makeVolatileJournal(options.firstRevision ?? 1), options.clock);
}
