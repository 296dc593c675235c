import { closeSync, readSync, writeSync } from "node:fs";
import {
  type NetlinkMessage,
  type NetlinkRequest,
  decodeMessages,
  encodeRequests,
} from "../netlink/message.ts";
import { KernelError } from "./errors.ts";
import { errorName, openNetlink } from "./system-calls.ts";

/** No read gives more (linux/netlink.h, NLMSG_GOODSIZE). */
const readSize = 64 * 1024;

/** A request, and the name of what it does for messages about failures. */
export interface NamedRequest extends NetlinkRequest {
  readonly what: string;
  /** Errors that are no failure. */
  readonly tolerated?: readonly string[];
}

/** Speaks rtnetlink in the network namespace that the thread was in when it was made. Blocks its thread. */
export class NetlinkSocket implements Disposable {
  readonly fd: number;
  readonly #buffer = new Uint8Array(readSize);

  constructor() {
    this.fd = openNetlink();
  }

  /**
   * Has the kernel do all of it, in one go. What comes behind a request that fails is done as well.
   * @returns what it answered, in this order @throws {KernelError} about the first that fails
   */
  request(requests: readonly NamedRequest[]): readonly NetlinkMessage[] {
    writeSync(this.fd, encodeRequests(requests));
    const answers: NetlinkMessage[] = [];
    let failure: KernelError | undefined;
    for (let open = requests.length; open > 0;) {
      // What is kept of a message must not be overwritten by the next read.
      const bytes = this.#buffer.slice(0, readSync(this.fd, this.#buffer));
      for (const message of decodeMessages(bytes)) {
        if (!("verdict" in message)) {
          answers.push(message);
          continue;
        }
        open -= 1;
        const { what = "netlink", tolerated = [] } = requests[message.index] ?? {};
        const { errno, text } = message.verdict;
        const code = errorName(errno);
        if (errno === 0 || tolerated.includes(code)) continue;
        failure ??= new KernelError(`${what}: ${text === "" ? code : text}`, code);
      }
    }
    if (failure !== undefined) throw failure;
    return answers;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
