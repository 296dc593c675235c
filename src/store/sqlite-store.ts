import type { LeaseClock } from "./clock.ts";
import { EmbeddedStore } from "./embedded-store.ts";
import { SqliteJournal } from "./sqlite-journal.ts";
import type { Store } from "./store.ts";

/**
 * A store kept in a SQLite file (created when missing); its state must fit in memory. One process at a time.
 * @throws {UnavailableError} when the file is in use, of another version or not a database
 */
export function openSqliteStore(path: string, options: { clock?: LeaseClock } = {}): Store {
  return new EmbeddedStore(new SqliteJournal(path), options.clock);
}
