// A client of one database of an ovsdb-server: RFC 7047 section 4, and monitor_cond_since of ovsdb-server(7).
import { EventEmitter, once } from "node:events";
import type { NetConnectOpts } from "node:net";
import {
  type Operation,
  type OperationResult,
  decodeTransactReply,
  describeRefusal,
  encodeOperation,
} from "../ovsdb/operation.ts";
import { type MonitorRequest, RowCache } from "../ovsdb/row-cache.ts";
import { type DatabaseSchema, parseSchema } from "../ovsdb/schema.ts";
import { type Json, malformed } from "../ovsdb/value.ts";
import { Backoff } from "../runtime/backoff.ts";
import { pause } from "../runtime/lifecycle.ts";
import { PeerError, UnavailableError } from "./errors.ts";
import { JsonRpcConnection } from "./json-rpc.ts";
import { OvsdbMonitor } from "./ovsdb-monitor.ts";

export interface OvsdbClientOptions {
  /** `{path}` of a Unix socket, or `{host, port}`. */
  readonly address: NetConnectOpts;
  readonly database?: string;
  /** How long one request may wait for its answer, and a connection for its making. */
  readonly requestTimeoutMs?: number;
  /** After this much silence the server is asked for a sign of life, and after as much again it is given up. */
  readonly probeIntervalMs?: number;
  /** Pause before the next attempt, doubled each time up to `maxBackoffMs`. */
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** Largest message accepted, in bytes. */
  readonly maxMessageSize?: number;
}

const defaults = {
  database: "Open_vSwitch",
  requestTimeoutMs: 10_000,
  probeIntervalMs: 5_000,
  minBackoffMs: 50,
  maxBackoffMs: 4_000,
  maxMessageSize: 256 * 1024 * 1024,
};

/** `connected` means that every monitor is up to date as well. */
export type OvsdbState = "connecting" | "connected" | "closed";

interface ClientEvents {
  /** With the reason when a connection was lost or could not be made. */
  state: [state: OvsdbState, reason: Error | undefined];
}

interface Session {
  readonly connection: JsonRpcConnection;
  readonly schema: DatabaseSchema;
}

/**
 * Connects, and keeps connecting, until it is closed. Monitors survive a lost connection: the server is asked for what
 * was missed, and the monitor announces only that. Transactions do not: one in flight fails, its outcome unknown.
 */
export class OvsdbClient extends EventEmitter<ClientEvents> {
  readonly #options: Required<OvsdbClientOptions>;
  readonly #peer: string;
  readonly #monitors = new Set<OvsdbMonitor>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #monitorsMade = 0;
  #state: OvsdbState = "connecting";
  #lastFailure: Error | undefined;
  #session: Session | undefined;

  constructor(options: OvsdbClientOptions) {
    super();
    this.#options = { ...defaults, ...options };
    const { address } = options;
    this.#peer =
      "path" in address
        ? `ovsdb-server at ${address.path}`
        : `ovsdb-server at ${address.host ?? "localhost"}:${address.port}`;
    this.#running = this.#run();
  }

  get state(): OvsdbState {
    return this.#state;
  }

