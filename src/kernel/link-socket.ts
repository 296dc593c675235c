// Whole frames of one interface, sent and received past the network stack: packet(7).
import { closeSync } from "node:fs";
import koffi from "koffi";
import { KernelError } from "./errors.ts";
import { errorName } from "./system-calls.ts";

const libc = koffi.load("libc.so.6");
/** struct sock_filter, as it stands in memory: 8 bytes for each instruction. */
const filterProgram = koffi.struct({ length: "uint16", instructions: koffi.pointer("uint8") });
const socket = libc.func("int socket(int domain, int type, int protocol)");
const bind = libc.func("int bind(int fd, const uint8_t *address, uint32_t length)");
const setFilter = libc.func("setsockopt", "int", [
  "int",
  "int",
  "int",
  koffi.pointer(filterProgram),
  "uint32",
]);
const send = libc.func("long send(int fd, const uint8_t *data, size_t length, int flags)");
const recvfrom = libc.func(
  "long recvfrom(int fd, _Out_ uint8_t *data, size_t length, int flags, _Out_ uint8_t *address, _Inout_ uint32_t *addressLength)",
);

// Values of Linux, the same on x86-64 and arm64.
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const MSG_DONTWAIT = 0x40;
const addressSize = 20;
/** struct sockaddr_ll, sll_pkttype; PACKET_OUTGOING of linux/if_packet.h. */
const packetTypeAt = 10;
const outgoing = 4;
/** What is read of a frame: questions and answers about neighbours are far shorter. */
const readSize = 512;

/** One instruction of the classic packet filter (linux/filter.h). */
export interface FilterInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly value: number;
}

export interface LinkSocketOptions {
  /** Index of the interface. */
  readonly index: number;
  /** Which frames are received. */
  readonly etherType: number;
  /** Which of these; all when absent. */
  readonly filter?: readonly FilterInstruction[];
}

function check(call: string, result: unknown): number {
  const value = Number(result);
  if (value >= 0) return value;
  const code = errorName(koffi.errno());
  throw new KernelError(`${call}: ${code}`, code);
}

function encodeFilter(filter: readonly FilterInstruction[]): Uint8Array {
  const bytes = new Uint8Array(filter.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jumpTrue, jumpFalse, value }] of filter.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jumpTrue);
    view.setUint8(index * 8 + 3, jumpFalse);
    view.setUint32(index * 8 + 4, value, true);
  }
  return bytes;
}

export class LinkSocket implements Disposable {
  readonly fd: number;
  readonly #buffer = new Uint8Array(readSize);

  /** In the network namespace of the calling thread. @throws {KernelError} */
  constructor({ index, etherType, filter = [] }: LinkSocketOptions) {
    // Nothing is received before the filter is there and the interface is known.
    const flags = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
    this.fd = check("packet socket", socket(AF_PACKET, flags, 0));
    try {
      if (filter.length > 0) {
        const program = { length: filter.length, instructions: encodeFilter(filter) };
        const size = koffi.sizeof(filterProgram);
        const result = setFilter(this.fd, SOL_SOCKET, SO_ATTACH_FILTER, program, size);
        check("packet filter", result);
      }
      const address = new Uint8Array(addressSize);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_PACKET, true);
      view.setUint16(2, etherType);
      view.setInt32(4, index, true);
      check("bind to an interface", bind(this.fd, address, address.length));
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  /** @throws {KernelError} */
  send(frame: Uint8Array): void {
    check("send a frame", send(this.fd, frame, frame.length, MSG_DONTWAIT));
  }

  /** The next frame that came in, `undefined` when there is none. @throws {KernelError} */
  receive(): Uint8Array | undefined {
    for (;;) {
      const address = new Uint8Array(addressSize);
      const size = Number(
        recvfrom(this.fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT, address, [addressSize]),
      );
      if (size < 0) {
        const code = errorName(koffi.errno());
        if (code === "EAGAIN") return undefined;
        throw new KernelError(`receive a frame: ${code}`, code);
      }
      if (address[packetTypeAt] !== outgoing) return this.#buffer.slice(0, size);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
