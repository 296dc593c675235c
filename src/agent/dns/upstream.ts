// Asks other DNS servers. Each question has an id and a port of its own, so that nobody can answer who has not seen it
// (RFC 5452); a server that does not answer is left for the next one.
import { randomInt } from "node:crypto";
import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { Socket } from "node:net";
import {
  type ForwardAnswer,
  type ForwardQuery,
  decodeForwardAnswer,
  encodeForwardQuery,
} from "../../dns/forwarded.ts";
import { rcodes } from "../../dns/wire.ts";
import type { SocketAddress } from "../../net/socket-address.ts";
import { DnsFrames, frameOf } from "./frames.ts";

export interface UpstreamOptions {
  /** How long each server has, in the rounds in which they are asked. */
  readonly timeoutsMs: readonly number[];
  /** How long all of it may take: clients give up after 5 s. */
  readonly budgetMs: number;
  /** Questions under way at once; more fail. */
  readonly limit: number;
  readonly onExchange: (result: "answer" | "failure", durationMs: number) => void;
}

/** For so long a server that has not answered is asked after the others. */
const restMs = 10_000;

export class Upstreams {
  readonly #options: UpstreamOptions;
  /** Server → until when it rests. */
  readonly #resting = new Map<string, number>();
  #pending = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /** @returns the best answer that there is; `undefined` for none. Never throws. */
  async ask(
    query: ForwardQuery,
    servers: readonly SocketAddress[],
  ): Promise<ForwardAnswer | undefined> {
    if (this.#pending >= this.#options.limit) return undefined;
    this.#pending += 1;
    try {
      return await this.#askAll(query, servers);
    } finally {
      this.#pending -= 1;
    }
  }

  async #askAll(
    query: ForwardQuery,
    servers: readonly SocketAddress[],
  ): Promise<ForwardAnswer | undefined> {
    const { timeoutsMs, budgetMs } = this.#options;
    const endMs = performance.now() + budgetMs;
    let failure: ForwardAnswer | undefined;
    for (const timeoutMs of timeoutsMs) {
      for (const server of this.#inOrder(servers)) {
        const leftMs = Math.floor(endMs - performance.now());
        if (leftMs <= 0) return failure;
        const answer = await this.#askOne(query, server, Math.min(timeoutMs, leftMs));
        if (answer !== undefined && !isFailure(answer)) return answer;
        failure = answer ?? failure;
      }
    }
    return failure;
  }

  /** As given, but those last that did not answer lately. */
  #inOrder(servers: readonly SocketAddress[]): readonly SocketAddress[] {
    const now = performance.now();
    const rests = (server: SocketAddress): boolean =>
      (this.#resting.get(nameOf(server)) ?? 0) > now;
    return [...servers.filter((each) => !rests(each)), ...servers.filter(rests)];
  }

  async #askOne(
    query: ForwardQuery,
    server: SocketAddress,
    timeoutMs: number,
  ): Promise<ForwardAnswer | undefined> {
    const startMs = performance.now();
    const signal = AbortSignal.timeout(timeoutMs);
    let answer = await exchange(query, server, { signal, over: overUdp });
    if (answer?.truncated === true) {
      answer = (await exchange(query, server, { signal, over: overTcp })) ?? answer;
    }
    if (answer === undefined) this.#resting.set(nameOf(server), performance.now() + restMs);
    else this.#resting.delete(nameOf(server));
    const result = answer === undefined || isFailure(answer) ? "failure" : "answer";
    this.#options.onExchange(result, performance.now() - startMs);
    return answer;
  }
}

/** Another server may know better. */
function isFailure({ rcode }: ForwardAnswer): boolean {
  return rcode !== rcodes.noError && rcode !== rcodes.nameError;
}

function nameOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`;
}

interface Exchange {
  readonly signal: AbortSignal;
  readonly over: Transport;
}

/** Sends the message and tells every one that comes back; the function that it gives ends it. */
type Transport = (
  server: SocketAddress,
  message: Uint8Array,
  handlers: {
    readonly onMessage: (bytes: Uint8Array) => void;
    readonly onEnd: () => void;
  },
) => () => void;

/** The first message that answers the question; `undefined` when none comes in time. */
async function exchange(
  query: ForwardQuery,
  server: SocketAddress,
  { signal, over }: Exchange,
): Promise<ForwardAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<ForwardAnswer | undefined>();
  const id = randomInt(0x1_0000);
  const onEnd = (): void => resolve(undefined);
  signal.addEventListener("abort", onEnd);
  const close = over(server, encodeForwardQuery(query, id), {
    onMessage: (bytes) => {
      // What does not fit may be somebody else's: the right one may still come.
      const answer = decodeForwardAnswer(bytes, query, id);
      if (answer !== undefined) resolve(answer);
    },
    onEnd,
  });
  try {
    return signal.aborted ? undefined : await promise;
  } finally {
    signal.removeEventListener("abort", onEnd);
    close();
  }
}

/** A connected socket takes messages of this server alone, from the port that was asked. */
const overUdp: Transport = ({ address, port }, message, { onMessage, onEnd }) => {
  const socket: UdpSocket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", onMessage);
  socket.on("error", onEnd);
  socket.connect(port, address, (error?: Error) => {
    // The callback gets what `connect` failed with.
    if (error === undefined || error === null) socket.send(message);
    else onEnd();
  });
  return () => socket.close();
};

const overTcp: Transport = ({ address, port }, message, { onMessage, onEnd }) => {
  const socket = new Socket();
  const frames = new DnsFrames();
  socket.on("error", onEnd);
  socket.on("close", onEnd);
  socket.on("data", (bytes) => {
    for (const frame of frames.take(bytes)) onMessage(frame);
  });
  socket.connect(port, address, () => socket.write(frameOf(message)));
  return () => socket.destroy();
};
