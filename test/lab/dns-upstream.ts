import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { type Answer, type Question, decode, encode } from "dns-packet";
import { bindPort } from "../../src/lab/network/native.ts";

/** A DNS server in a pod, which answers from a list. */
export class UpstreamServer implements Disposable {
  readonly zone = new Map<string, Answer[]>();
  asked: string[] = [];
  isSilent = false;
  /** Further messages that go before each answer. */
  extra: ((id: number, question: Question) => Buffer[]) | undefined;
  readonly #socket: UdpSocket;

  constructor(netns: string) {
    this.#socket = createSocket("udp6");
    this.#socket.on("message", (bytes, { port, address }) => {
      const { id = 0, questions = [] } = decode(bytes);
      const [question] = questions;
      if (question === undefined) return;
      this.asked.push(`${question.name} ${question.type}`);
      if (this.isSilent) return;
      const messages = this.extra?.(id, question) ?? [];
      for (const message of [...messages, this.#answer(id, question)]) {
        this.#socket.send(message, port, address);
      }
    });
    this.#socket.bind({ fd: bindPort(netns, "udp", 53) });
  }

  /** A name with addresses, behind as many aliases as given. */
  set(name: string, addresses: readonly string[], aliases: readonly string[] = [], ttl = 1): void {
    const chain = [name, ...aliases];
    const answers: Answer[] = aliases.map((alias, index) => ({
      type: "CNAME",
      name: chain[index] ?? "",
      ttl,
      data: alias,
    }));
    for (const data of addresses) {
      const type = data.includes(":") ? "AAAA" : "A";
      answers.push({ type, name: chain.at(-1) ?? name, ttl, data });
    }
    this.zone.set(name, answers);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #answer(id: number, question: Question): Buffer {
    const known = this.zone.get(question.name.toLowerCase());
    const answers = known?.filter(({ type }) => type === question.type || type === "CNAME") ?? [];
    const flags = known === undefined ? 0x0183 : 0x0180;
    return encode({ type: "response", id, flags, questions: [question], answers });
  }
}
