// Questions from a pod's or a node's network namespace, by UDP and TCP.
import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type DecodedPacket, type RecordType, decode, encode } from "dns-packet";
import { DnsFrames, frameOf } from "../../src/agent/dns/frames.ts";
import { connectTcp, openUdp } from "../../src/lab/network/native.ts";

export interface DnsQuestion {
  readonly netns: string;
  /** Address of the server. */
  readonly server: string;
  readonly name: string;
  readonly type: RecordType;
  readonly transport?: "udp" | "tcp";
}

export interface DnsAnswer {
  readonly code: string;
  /** `TYPE data`, sorted. */
  readonly records: readonly string[];
  readonly message: DecodedPacket;
}

const codes: Readonly<Record<number, string>> = {
  0: "NOERROR",
  1: "FORMERR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  4: "NOTIMP",
  5: "REFUSED",
};

function recordText(answer: Answer): string {
  if (answer.type === "SRV") return `SRV ${answer.data.port} ${answer.data.target}`;
  if (answer.type === "TXT") {
    return `TXT ${[answer.data].flat().map(String).join("")}`;
  }
  return "data" in answer && typeof answer.data === "string"
    ? `${answer.type} ${answer.data}`
    : answer.type;
}

function read(bytes: Buffer): DnsAnswer {
  const message = decode(bytes);
  return {
    code: codes[(message.flags ?? 0) & 0xf] ?? "other",
    records: (message.answers ?? []).map(recordText).toSorted(),
    message,
  };
}

function encodeQuestion({ name, type }: Pick<DnsQuestion, "name" | "type">, id: number): Buffer {
  return encode({ type: "query", id, flags: 0x0100, questions: [{ name, type }] });
}

/** A socket in the namespace that asks from one port. */
export class DnsSocket implements Disposable {
  readonly #socket: UdpSocket;
  readonly #server: string;
  readonly #waiting = new Map<number, (answer: DnsAnswer) => void>();
  #id = 0;

  constructor(netns: string, server: string) {
    const family = server.includes(":") ? 6 : 4;
    this.#server = server;
    this.#socket = createSocket(`udp${family}`);
    this.#socket.bind({ fd: openUdp(netns, family) });
    this.#socket.on("error", () => undefined);
    this.#socket.on("message", (bytes) => {
      const answer = read(bytes);
      const id = answer.message.id ?? -1;
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  /** Once, without asking again. @returns `undefined` when no answer comes in time */
  async ask(name: string, type: RecordType, timeoutMs = 3_000): Promise<DnsAnswer | undefined> {
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    const { promise, resolve } = Promise.withResolvers<DnsAnswer | undefined>();
    this.#waiting.set(id, resolve);
    this.#socket.send(encodeQuestion({ name, type }, id), 53, this.#server);
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

async function askOverTcp(
  question: DnsQuestion,
  timeoutMs: number,
): Promise<DnsAnswer | undefined> {
  const socket = new Socket({ fd: connectTcp(question.netns, question.server, 53) });
  const { promise, resolve } = Promise.withResolvers<DnsAnswer | undefined>();
  const frames = new DnsFrames();
  socket.on("error", () => resolve(undefined));
  socket.on("close", () => resolve(undefined));
  socket.on("data", (bytes: Buffer) => {
    for (const frame of frames.take(bytes)) resolve(read(frame));
  });
  socket.write(frameOf(encodeQuestion(question, 7)));
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** Once. @returns `undefined` when no answer comes in time */
export async function askOnce(
  question: DnsQuestion,
  timeoutMs = 3_000,
): Promise<DnsAnswer | undefined> {
  if (question.transport === "tcp") return await askOverTcp(question, timeoutMs);
  using socket = new DnsSocket(question.netns, question.server);
  return await socket.ask(question.name, question.type, timeoutMs);
}

/** As resolvers ask: again after a while. @throws {Error} when there is no answer at all */
export async function ask(question: DnsQuestion): Promise<DnsAnswer> {
  for (let attempt = 0; attempt < 15; attempt++) {
    const answer = await askOnce(question, 2_000);
    if (answer !== undefined) return answer;
    await sleep(100);
  }
  throw new Error(`no answer for ${question.name} ${question.type}`);
}
