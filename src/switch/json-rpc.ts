// JSON-RPC 1.0 as Open vSwitch speaks it, on a stream: RFC 7047 section 4, without framing between messages.
import type { NetConnectOpts, Socket } from "node:net";
import {
  type Json,
  type JsonObject,
  isJsonObject,
  malformed,
  objectOf,
  showJson,
} from "../ovsdb/value.ts";
import { DecodeError } from "../wire/errors.ts";
import { JsonStream } from "../wire/json-stream.ts";
import { connectSocket } from "./connect.ts";
import { PeerError, UnavailableError } from "./errors.ts";

export interface JsonRpcOptions {
  /** Words of the caller for messages, e.g. `ovsdb-server at /run/db.sock`. */
  readonly peer: string;
  readonly protocol: PeerError["protocol"];
  /** Largest message accepted. */
  readonly maxMessageSize: number;
  /** How long a connection may take to come about. */
  readonly connectTimeoutMs: number;
  /** Ends the connection, or the attempt. */
  readonly signal?: AbortSignal;
  /** Called for each notification, in order; a DecodeError that it throws ends the connection. */
  readonly onNotification?: (method: string, params: readonly unknown[]) => void;
}

interface Pending {
  readonly method: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** The words of an error reply: unixctl sends text, OVSDB an object. */
function describeError(error: unknown): { readonly code: string; readonly text: string } {
  if (typeof error === "string") return { code: "error", text: error.trim() };
  if (!isJsonObject(error) || typeof error["error"] !== "string") {
    return { code: "error", text: showJson(error) };
  }
  const { error: code, details } = error;
  return { code, text: typeof details === "string" ? `${code}: ${details}` : code };
}

/**
 * One connection. Requests may be sent without waiting for earlier ones; replies find theirs by id. The peer's `echo`
 * is answered. The connection ends at the first fault, and never comes back.
 */
export class JsonRpcConnection {
  /** Settles when the connection has ended, with the reason. */
  readonly closed: Promise<Error>;
  readonly #options: JsonRpcOptions;
  readonly #socket: Socket;
  readonly #stream: JsonStream;
  readonly #pending = new Map<number, Pending>();
  readonly #settleClosed: (reason: Error) => void;
  #nextId = 0;
  #ended = false;
  #lastHeardMs = performance.now();

  private constructor(socket: Socket, options: JsonRpcOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#stream = new JsonStream(options.maxMessageSize);
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.closed = promise;
    this.#settleClosed = resolve;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("end", () => this.#receiveEnd());
    socket.on("error", (error) => this.#end(this.#unavailable(error.message, error)));
    options.signal?.addEventListener("abort", this.close, { once: true });
  }

  /** @throws {UnavailableError} */
  static async open(address: NetConnectOpts, options: JsonRpcOptions): Promise<JsonRpcConnection> {
    return new JsonRpcConnection(await connectSocket(address, options), options);
  }

  /** Milliseconds since the peer last sent anything. */
  get silenceMs(): number {
    return performance.now() - this.#lastHeardMs;
  }

  /**
   * @returns the reply's `result`.
   * @throws {PeerError} when the reply is an error.
   * @throws {UnavailableError} when none comes in time or the connection ends first.
   */
  request(method: string, params: readonly Json[], timeoutMs: number): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#unavailable("connection closed"));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = this.#nextId++;
    const timer = setTimeout(() => {
      this.#pending.delete(id);
      reject(this.#unavailable(`no answer to ${method} within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#pending.set(id, { method, resolve, reject, timer });
    this.#send({ method, params, id });
    return promise;
  }

  /** Ends the connection; requests without an answer fail. Safe to call twice. */
  readonly close = (): void => {
    this.#end(this.#unavailable("connection closed"));
  };

  #send(message: JsonObject): void {
    this.#socket.write(JSON.stringify(message));
  }

  #receive(chunk: Uint8Array): void {
    this.#lastHeardMs = performance.now();
    try {
      for (const message of this.#stream.push(chunk)) {
        if (!this.#ended) this.#dispatch(message);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#end(error);
    }
  }

  #dispatch(message: unknown): void {
    const { id, method, params, result, error } = objectOf(message, "a JSON-RPC message");
    if (typeof method !== "string") {
      this.#settle(id, result, error);
    } else if (!Array.isArray(params)) {
      throw malformed(`a list of parameters for ${method}`, params);
    } else if (method === "echo") {
      this.#send({ id, result: params, error: null });
    } else {
      this.#options.onNotification?.(method, params);
    }
  }

  #settle(id: unknown, result: unknown, error: unknown): void {
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined;
    // The answer to a request that was given up.
    if (typeof id !== "number" || pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (error === null || error === undefined) return pending.resolve(result);
    const { code, text } = describeError(error);
    const { peer, protocol } = this.#options;
    pending.reject(new PeerError(protocol, code, `${peer}: ${pending.method}: ${text}`));
  }

  #receiveEnd(): void {
    try {
      this.#stream.end();
      this.#end(this.#unavailable("connection closed by the peer"));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#end(error);
    }
  }

  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.signal?.removeEventListener("abort", this.close);
    this.#socket.destroy();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#pending.clear();
    this.#settleClosed(reason);
  }

  #unavailable(text: string, cause?: unknown): UnavailableError {
    return new UnavailableError(`${this.#options.peer}: ${text}`, { cause });
  }
}
