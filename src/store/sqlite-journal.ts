import { chmodSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { UnavailableError } from "./errors.ts";
import type { Change, Journal, JournalState, LeaseRecord } from "./journal.ts";

/** Raised with every change to the tables below. */
const schemaVersion = 1;

const schema = `
  CREATE TABLE change (
    revision INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT,
    create_revision INTEGER,
    version INTEGER,
    lease INTEGER,
    PRIMARY KEY (revision, key)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE lease (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE compaction (revision INTEGER NOT NULL) STRICT;
  INSERT INTO compaction VALUES (1);
  PRAGMA user_version = ${schemaVersion};
`;

/**
 * Keeps changes in a SQLite file, mode 0600, that no second process may open meanwhile. Write-ahead log with a sync at
 * every commit: what a call has acknowledged survives the loss of power.
 */
export class SqliteJournal implements Journal {
  readonly #database: DatabaseSync;
  readonly #insertChange: StatementSync;
  readonly #deleteChange: StatementSync;

  /** @throws {UnavailableError} when the file is in use, of another version or not a database */
  constructor(path: string) {
    this.#database = openDatabase(path);
    this.#insertChange = this.#database.prepare(
      `INSERT INTO change (revision, key, value, create_revision, version, lease) VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#deleteChange = this.#database.prepare(
      `DELETE FROM change WHERE revision = ? AND key = ?`,
    );
  }

  load(): JournalState {
    const database = this.#database;
    const compaction = database.prepare(`SELECT revision FROM compaction`).get();
    const leases = database.prepare(`SELECT id, ttl_ms FROM lease ORDER BY id`).all();
    const last = database.prepare(`SELECT seq FROM sqlite_sequence WHERE name = 'lease'`).get();
    return {
      compacted: Number(compaction?.["revision"]),
      changes: this.#changes(),
      leases: leases.map((row) => ({ id: Number(row["id"]), ttlMs: Number(row["ttl_ms"]) })),
      lastLease: Number(last?.["seq"] ?? 0),
    };
  }

  append(changes: readonly Change[]): void {
    this.#commit(() => {
      for (const { revision, key, entry } of changes) {
        this.#insertChange.run(
          revision,
          key,
          entry?.value ?? null,
          entry?.createRevision ?? null,
          entry?.version ?? null,
          entry?.lease ?? null,
        );
      }
    });
  }

  setCompacted(revision: number): void {
    this.#database.prepare(`UPDATE compaction SET revision = ?`).run(revision);
  }

  drop(changes: readonly Change[]): void {
    this.#commit(() => {
      for (const { revision, key } of changes) this.#deleteChange.run(revision, key);
    });
  }

  addLease({ id, ttlMs }: LeaseRecord): void {
    this.#database.prepare(`INSERT INTO lease (id, ttl_ms) VALUES (?, ?)`).run(id, ttlMs);
  }

  removeLease(id: number): void {
    this.#database.prepare(`DELETE FROM lease WHERE id = ?`).run(id);
  }

  close(): void {
    this.#database.close();
  }

  *#changes(): Generator<Change, void> {
    const rows = this.#database
      .prepare(
        `SELECT revision, key, value, create_revision, version, lease FROM change ORDER BY revision, key`,
      )
      .iterate();
    for (const row of rows) {
      const revision = Number(row["revision"]);
      const key = String(row["key"]);
      const value = row["value"];
      if (typeof value !== "string") {
        yield { revision, key, entry: undefined };
        continue;
      }
      const entry = {
        key,
        value,
        createRevision: Number(row["create_revision"]),
        modRevision: revision,
        version: Number(row["version"]),
      };
      const lease = row["lease"];
      yield { revision, key, entry: lease === null ? entry : { ...entry, lease: Number(lease) } };
    }
  }

  #commit(write: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      write();
      this.#database.exec("COMMIT");
    } catch (error) {
      // After a full disk SQLite may have rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    chmodSync(path, 0o600);
    database.exec(
      `PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;`,
    );
    const version = Number(database.prepare(`PRAGMA user_version`).get()?.["user_version"]);
    if (version === 0) database.exec(`BEGIN EXCLUSIVE; ${schema} COMMIT;`);
    else if (version !== schemaVersion) {
      throw new Error(`it has version ${version}, this program reads version ${schemaVersion}`);
    }
    return database;
  } catch (cause) {
    database?.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UnavailableError(`cannot open the store ${path}: ${why}`, { cause });
  }
}
