import { randomInt } from "node:crypto";
import { parseAddress } from "../../net/address.ts";
import { type Attempt, type AttemptResult, type ProbeTarget, failure } from "./attempt.ts";
import { readWatcher } from "../../kernel/read-watcher.ts";
import { RawSctpSocket } from "./native.ts";
import { decodeSctp, encodeSctp } from "./sctp-packet.ts";

/**
 * Sends an INIT and waits for its INIT ACK or ABORT. That is as far as an association needs to go to show that packets
 * pass both ways. The kernel's own SCTP is not used: many kernels are built without.
 * @throws {LabError} when not even an attempt can be made.
 */
export function attemptSctp({ netns, to, port, from }: ProbeTarget): Attempt {
  const { promise, resolve } = Promise.withResolvers<AttemptResult>();
  const address = parseAddress(to);
  const socket = new RawSctpSocket(netns, address.family);
  const sourcePort = randomInt(49152, 65536);
  const initiateTag = randomInt(1, 2 ** 32);
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    readWatcher.unwatch(socket.fd);
    socket.close();
  };
  const receive = (): void => {
    try {
      const answer = socket.receive();
      const packet = answer && decodeSctp(answer.payload);
      // Every raw socket of the namespace sees the packets for all of them.
      if (packet?.destinationPort !== sourcePort || packet.sourcePort !== port) return;
      if (packet.kind === "init" || packet.verificationTag !== initiateTag) return;
      if (packet.kind === "abort") resolve({ kind: "failed", code: "ECONNREFUSED" });
      else resolve({ kind: "answered", by: packet.cookie.toString() });
    } catch (error) {
      resolve(failure(error));
    }
  };
  readWatcher.watch(socket.fd, receive);
  try {
    if (from !== undefined) socket.bind(parseAddress(from));
    socket.connect(address);
    socket.send(encodeSctp({ kind: "init", sourcePort, destinationPort: port, initiateTag }));
  } catch (error) {
    close();
    throw error;
  }
  return { result: promise, atTimeout: () => undefined, close };
}
