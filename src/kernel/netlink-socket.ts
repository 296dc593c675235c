import { closeSync, read, write } from "node:fs";
import { promisify } from "node:util";
import {
  type NetlinkMessage,
  type NetlinkRequest,
  decodeMessages,
  encodeRequests,
} from "../netlink/message.ts";
import { KernelError } from "./errors.ts";
import { errorName, openNetlink } from "./system-calls.ts";

// The kernel works requests off while they are written, and lets the writer wait where others hold its one lock for
// interfaces: so a thread of Node's pool does it.
const writeBytes = promisify(write);
const readBytes = promisify(read);

/** No read gives more (linux/netlink.h, NLMSG_GOODSIZE). */
const readSize = 64 * 1024;

/** A request, and the name of what it does for messages about failures. */
export interface NamedRequest extends NetlinkRequest {
  readonly what: string;
  /** Errors that are no failure. */
  readonly tolerated?: readonly string[];
}

/** Speaks rtnetlink in the network namespace that the thread was in when it was made. */
export class NetlinkSocket implements Disposable {
  readonly fd: number;
  readonly #buffer = Buffer.alloc(readSize);
  #turn: Promise<unknown> = Promise.resolve();

  constructor() {
    this.fd = openNetlink();
  }

  /**
   * Has the kernel do all of it, in one go; after what was asked for before. What comes behind a request that fails is done
   * as well. @returns what it answered, in this order @throws {KernelError} about the first that fails
   */
  async request(requests: readonly NamedRequest[]): Promise<readonly NetlinkMessage[]> {
    // Nothing cannot be written.
    if (requests.length === 0) return [];
    const answered = this.#turn.then(async () => await this.#exchange(requests));
    this.#turn = answered.catch(() => undefined);
    return await answered;
  }

  async #exchange(requests: readonly NamedRequest[]): Promise<readonly NetlinkMessage[]> {
    await writeBytes(this.fd, encodeRequests(requests));
    const answers: NetlinkMessage[] = [];
    let failure: KernelError | undefined;
    for (let open = requests.length; open > 0;) {
      const { bytesRead } = await readBytes(this.fd, this.#buffer, 0, readSize, null);
      // What is kept of a message must not be overwritten by the next read.
      for (const message of decodeMessages(Uint8Array.from(this.#buffer.subarray(0, bytesRead)))) {
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

  /** Nothing may be under way. */
  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
