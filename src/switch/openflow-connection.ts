// One OpenFlow connection: framing, transaction ids, errors, echo. OpenFlow Switch Specification 1.5.1, section 6.3.
import { once } from "node:events";
import type { NetConnectOpts, Socket } from "node:net";
import type { ErrorMessage } from "../openflow/error-message.ts";
import { Framer } from "../openflow/framer.ts";
import { type Message, decodeMessage, encodeMessage, headerSize } from "../openflow/message.ts";
import { DecodeError } from "../wire/errors.ts";
import { Writer } from "../wire/writer.ts";
import { connectSocket } from "./connect.ts";
import { OpenFlowError, UnavailableError } from "./errors.ts";

export interface ConnectionOptions {
  /** Words for messages, e.g. `switch at /run/br-int.mgmt`. */
  readonly peer: string;
  readonly connectTimeoutMs: number;
  /** How long a request may wait for the next part of its answer. */
  readonly requestTimeoutMs: number;
  /** Messages that answer nothing, in order. */
  readonly onEvent: (message: Message) => void;
}

/** A request that waits for its answer. */
interface Pending {
  readonly request: Message;
  /** Takes one message of the answer; true when it was the last. */
  readonly accept: (message: Message) => boolean;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Takes the errors of requests that have ids in a row and no answers of their own. */
export interface RequestRange {
  readonly first: number;
  readonly length: number;
  readonly requestAt: (index: number) => Message;
  readonly refuse: (index: number, error: OpenFlowError) => void;
}

const lastXid = 0xffffffff;

/** The transaction id in a header. */
function xidOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
}

/**
 * Requests may be sent without waiting for earlier ones; answers and errors find theirs by transaction id. The peer's
 * echo requests are answered. The connection ends at the first fault, and never comes back.
 */
export class OpenFlowConnection {
  /** Settles when the connection has ended, with the reason. */
  readonly closed: Promise<Error>;
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #framer = new Framer();
  readonly #pending = new Map<number, Pending>();
  readonly #ranges = new Set<RequestRange>();
  readonly #settleClosed: (reason: Error) => void;
  #reason: Error | undefined;
  /** Id 0 is for messages that nobody asked for. */
  #nextXid = 1;
  #lastHeardMs = performance.now();

  private constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.closed = promise;
    this.#settleClosed = resolve;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("end", () => this.end(this.#unavailable("connection closed by the peer")));
    socket.on("error", (error) => this.end(this.#unavailable(error.message, error)));
  }

  /** @throws {UnavailableError} */
  static async open(
    address: NetConnectOpts,
    options: ConnectionOptions,
  ): Promise<OpenFlowConnection> {
    return new OpenFlowConnection(await connectSocket(address, options), options);
  }

  /** When the peer last sent anything, on the clock of `performance.now`. */
  get lastHeardMs(): number {
    return this.#lastHeardMs;
  }

  /** The first of `length` transaction ids in a row. */
  reserve(length: number): number {
    if (length > lastXid - this.#nextXid) this.#nextXid = 1;
    const first = this.#nextXid;
    this.#nextXid += length;
    return first;
  }

  /** Sends and expects no answer. An error that comes of it is an event. */
  send(message: Message, xid = this.reserve(1)): void {
    const writer = new Writer();
    encodeMessage(writer, message, xid);
    this.#socket.write(writer.view());
  }

  /** Sends bytes that are whole messages; settles when there is room for more. @throws {UnavailableError} */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#reason !== undefined) throw this.#reason;
    if (this.#socket.write(bytes)) return;
    await Promise.race([once(this.#socket, "drain"), this.closed]);
  }

  /** The answer, which is one message. @throws {OpenFlowError} @throws {UnavailableError} @throws {DecodeError} */
  request(message: Message): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.exchange(message, {
      accept(answer) {
        resolve(answer);
        return true;
      },
      reject,
    });
    return promise;
  }

  /** Sends; `accept` gets each message of the answer until it says that it was the last. */
  exchange(request: Message, answer: Pick<Pending, "accept" | "reject">): void {
    if (this.#reason !== undefined) return answer.reject(this.#reason);
    const xid = this.reserve(1);
    const { requestTimeoutMs } = this.#options;
    const timer = setTimeout(() => {
      this.#pending.delete(xid);
      answer.reject(
        this.#unavailable(`no answer to ${request.kind} within ${requestTimeoutMs} ms`),
      );
    }, requestTimeoutMs);
    this.#pending.set(xid, { request, ...answer, timer });
    this.send(request, xid);
  }

  /** Errors for the range's ids go to it until it is removed. */
  watch(range: RequestRange): Disposable {
    this.#ranges.add(range);
    return { [Symbol.dispose]: () => this.#ranges.delete(range) };
  }

  /** Ends the connection; requests without an answer fail with the reason. Safe to call twice. */
  end(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#socket.destroy();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#pending.clear();
    this.#settleClosed(reason);
  }

  #receive(chunk: Uint8Array): void {
    this.#lastHeardMs = performance.now();
    try {
      for (const bytes of this.#framer.push(chunk)) {
        if (this.#reason === undefined) this.#decode(bytes);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.end(error);
    }
  }

  /** An answer that cannot be decoded fails its request; anything else that cannot ends the connection. */
  #decode(bytes: Uint8Array): void {
    try {
      const { xid, message } = decodeMessage(bytes);
      this.#dispatch(xid, message);
    } catch (error) {
      const xid = xidOf(bytes);
      const pending = this.#pending.get(xid);
      if (!(error instanceof DecodeError) || pending === undefined) throw error;
      this.#settle(xid, pending);
      pending.reject(error);
    }
  }

  #dispatch(xid: number, message: Message): void {
    if (message.kind === "echo-request") {
      return this.send({ kind: "echo-reply", data: message.data }, xid);
    }
    if (message.kind === "error") return this.#refuse(xid, message);
    const pending = this.#pending.get(xid);
    if (pending === undefined) return this.#options.onEvent(message);
    if (pending.accept(message)) this.#settle(xid, pending);
    else pending.timer.refresh();
  }

  /** The error's id is the request's; when nobody waits under it, the id in the echoed request may be known. */
  #refuse(xid: number, error: ErrorMessage): void {
    const echoed = error.data.length >= headerSize ? xidOf(error.data) : xid;
    for (const id of new Set([xid, echoed])) {
      const pending = this.#pending.get(id);
      if (pending !== undefined) {
        this.#settle(id, pending);
        return pending.reject(new OpenFlowError(this.#options.peer, error, pending.request));
      }
      for (const range of this.#ranges) {
        const index = id - range.first;
        if (index < 0 || index >= range.length) continue;
        const request = range.requestAt(index);
        return range.refuse(index, new OpenFlowError(this.#options.peer, error, request));
      }
    }
    this.#options.onEvent(error);
  }

  #settle(xid: number, pending: Pending): void {
    this.#pending.delete(xid);
    clearTimeout(pending.timer);
  }

  #unavailable(text: string, cause?: unknown): UnavailableError {
    return new UnavailableError(`${this.#options.peer}: ${text}`, { cause });
  }
}
