// A stream of JSON messages, one a line, in both directions.
import { type Socket, connect as connectSocket } from "node:net";
import { TLSSocket, connect as connectTls } from "node:tls";
import { JsonStream } from "../wire/json-stream.ts";
import { ConnectionError } from "./errors.ts";
import {
  type ClientCredentials,
  type StreamAddress,
  formatStreamAddress,
} from "./stream-address.ts";

export interface StreamLimits {
  /** Largest message accepted, in bytes. */
  readonly maxMessageSize: number;
  /** Bytes that may wait for a peer that does not read, before the stream is closed. */
  readonly maxQueuedSize: number;
}

export interface StreamHandlers {
  /** A message as parsed, not yet validated. What it throws closes the stream. */
  readonly onMessage: (message: unknown) => void;
  /** The peer sends no more; it may still read. Closes the stream when absent. */
  readonly onEnd?: () => void;
  /** Called once; `reason` is absent after a clean end by either side. */
  readonly onClose: (reason?: Error) => void;
}

export class MessageStream {
  readonly #socket: Socket;
  readonly #limits: StreamLimits;
  #handlers: StreamHandlers | undefined;
  #failure: Error | undefined;

  /** Takes an open socket over. Nothing is read before `start`. */
  constructor(socket: Socket, limits: StreamLimits) {
    this.#socket = socket;
    this.#limits = limits;
    socket.on("error", (error) => (this.#failure ??= error));
  }

  /** Whether the stream came over a Unix socket, which is open to its owner alone. */
  get isLocal(): boolean {
    return !(this.#socket instanceof TLSSocket);
  }

  /** Common name of the peer's certificate; `undefined` on a Unix socket and for a peer without one that is trusted. */
  get peerName(): string | undefined {
    if (!(this.#socket instanceof TLSSocket) || !this.#socket.authorized) return undefined;
    const name = this.#socket.getPeerCertificate().subject?.CN;
    return Array.isArray(name) ? name[0] : name;
  }

  start(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    const frames = new JsonStream(this.#limits.maxMessageSize);
    this.#socket.on("data", (chunk: Buffer) => {
      this.#attempt(() => {
        for (const message of frames.push(chunk)) {
          if (this.#socket.destroyed) return;
          handlers.onMessage(message);
        }
      });
    });
    this.#socket.on("end", () => {
      this.#attempt(() => {
        frames.end();
        if (handlers.onEnd === undefined) this.close();
        else handlers.onEnd();
      });
    });
    this.#socket.once("close", () => this.#closed());
    if (this.#socket.closed) this.#closed();
  }

  /** Queues a message; one sent to a closed stream is lost, and `onClose` has told so. */
  send(message: object): void {
    this.write([`${JSON.stringify(message)}\n`]);
  }

  /** As `send`, for messages that are text already, each ended by a newline and perhaps in several pieces. */
  write(pieces: readonly string[]): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
    if (this.#socket.writableLength > this.#limits.maxQueuedSize) {
      this.close(new ConnectionError(`the peer left ${this.#socket.writableLength} bytes unread`));
    }
  }

  /** Without a reason what was sent is still delivered; with one the stream ends at once. */
  close(reason?: Error): void {
    if (reason === undefined) {
      this.#socket.end();
      return;
    }
    this.#failure ??= reason;
    this.#socket.destroy();
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #closed(): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.onClose(this.#failure);
  }
}

export interface ConnectOptions extends StreamLimits {
  readonly address: StreamAddress;
  /** Needed for TLS addresses. */
  readonly credentials?: ClientCredentials;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** @throws {ConnectionError} when the peer cannot be reached, is not trusted or does not answer in time. */
export async function connectStream(options: ConnectOptions): Promise<MessageStream> {
  const socket = dial(options.address, options.credentials);
  const ready = options.address.kind === "unix" ? "connect" : "secureConnect";
  const where = formatStreamAddress(options.address);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const abort = (): void => reject(new Error("stopped"));
  const timer = setTimeout(() => reject(new Error("no answer in time")), options.timeoutMs);
  socket.once(ready, resolve);
  socket.once("error", reject);
  socket.once("close", () => reject(new Error("closed by the peer")));
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted === true) abort();
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    const cause = error instanceof Error ? error.message : String(error);
    throw new ConnectionError(`cannot connect to ${where}: ${cause}`, { cause: error });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
    socket.off("error", reject);
  }
  return new MessageStream(socket, options);
}

function dial(address: StreamAddress, credentials: ClientCredentials | undefined): Socket {
  if (address.kind === "unix") return connectSocket(address.path);
  if (credentials === undefined) {
    throw new ConnectionError(`${formatStreamAddress(address)} needs a CA to trust`);
  }
  const { ca, certificate, key, serverName } = credentials;
  const socket = connectTls({
    host: address.host,
    port: address.port,
    ca,
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { servername: serverName }),
    minVersion: "TLSv1.3",
  });
  return socket.setNoDelay(true);
}
