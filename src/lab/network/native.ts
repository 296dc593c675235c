// The system calls that Node does not offer, through koffi: sockets in other network namespaces.
import { closeSync } from "node:fs";
import koffi from "koffi";
import { KernelError } from "../../kernel/errors.ts";
import { errorName, inNetns } from "../../kernel/system-calls.ts";
import { type Address, parseAddress } from "../../net/address.ts";
import { LabError } from "../errors.ts";

const libc = koffi.load("libc.so.6");
const socket = libc.func("int socket(int domain, int type, int protocol)");
const bind = libc.func("int bind(int fd, const uint8_t *address, uint32_t length)");
const setsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const int *value, uint32_t length)",
);
const connect = libc.func("int connect(int fd, const uint8_t *address, uint32_t length)");
const send = libc.func("long send(int fd, const uint8_t *data, size_t length, int flags)");
const sendto = libc.func(
  "long sendto(int fd, const uint8_t *data, size_t length, int flags, const uint8_t *address, uint32_t addressLength)",
);
const recvfrom = libc.func(
  "long recvfrom(int fd, _Out_ uint8_t *data, size_t length, int flags, _Out_ uint8_t *address, _Inout_ uint32_t *addressLength)",
);

// Values of Linux, the same on x86-64 and arm64.
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_SCTP = 132;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const AF_INET = 2;
const AF_INET6 = 10;
const MSG_DONTWAIT = 0x40;

/** A failed system call; `code` is named as Node names it. */
export class SystemCallError extends LabError {
  readonly code: string;

  constructor(call: string, code: string) {
    super(`${call}: ${code}`);
    this.code = code;
  }
}

function check(call: string, result: number): number {
  if (result >= 0) return result;
  throw new SystemCallError(call, errorName(koffi.errno()));
}

/** sockaddr_in or sockaddr_in6; `undefined` is any address of both families. */
function socketAddress(address: Address | undefined, port: number): Buffer {
  if (address?.family === 4) {
    const bytes = Buffer.alloc(16);
    new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] = AF_INET;
    bytes.writeUInt16BE(port, 2);
    bytes.writeUInt32BE(Number(address.bits), 4);
    return bytes;
  }
  const bytes = Buffer.alloc(28);
  new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] = AF_INET6;
  bytes.writeUInt16BE(port, 2);
  bytes.writeBigUInt64BE((address?.bits ?? 0n) >> 64n, 8);
  bytes.writeBigUInt64BE((address?.bits ?? 0n) & 0xffffffffffffffffn, 16);
  return bytes;
}

function openSocket(netns: string, family: 4 | 6, type: number, protocol = 0): number {
  const flags = type | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const domain = family === 4 ? AF_INET : AF_INET6;
  try {
    return inNetns(netns, () => check("socket", Number(socket(domain, flags, protocol))));
  } catch (cause) {
    throw cause instanceof KernelError ? new LabError(cause.message, { cause }) : cause;
  }
}

function bindTo(fd: number, address: Address | undefined, port: number): void {
  const bytes = socketAddress(address, port);
  check(`bind to port ${port}`, Number(bind(fd, bytes, bytes.length)));
}

/**
 * A TCP socket in the namespace whose connection is under way, from one of the namespace's addresses if that matters. The
 * caller owns the descriptor.
 */
export function connectTcp(netns: string, to: string, port: number, from?: string): number {
  const address = parseAddress(to);
  const fd = openSocket(netns, address.family, SOCK_STREAM);
  try {
    if (from !== undefined) bindTo(fd, parseAddress(from), 0);
    startConnect(fd, address, port);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

function startConnect(fd: number, address: Address, port: number): void {
  const bytes = socketAddress(address, port);
  if (Number(connect(fd, bytes, bytes.length)) >= 0) return;
  const code = errorName(koffi.errno());
  if (code === "EINPROGRESS") return;
  throw new SystemCallError("connect", code);
}

/** A UDP socket in the namespace, bound to `from` or not at all. The caller owns the descriptor. */
export function openUdp(netns: string, family: 4 | 6, from?: string): number {
  const fd = openSocket(netns, family, SOCK_DGRAM);
  try {
    if (from !== undefined) bindTo(fd, parseAddress(from), 0);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/** A socket in the namespace bound to the port, for both families. The caller owns the descriptor. */
export function bindPort(netns: string, protocol: "tcp" | "udp", port: number): number {
  const fd = openSocket(netns, 6, protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM);
  try {
    // Connections that a listener before this one has closed keep the port for a minute otherwise.
    if (protocol === "tcp") {
      check("setsockopt", Number(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, [1], 4)));
    }
    bindTo(fd, undefined, port);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

export interface Datagram {
  /** From the transport header on. */
  readonly payload: Buffer;
  /** Bytes of the sender's socket address, as `RawSctpSocket.send` takes them. */
  readonly sender: Buffer;
}

/** SCTP packets of one namespace, sent and received whole: the kernel need not know the protocol. */
export class RawSctpSocket {
  readonly fd: number;
  readonly family: 4 | 6;
  readonly #buffer = Buffer.alloc(65536);

  constructor(netns: string, family: 4 | 6) {
    this.family = family;
    this.fd = openSocket(netns, family, SOCK_RAW, IPPROTO_SCTP);
  }

  /** Sends from that address, one of the namespace's. */
  bind(address: Address): void {
    bindTo(this.fd, address, 0);
  }

  /** From now on only packets of that address are received, and its ICMP errors are reported. */
  connect(address: Address): void {
    startConnect(this.fd, address, 0);
  }

  /** To `recipient`, or where the socket is connected to. @throws {SystemCallError} */
  send(packet: Uint8Array, recipient?: Uint8Array): void {
    check(
      "send",
      Number(
        recipient === undefined
          ? send(this.fd, packet, packet.length, MSG_DONTWAIT)
          : sendto(this.fd, packet, packet.length, MSG_DONTWAIT, recipient, recipient.length),
      ),
    );
  }

  /** The next packet, `undefined` when there is none. @throws {SystemCallError} for an ICMP error that came back. */
  receive(): Datagram | undefined {
    const address = Buffer.alloc(28);
    const addressLength = [address.length];
    const size = Number(
      recvfrom(this.fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT, address, addressLength),
    );
    if (size < 0) {
      const code = errorName(koffi.errno());
      if (code === "EAGAIN") return undefined;
      throw new SystemCallError("recvfrom", code);
    }
    // Raw IPv4 sockets give the IP header as well; IPv6 ones do not.
    const headerSize = this.family === 4 ? (this.#buffer.readUInt8(0) & 0x0f) * 4 : 0;
    const payload = Buffer.from(this.#buffer.subarray(headerSize, size));
    return { payload, sender: address.subarray(0, addressLength[0]) };
  }

  close(): void {
    closeSync(this.fd);
  }
}