  /** Settles at once while connected. @throws {UnavailableError} when that does not happen within `timeoutMs`. */
  async connected(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeoutMs)]);
    while (this.#state !== "connected") {
      try {
        await once(this, "state", { signal });
      } catch (cause) {
        if (this.#stop.signal.aborted) throw this.#unavailable("client closed", cause);
        throw this.#lastFailure ?? this.#unavailable(`no connection within ${timeoutMs} ms`, cause);
      }
    }
  }

  /**
   * Runs the operations as one transaction: all or none. Transactions take effect in the order of the calls; a call
   * need not wait for the one before.
   * @returns one result per operation.
   * @throws {PeerError} naming the operation that failed.
   * @throws {UnavailableError} when there is no connection; if it was lost meanwhile, the outcome is unknown.
   */
  async transact(operations: readonly Operation[]): Promise<readonly OperationResult[]> {
    const params = [this.#options.database, ...operations.map(encodeOperation)];
    const reply = await this.#request("transact", params);
    const result = decodeTransactReply(reply, operations.length);
    if (result.kind === "committed") return result.results;
    const text = describeRefusal(result.refusal, operations);
    throw new PeerError("ovsdb", result.refusal.error, `${this.#peer}: ${text}`);
  }

  /**
   * Follows the tables from now on. Settles with their contents in place.
   * @throws {DecodeError} when the schema lacks a table or column.
   * @throws {UnavailableError}
   */
  async monitor(request: MonitorRequest): Promise<OvsdbMonitor> {
    const { connection, schema } = this.#connectedSession();
    const id = `monitor-${this.#monitorsMade++}`;
    const monitor = new OvsdbMonitor(id, request, new RowCache(schema, request));
    this.#monitors.add(monitor);
    try {
      await monitor.resume(connection, schema.name, this.#options.requestTimeoutMs);
    } catch (error) {
      this.#monitors.delete(monitor);
      throw error;
    }
    return monitor;
  }

  /** The schema as of this connection. @throws {UnavailableError} */
  get schema(): DatabaseSchema {
    return this.#connectedSession().schema;
  }

  /** @throws {UnavailableError} */
  async listDatabases(): Promise<readonly string[]> {
    const names = await this.#request("list_dbs", []);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
    throw malformed("names of databases", names);
  }

  /** Ends the connection and all attempts at one. Requests without an answer fail. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { minBackoffMs: minMs, maxBackoffMs: maxMs } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff({ minMs, maxMs });
    while (!signal.aborted) {
      try {
        await this.#serveOneConnection(() => {
          backoff.reset();
          this.#setState("connected", undefined);
        });
      } catch (error) {
        this.#lastFailure = error instanceof Error ? error : new Error(String(error));
      }
      this.#session = undefined;
      if (signal.aborted) break;
      this.#setState("connecting", this.#lastFailure);
      await pause(backoff.next(), signal);
    }
    this.#setState("closed", undefined);
  }

  /** Opens a connection and stays until it ends, which is always by an exception. */
  async #serveOneConnection(onReady: () => void): Promise<never> {
    const { database, requestTimeoutMs, maxMessageSize } = this.#options;
    const connection = await JsonRpcConnection.open(this.#options.address, {
      peer: this.#peer,
      protocol: "ovsdb",
      maxMessageSize,
      connectTimeoutMs: requestTimeoutMs,
      signal: this.#stop.signal,
      onNotification: (method, params) => {
        if (method !== "update3") return;
        for (const monitor of this.#monitors) monitor.update(params);
      },
    });
    try {
      const schema = parseSchema(
        await connection.request("get_schema", [database], requestTimeoutMs),
      );
      await Promise.all(
        [...this.#monitors].map((one) => one.resume(connection, database, requestTimeoutMs)),
      );
      this.#session = { connection, schema };
      onReady();
      throw await this.#keepAlive(connection);
    } finally {
      connection.close();
    }
  }

  /** Asks a silent server for a sign of life. Settles when the connection has ended. */
  async #keepAlive(connection: JsonRpcConnection): Promise<Error> {
    const { probeIntervalMs } = this.#options;
    const timer = setInterval(() => {
      if (connection.silenceMs < probeIntervalMs) return;
      connection.request("echo", [], probeIntervalMs).catch(() => connection.close());
    }, probeIntervalMs);
    try {
      return await connection.closed;
    } finally {
      clearInterval(timer);
    }
  }

  async #request(method: string, params: readonly Json[]): Promise<unknown> {
    const { connection } = this.#connectedSession();
    return await connection.request(method, params, this.#options.requestTimeoutMs);
  }

  #connectedSession(): Session {
    if (this.#session !== undefined) return this.#session;
    throw this.#unavailable(this.#stop.signal.aborted ? "client closed" : "not connected");
  }

  #setState(state: OvsdbState, reason: Error | undefined): void {
    this.#state = state;
    this.emit("state", state, reason);
  }

  #unavailable(text: string, cause?: unknown): UnavailableError {
    return new UnavailableError(`${this.#peer}: ${text}`, { cause });
  }
}
