// Waits for descriptors that Node cannot watch, with epoll(7).
import { readSync, writeSync } from "node:fs";
import koffi from "koffi";
import { KernelError } from "./errors.ts";
import { errorName } from "./system-calls.ts";

const libc = koffi.load("libc.so.6");
const epollCreate = libc.func("int epoll_create1(int flags)");
const epollControl = libc.func("int epoll_ctl(int epfd, int op, int fd, const uint8_t *event)");
const epollWait = libc.func(
  "int epoll_wait(int epfd, _Out_ uint8_t *events, int maxEvents, int timeoutMs)",
);
const eventfd = libc.func("int eventfd(unsigned int value, int flags)");

// Values of Linux, the same on x86-64 and arm64.
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;

function check(call: string, result: number): number {
  if (result >= 0) return result;
  const code = errorName(koffi.errno());
  throw new KernelError(`${call}: ${code}`, code);
}

/** struct epoll_event is packed on x86-64 only. */
const eventSize = process.arch === "x64" ? 12 : 16;
const eventDataAt = eventSize - 8;

function control(epoll: number, operation: number, fd: number): void {
  const event = Buffer.alloc(eventSize);
  event.writeUInt32LE(EPOLLIN, 0);
  event.writeInt32LE(fd, eventDataAt);
  check("epoll_ctl", Number(epollControl(epoll, operation, fd, event)));
}

interface EpollDescriptors {
  readonly epoll: number;
  /** An eventfd, written to when the waiting thread shall wake up with nothing to watch. */
  readonly wake: number;
}

/** A process that exits waits for the threads of its pool, so none may sleep for long. */
const waitMs = 1_000;

/** What is added to an eventfd. */
const one = new BigUint64Array([1n]);

function openEpoll(): EpollDescriptors {
  const epoll = check("epoll_create1", Number(epollCreate(SOCK_CLOEXEC)));
  const wake = check("eventfd", Number(eventfd(0, SOCK_CLOEXEC | SOCK_NONBLOCK)));
  control(epoll, EPOLL_CTL_ADD, wake);
  return { epoll, wake };
}

/**
 * Tells when descriptors that Node cannot watch have something to read. While any is watched, one thread of Node's pool
 * sleeps in epoll_wait, and the process stays alive.
 */
class ReadWatcher {
  /** Made at the first need. */
  #descriptors: EpollDescriptors | undefined;
  readonly #watched = new Map<number, () => void>();
  #waiting = false;

  /** Calls `onReadable` whenever there is something to read, until `unwatch`. */
  watch(fd: number, onReadable: () => void): void {
    const descriptors = (this.#descriptors ??= openEpoll());
    this.#watched.set(fd, onReadable);
    control(descriptors.epoll, EPOLL_CTL_ADD, fd);
    if (!this.#waiting) this.#wait(descriptors);
  }

  /** To be called before the descriptor is closed. */
  unwatch(fd: number): void {
    if (this.#descriptors === undefined || !this.#watched.delete(fd)) return;
    const { epoll, wake } = this.#descriptors;
    control(epoll, EPOLL_CTL_DEL, fd);
    if (this.#watched.size === 0) writeSync(wake, one);
  }

  #wait({ epoll, wake }: EpollDescriptors): void {
    this.#waiting = true;
    const events = Buffer.alloc(eventSize * 64);
    epollWait.async(epoll, events, 64, waitMs, (error: unknown, length: unknown) => {
      this.#waiting = false;
      if (error !== null) throw error;
      for (let index = 0; index < Number(length); index++) {
        const fd = events.readInt32LE(index * eventSize + eventDataAt);
        // Read, the descriptor is no longer readable.
        if (fd === wake) readSync(wake, Buffer.alloc(8));
        else this.#watched.get(fd)?.();
      }
      if (this.#watched.size > 0) this.#wait({ epoll, wake });
    });
  }
}

/** The one of this process. */
export const readWatcher = new ReadWatcher();
