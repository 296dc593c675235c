// Following tables with monitor_cond_since and update3: ovsdb-server(7), sections 4.1.15 and 4.1.16.
import { EventEmitter } from "node:events";
import {
  type MonitorRequest,
  type RowCache,
  type RowChange,
  encodeMonitorRequest,
} from "../ovsdb/row-cache.ts";
import { type Row, malformed } from "../ovsdb/value.ts";
import type { JsonRpcConnection } from "./json-rpc.ts";

interface MonitorEvents {
  /** What one transaction changed, or what changed while there was no connection. */
  change: [changes: readonly RowChange[]];
}

const noTransaction = "00000000-0000-0000-0000-000000000000";

/** Rows that follow the server's. While there is no connection they stay as they were last seen. */
export class OvsdbMonitor extends EventEmitter<MonitorEvents> {
  readonly #id: string;
  readonly #request: MonitorRequest;
  readonly #cache: RowCache;
  #transaction = noTransaction;
  /** Updates that came behind the reply to a resume, before it was taken in. */
  #early: (readonly unknown[])[] | undefined;

  /** `id` tells the monitors of a connection apart. */
  constructor(id: string, request: MonitorRequest, cache: RowCache) {
    super();
    this.#id = id;
    this.#request = request;
    this.#cache = cache;
  }

  /** The table's rows by UUID, columns in the form that `normalizeValue` gives. */
  rows(table: string): ReadonlyMap<string, Row> {
    return this.#cache.rows(table);
  }

  /**
   * Called by the client on each new connection: fetches what was missed, or everything when the server has forgotten
   * the last known transaction.
   */
  async resume(
    connection: Pick<JsonRpcConnection, "request">,
    database: string,
    timeoutMs: number,
  ): Promise<void> {
    this.#early = [];
    const params = [database, this.#id, encodeMonitorRequest(this.#request), this.#transaction];
    const reply = await connection.request("monitor_cond_since", params, timeoutMs);
    const [found, transaction, updates]: unknown[] = Array.isArray(reply) ? reply : [];
    this.#take(transaction, () =>
      found === true ? this.#cache.apply(updates) : this.#cache.replace(updates),
    );
    const early = this.#early;
    this.#early = undefined;
    for (const update of early) this.update(update);
  }

  /** Called by the client with the parameters of each `update3`. @throws {DecodeError} */
  update(params: readonly unknown[]): void {
    const [id, transaction, updates] = params;
    if (id !== this.#id) return;
    if (this.#early === undefined) this.#take(transaction, () => this.#cache.apply(updates));
    else this.#early.push(params);
  }

  #take(transaction: unknown, changeCache: () => RowChange[]): void {
    // Should the updates prove wrong half-way, the next resume must not build on them.
    this.#transaction = noTransaction;
    if (typeof transaction !== "string") throw malformed("a transaction id", transaction);
    const changes = changeCache();
    this.#transaction = transaction;
    if (changes.length > 0) this.emit("change", changes);
  }
}
