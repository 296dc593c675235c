import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { type Answer, decode, encode } from "dns-packet";
import { bindPort } from "../../src/lab/network/native.ts";

/** Another DNS server, in a pod; answers from a list. */
export class UpstreamServer implements Disposable {
  readonly zone = new Map<string, Answer[]>();
  asked: string[] = [];
  #isSilent = false;
  readonly #socket: UdpSocket;

  constructor(netns: string) {
    this.#socket = createSocket("udp6");
    this.#socket.on("message", (bytes, { port, address }) => {
      const { id = 0, questions = [] } = decode(bytes);
      const [question] = questions;
      if (question === undefined) return;
      this.asked.push(`${question.name} ${question.type}`);
      if (this.#isSilent) return;
      const known = this.zone.get(question.name.toLowerCase());
      const answers = known?.filter(({ type }) => type === question.type || type === "CNAME");
      const flags = answers === undefined ? 0x0183 : 0x0180;
      const reply = { type: "response" as const, id, flags, questions: [question] };
      this.#socket.send(encode({ ...reply, answers: answers ?? [] }), port, address);
    });
    this.#socket.bind({ fd: bindPort(netns, "udp", 53) });
  }

  set isSilent(silent: boolean) {
    this.#isSilent = silent;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
