// The system calls that Node does not offer, through koffi.
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import koffi from "koffi";
import { KernelError } from "./errors.ts";

const libc = koffi.load("libc.so.6");
const callSetns = libc.func("int setns(int fd, int nstype)");
const callSocket = libc.func("int socket(int domain, int type, int protocol)");
const callSetsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const int *value, uint32_t length)",
);
const ethtoolValue = koffi.struct({ command: "uint32", data: "uint32" });
/** struct ifreq, with the member of its union that SIOCETHTOOL uses. */
const interfaceRequest = koffi.struct({
  name: koffi.array("char", 16),
  data: koffi.pointer(ethtoolValue),
  rest: koffi.array("uint8", 16),
});
const callIoctl = libc.func("ioctl", "int", ["int", "ulong", koffi.pointer(interfaceRequest)]);

// Values of Linux, the same on x86-64 and arm64.
const CLONE_NEWNET = 0x40000000;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_STXCSUM = 0x17;

/** Name of an error number, e.g. `ECONNREFUSED`. */
export function errorName(number: number): string {
  const names = Object.entries(constants.errno);
  return names.find(([, value]) => value === number)?.[0] ?? `error ${number}`;
}

function check(call: string, result: unknown): number {
  const value = Number(result);
  if (value >= 0) return value;
  const code = errorName(koffi.errno());
  throw new KernelError(`${call}: ${code}`, code);
}

let home: number | undefined;

/**
 * Runs `work` with the calling thread in another network namespace. Sockets made there stay there, also for what is done with
 * them later. `work` must be synchronous through and through: what it defers runs at home.
 * @throws {KernelError} when there is no such namespace.
 */
export function inNetns<T>(path: string, work: () => T): T {
  home ??= openSync("/proc/thread-self/ns/net", "r");
  using there = openNetns(path);
  check(`setns ${path}`, callSetns(there.fd, CLONE_NEWNET));
  try {
    return work();
  } finally {
    // Going on in the wrong namespace would be worse than not going on.
    if (Number(callSetns(home, CLONE_NEWNET)) < 0) process.abort();
  }
}

/** Keeps the namespace alive while it is open. @throws {KernelError} when there is none. */
export function openNetns(path: string): Disposable & { readonly fd: number } {
  try {
    const fd = openSync(path, "r");
    return { fd, [Symbol.dispose]: () => closeSync(fd) };
  } catch (cause) {
    const code = codeOf(cause);
    throw new KernelError(`no network namespace ${path} (${code})`, code, { cause });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** A socket of rtnetlink(7) in the namespace that the thread is in. The caller owns the descriptor. @throws {KernelError} */
export function openNetlink(): number {
  const fd = check(
    "netlink socket",
    callSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
  );
  // Errors in words, and without the request that they are about.
  for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK]) {
    check("setsockopt", callSetsockopt(fd, SOL_NETLINK, option, [1], 4));
  }
  return fd;
}

/**
 * Has the kernel fill in checksums before it hands packets to the interface, as `ethtool -K NAME tx off` does. `fd` is any
 * socket of the interface's namespace. The kernel may let it wait: a thread of Node's pool does. @throws {KernelError}
 */
export async function fillChecksums(fd: number, name: string): Promise<void> {
  const request = {
    name,
    data: koffi.as({ command: ETHTOOL_STXCSUM, data: 0 }, koffi.pointer(ethtoolValue)),
    rest: Array.from({ length: 16 }, () => 0),
  };
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  callIoctl.async(fd, SIOCETHTOOL, request, (error: unknown, result: unknown) => {
    if (error === null) resolve(result);
    else reject(error);
  });
  // The number of the error stays in the thread that has called.
  if (Number(await promise) < 0) throw new KernelError(`checksums of ${name}: refused`, "");
}
