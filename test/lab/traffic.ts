// Traffic between pods that notices what is lost. Its sockets are made in the pods' network namespaces and live in the
// test's own process, so that nothing that a test kills takes part in it.
import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { type Server, Socket, createServer } from "node:net";
import { bindPort, connectTcp, openUdp } from "../../src/lab/network/native.ts";
import { until } from "./harness.ts";

/** Sends back what it gets, by TCP and by UDP. */
export class EchoServer implements Disposable {
  readonly #tcp: Server;
  readonly #udp: UdpSocket;
  readonly #open = new Set<Socket>();

  constructor(netns: string, port: number) {
    this.#tcp = createServer({ noDelay: true }, (socket) => {
      this.#open.add(socket);
      socket.on("close", () => this.#open.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.pipe(socket);
    });
    this.#tcp.listen({ fd: bindPort(netns, "tcp", port) });
    this.#udp = createSocket("udp6");
    this.#udp.on("message", (bytes, { port: to, address }) => {
      this.#udp.send(bytes, to, address, () => undefined);
    });
    this.#udp.bind({ fd: bindPort(netns, "udp", port) });
  }

  [Symbol.dispose](): void {
    this.#tcp.close();
    for (const socket of this.#open) socket.destroy();
    this.#udp.close();
  }
}

export interface Route {
  /** Path of the network namespace that it starts in. */
  readonly netns: string;
  readonly to: string;
  readonly port: number;
}

const messageSize = 8;

/** A TCP connection that sends a number every `intervalMs` and expects it back. */
export class Conversation implements Disposable {
  readonly name: string;
  sent = 0;
  answered = 0;
  /** The longest that an answer took since it was last set to 0. */
  slowestMs = 0;
  /** Why the connection has ended. */
  ended: string | undefined;
  readonly #socket: Socket;
  readonly #sentAt: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #partial = 0;

  constructor(name: string, { netns, to, port }: Route) {
    this.name = name;
    this.#socket = new Socket({ fd: connectTcp(netns, to, port) });
    this.#socket.setNoDelay();
    this.#socket.on("error", ({ message }) => (this.ended ??= message));
    this.#socket.on("close", () => (this.ended ??= "closed"));
    this.#socket.on("data", (bytes: Buffer) => this.#read(bytes.length));
    this.#say();
  }

  /** Begins to talk; the first message is spread over the interval, so that many do not talk in step. */
  start(intervalMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = setInterval(() => this.#say(), intervalMs);
    }, Math.random() * intervalMs);
  }

  pause(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.pause();
    this.ended ??= "disposed of";
    this.#socket.destroy();
  }

  #say(): void {
    this.sent += 1;
    this.#sentAt.push(performance.now());
    const message = Buffer.alloc(messageSize);
    message.writeDoubleBE(this.sent);
    this.#socket.write(message);
  }

  #read(size: number): void {
    this.#partial += size;
    for (; this.#partial >= messageSize; this.#partial -= messageSize) {
      this.answered += 1;
      const sentAt = this.#sentAt.shift() ?? 0;
      this.slowestMs = Math.max(this.slowestMs, performance.now() - sentAt);
    }
  }
}

/** Datagrams with a number, sent every `intervalMs`, and those that came back. */
export class Ping implements Disposable {
  readonly name: string;
  sent = 0;
  readonly #socket: UdpSocket;
  readonly #route: Route;
  readonly #answered = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, route: Route) {
    this.name = name;
    this.#route = route;
    this.#socket = createSocket(route.to.includes(":") ? "udp6" : "udp4");
    this.#socket.on("message", (bytes) => this.#answered.add(bytes.readUInt32BE()));
    this.#socket.on("error", () => undefined);
    this.#socket.bind({ fd: openUdp(route.netns, route.to.includes(":") ? 6 : 4) });
  }

  get answered(): number {
    return this.#answered.size;
  }

  get lost(): number {
    return this.sent - this.answered;
  }

  send(): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(this.sent);
    this.sent += 1;
    this.#socket.send(bytes, this.#route.port, this.#route.to, () => undefined);
  }

  start(intervalMs: number): void {
    this.#timer = setInterval(() => this.send(), intervalMs);
  }

  pause(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.pause();
    this.#socket.close();
  }
}

