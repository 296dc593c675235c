// What the agent must know when it starts while every controller is away: one SQLite file in its state directory.
//
//   meta(key, value)               `complete`: a controller has once told everything
//   resource(kind, id, digest, json)
//   number(kind, key, number)      numbers in flows that must be the same after a restart
//   lookup(endpoint, address, …)   what endpoints have looked up, and until when it counts
//   attachment(port, json)
//
// Every change is written before the switch hears of it. After a crash between the two the file is ahead, and comparing
// the switch's flows with it mends that.
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type NumberEntry, type NumberKind, numberRanges } from "../pipeline/numbers.ts";
import { digestOf } from "../southbound/digest.ts";
import { decodeResource } from "../southbound/message-schema.ts";
import type { Delta, Resource } from "../southbound/resources.ts";
import type { LookupChanges, LookupEntry } from "./dns/lookup-table.ts";
import type { NumberChange } from "./recorded-numbers.ts";

const formatVersion = 1;

const schema = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE resource (
    kind TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE number (
    kind TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (kind, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE attachment (port TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** One network interface that the agent has given to a container, or is about to. */
export interface StoredAttachment {
  /** The switch's port. */
  readonly port: string;
  readonly endpoint: string;
  /** The uid that the attached object was named with. */
  readonly uid?: string;
  /** The CNI network. */
  readonly network?: string;
  readonly container: string;
  readonly interface: string;
  readonly netns: string;
  readonly ofportRequest: number;
  /** Since 1970. */
  readonly attachedMs: number;
}

export interface StateChange {
  readonly delta: Delta;
  readonly numbers: readonly NumberChange[];
  /** A controller has once told everything there is. */
  readonly complete: boolean;
}

interface ResourceRow {
  readonly resource: Resource;
  readonly digest: string;
}

/** Came after the others, so a file may lack it. */
const lookupSchema = `
  CREATE TABLE IF NOT EXISTS lookup (
    endpoint TEXT NOT NULL, address TEXT NOT NULL, name TEXT NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (endpoint, address, name)
  ) STRICT, WITHOUT ROWID;
`;

export class StateFile implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    const prepare = (sql: string): StatementSync => database.prepare(sql);
    this.#statements = {
      putMeta: prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)"),
      putResource: prepare("INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?)"),
      deleteResource: prepare("DELETE FROM resource WHERE kind = ? AND id = ?"),
      putNumber: prepare("INSERT OR REPLACE INTO number VALUES (?, ?, ?)"),
      deleteNumber: prepare("DELETE FROM number WHERE kind = ? AND key = ?"),
      putAttachment: prepare("INSERT OR REPLACE INTO attachment VALUES (?, ?)"),
      deleteAttachment: prepare("DELETE FROM attachment WHERE port = ?"),
      putLookup: prepare("INSERT OR REPLACE INTO lookup VALUES (?, ?, ?, ?)"),
      deleteLookup: prepare("DELETE FROM lookup WHERE endpoint = ? AND address = ? AND name = ?"),
    };
  }

  /**
   * Opens the file, or makes it. One that cannot be read is set aside under another name, and `onCorrupt` is told: the
   * agent then knows nothing, and leaves the switch as it is until a controller has told it everything.
   * @throws {Error} when another process has it open, or the directory cannot be written.
   */
  static open(path: string, onCorrupt: (reason: unknown, keptAs: string) => void): StateFile {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      return StateFile.#openOnce(path);
    } catch (error) {
      if (isLocked(error)) {
        throw new Error(`${path} is in use: is another agent running?`, { cause: error });
      }
      const keptAs = `${path}.corrupt`;
      renameSync(path, keptAs);
      for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
      onCorrupt(error, keptAs);
      return StateFile.#openOnce(path);
    }
  }

  static #openOnce(path: string): StateFile {
    const database = new DatabaseSync(path);
    try {
      // One process at a time. A process that is killed loses nothing; a power cut may lose the last changes, and with
      // them went the switch's flows.
      database.exec(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
      );
      const { user_version: version } = { ...database.prepare("PRAGMA user_version").get() };
      if (version === 0) {
        database.exec(`BEGIN; ${schema} PRAGMA user_version = ${formatVersion}; COMMIT;`);
      } else if (version !== formatVersion) {
        throw new Error(`expected state in format ${formatVersion}, got ${String(version)}`);
      }
      database.exec(lookupSchema);
      const [check] = database.prepare("PRAGMA quick_check").all();
      if (check?.["quick_check"] !== "ok") throw new Error(String(check?.["quick_check"]));
      const file = new StateFile(database);
      // Reading everything once finds what the database's own check cannot.
      file.resources();
      file.numbers();
      file.attachments();
      file.lookups();
      return file;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  get complete(): boolean {
    return this.#database.prepare("SELECT 1 FROM meta WHERE key = 'complete'").get() !== undefined;
  }

  resources(): readonly ResourceRow[] {
    const rows = this.#database.prepare("SELECT digest, json FROM resource").all();
    return rows.map((row) => ({
      digest: textOf(row["digest"]),
      resource: decodeResource(JSON.parse(textOf(row["json"]))),
    }));
  }

  numbers(): readonly NumberEntry[] {
    const rows = this.#database.prepare("SELECT kind, key, number FROM number").all();
    return rows.map((row) => {
      const kind = textOf(row["kind"]);
      if (!isNumberKind(kind)) throw new TypeError(`no numbers of kind ${kind} are known`);
      return { kind, key: textOf(row["key"]), number: Number(row["number"]) };
    });
  }

  attachments(): readonly StoredAttachment[] {
    const rows = this.#database.prepare("SELECT json FROM attachment").all();
    return rows.map((row) => decodeAttachment(JSON.parse(textOf(row["json"]))));
  }

  /** All or nothing; does not begin a transaction when there is nothing to write. */
  write(change: StateChange): void {
    const { delta, numbers, complete } = change;
    const news = complete && !this.complete;
    if (delta.upserts.length + delta.deletes.length + numbers.length === 0 && !news) return;
    this.#transaction(() => this.#put(change));
  }

  /** As `write`, for the whole of resources and numbers: nothing else is left. */
  replace(change: StateChange): void {
    this.#transaction(() => {
      this.#database.exec("DELETE FROM resource; DELETE FROM number;");
      this.#put(change);
    });
  }

  #put({ delta, numbers, complete }: StateChange): void {
    const { putMeta, putResource, deleteResource, putNumber, deleteNumber } = this.#statements;
    for (const { kind, id } of delta.deletes) deleteResource.run(kind, id);
    for (const resource of delta.upserts) {
      putResource.run(resource.kind, resource.id, digestOf(resource), JSON.stringify(resource));
    }
    for (const { kind, key, number } of numbers) {
      if (number === undefined) deleteNumber.run(kind, key);
      else putNumber.run(kind, key, number);
    }
    if (complete) putMeta.run("complete", "true");
  }

  putAttachment(attachment: StoredAttachment): void {
    this.#statements.putAttachment.run(attachment.port, JSON.stringify(attachment));
  }

  deleteAttachment(port: string): void {
    this.#statements.deleteAttachment.run(port);
  }

  lookups(): readonly LookupEntry[] {
    const rows = this.#database
      .prepare("SELECT endpoint, address, name, expires FROM lookup")
      .all();
    return rows.map((row) => ({
      endpoint: textOf(row["endpoint"]),
      address: textOf(row["address"]),
      name: textOf(row["name"]),
      expiresMs: Number(row["expires"]),
    }));
  }

  /** All or nothing; deletes first. */
  writeLookups({ puts, deletes }: Pick<LookupChanges, "puts" | "deletes">): void {
    if (puts.length + deletes.length === 0) return;
    const { putLookup, deleteLookup } = this.#statements;
    this.#transaction(() => {
      for (const { endpoint, address, name } of deletes) deleteLookup.run(endpoint, address, name);
      for (const { endpoint, address, name, expiresMs } of puts) {
        putLookup.run(endpoint, address, name, expiresMs);
      }
    });
  }

  close(): void {
    this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #transaction(body: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      body();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

function isNumberKind(text: string): text is NumberKind {
  return Object.hasOwn(numberRanges, text);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError(`expected text in the state file, got ${typeof value}`);
}

function decodeAttachment(value: unknown): StoredAttachment {
  const fields: Record<string, unknown> = { ...(typeof value === "object" ? value : {}) };
  return {
    port: textOf(fields["port"]),
    endpoint: textOf(fields["endpoint"]),
    ...(fields["uid"] === undefined ? {} : { uid: textOf(fields["uid"]) }),
    ...(fields["network"] === undefined ? {} : { network: textOf(fields["network"]) }),
    container: textOf(fields["container"]),
    interface: textOf(fields["interface"]),
    netns: textOf(fields["netns"]),
    ofportRequest: Number(fields["ofportRequest"]),
    attachedMs: Number(fields["attachedMs"]),
  };
}

/** SQLITE_BUSY and SQLITE_LOCKED (sqlite.org/rescode.html). */
function isLocked(error: unknown): boolean {
  const code: unknown = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  return code === 5 || code === 6;
}
