// The node's DNS server: sockets at the addresses at which it answers. It writes nothing but answers, so nobody is sent what he has
// not asked for but by his own switch's leave.
import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { once } from "node:events";
import { type Server, type Socket, createServer } from "node:net";
import type { Log } from "../../runtime/log.ts";
import type { DnsAnswers } from "./answers.ts";
import { DnsFrames, frameOf } from "./frames.ts";

export interface DnsServerOptions {
  readonly port: number;
  readonly answers: Pick<DnsAnswers, "answer">;
  readonly log: Log;
}

/** RFC 7766 section 6.2.3: connections without a question for so long end. */
const idleMs = 10_000;
const connectionLimit = 512;
/** Questions of one connection under way at once; it is not read from while there are more. */
const pipelineLimit = 64;
const receiveBufferBytes = 1 << 20;

export class DnsServer implements AsyncDisposable {
  readonly #options: DnsServerOptions;
  readonly #listeners = new Map<string, Listener>();

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** Where it answers, by UDP and TCP. */
  get addresses(): readonly string[] {
    return [...this.#listeners.keys()];
  }

  /** Answers at these addresses and at no others. @throws {Error} of a socket; the others are open then. */
  async listen(addresses: readonly string[]): Promise<void> {
    for (const [address, listener] of this.#listeners) {
      if (addresses.includes(address)) continue;
      this.#listeners.delete(address);
      await listener[Symbol.asyncDispose]();
    }
    const missing = addresses.filter((address) => !this.#listeners.has(address));
    const failures: unknown[] = [];
    for (const address of missing) {
      try {
        this.#listeners.set(address, await Listener.open(address, this.#options));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listen([]);
  }
}

/** One address. */
class Listener implements AsyncDisposable {
  readonly #options: DnsServerOptions;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();

  private constructor(address: string, options: DnsServerOptions) {
    this.#options = options;
    this.#udp = createSocket({
      type: address.includes(":") ? "udp6" : "udp4",
      recvBufferSize: receiveBufferBytes,
    });
    this.#tcp = createServer((socket) => this.#serve(socket));
    this.#tcp.maxConnections = connectionLimit;
  }

  static async open(address: string, options: DnsServerOptions): Promise<Listener> {
    const listener = new Listener(address, options);
    const { port } = options;
    try {
      listener.#udp.bind({ port, address, exclusive: true });
      await once(listener.#udp, "listening");
      listener.#tcp.listen({ port, host: address, exclusive: true });
      await once(listener.#tcp, "listening");
    } catch (error) {
      await listener[Symbol.asyncDispose]();
      throw error;
    }
    listener.#start();
    return listener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    for (const socket of this.#connections) socket.destroy();
    if (!this.#tcp.listening) return;
    const closed = once(this.#tcp, "close");
    this.#tcp.close();
    await closed;
  }

  #start(): void {
    const { answers, log } = this.#options;
    // What one client's packets bring about is no matter of the others'.
    const onError = (err: unknown): void => log.debug({ err }, "DNS socket");
    this.#udp.on("error", onError);
    this.#tcp.on("error", onError);
    this.#udp.on("message", (query, { address, port }) => {
      const send = (answer: Uint8Array | undefined): void => {
        if (answer !== undefined) this.#udp.send(answer, port, address);
      };
      const answer = answers.answer(query, "udp");
      if (answer instanceof Promise) void answer.then(send).catch(onError);
      else send(answer);
    });
  }

  #serve(socket: Socket): void {
    const { answers } = this.#options;
    this.#connections.add(socket);
    const frames = new DnsFrames();
    let pending = 0;
    const settle = (answer: Uint8Array | undefined): void => {
      pending -= 1;
      if (pending < pipelineLimit) socket.resume();
      // What cannot be answered ends the connection: there is no other way to say so.
      if (answer === undefined) socket.destroy();
      else if (socket.writable) socket.write(frameOf(answer));
    };
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("data", (bytes) => {
      for (const query of frames.take(bytes)) {
        pending += 1;
        const answer = answers.answer(query, "tcp");
        if (answer instanceof Promise) answer.then(settle, () => socket.destroy());
        else settle(answer);
      }
      if (pending >= pipelineLimit) socket.pause();
    });
  }
}