/** Counts the datagrams that reach a port. */
export class Sink implements Disposable {
  received = 0;
  /** By `performance.now`. */
  firstAtMs: number | undefined;
  readonly #socket: UdpSocket;

  constructor(netns: string, port: number) {
    this.#socket = createSocket("udp6");
    this.#socket.on("message", () => {
      this.received += 1;
      this.firstAtMs ??= performance.now();
    });
    this.#socket.bind({ fd: bindPort(netns, "udp", port) });
  }

  /** Forgets what came in. */
  reset(): void {
    this.received = 0;
    this.firstAtMs = undefined;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Sends bursts of datagrams and expects no answer. */
export class Burst implements Disposable {
  sent = 0;
  readonly #socket: UdpSocket;
  readonly #timer: NodeJS.Timeout;

  constructor(route: Route, size: number, intervalMs: number) {
    const family = route.to.includes(":") ? 6 : 4;
    this.#socket = createSocket(`udp${family}`);
    this.#socket.on("error", () => undefined);
    this.#socket.bind({ fd: openUdp(route.netns, family) });
    this.#timer = setInterval(() => {
      for (let count = 0; count < size; count++) {
        this.sent += 1;
        this.#socket.send("!", route.port, route.to, () => undefined);
      }
    }, intervalMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }
}

export interface TrafficReport {
  readonly conversations: number;
  readonly ended: readonly string[];
  readonly pings: number;
  readonly lostPings: number;
  readonly slowestAnswerMs: number;
}

/** Conversations and pings that run together. */
export class Traffic implements Disposable {
  readonly conversations: readonly Conversation[];
  readonly pings: readonly Ping[];

  constructor(conversations: readonly Conversation[], pings: readonly Ping[]) {
    this.conversations = conversations;
    this.pings = pings;
  }

  /** Settles when every conversation and every ping has had an answer. @throws {Error} */
  async established(): Promise<void> {
    await until("an answer to every first message", () => {
      for (const ping of this.pings) if (ping.answered === 0) ping.send();
      return (
        this.conversations.every(({ answered }) => answered > 0) &&
        this.pings.every(({ answered }) => answered > 0)
      );
    });
  }

  /**
   * Runs `work` amid the traffic, waits for the last answers and says what became of it. What is not answered by
   * `answerTimeoutMs` after the end counts as lost.
   */
  async during(work: () => Promise<void>, answerTimeoutMs = 3_000): Promise<TrafficReport> {
    const before = this.pings.map(({ sent, lost }) => ({ sent, lost }));
    for (const conversation of this.conversations) {
      conversation.slowestMs = 0;
      conversation.start(50);
    }
    for (const ping of this.pings) ping.start(10);
    try {
      await work();
    } finally {
      for (const one of [...this.conversations, ...this.pings]) one.pause();
    }
    await until("the last answer", () => this.#isAnswered(before), answerTimeoutMs).catch(
      () => undefined,
    );
    return {
      conversations: this.conversations.length,
      ended: this.conversations.flatMap(({ name, ended, sent, answered }) => {
        if (ended !== undefined) return [`${name}: ${ended}`];
        return sent === answered ? [] : [`${name}: ${sent - answered} messages not answered`];
      }),
      pings: sum(this.pings.map(({ sent }, index) => sent - (before[index]?.sent ?? 0))),
      lostPings: sum(this.pings.map(({ lost }, index) => lost - (before[index]?.lost ?? 0))),
      slowestAnswerMs: Math.round(
        Math.max(...this.conversations.map(({ slowestMs }) => slowestMs)),
      ),
    };
  }

  [Symbol.dispose](): void {
    for (const one of [...this.conversations, ...this.pings]) one[Symbol.dispose]();
  }

  #isAnswered(before: readonly { readonly lost: number }[]): boolean {
    return (
      this.conversations.every(({ sent, answered }) => sent === answered) &&
      this.pings.every(({ lost }, index) => lost === before[index]?.lost)
    );
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
