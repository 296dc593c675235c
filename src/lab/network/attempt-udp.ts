import { createSocket } from "node:dgram";
import { parseAddress } from "../../net/address.ts";
import {
  type Attempt,
  type AttemptResult,
  type ProbeTarget,
  failure,
  identityIn,
} from "./attempt.ts";
import { openUdp } from "./native.ts";

/** Sends one datagram and waits for one back. @throws {LabError} when not even an attempt can be made. */
export function attemptUdp({ netns, to, port, from }: ProbeTarget): Attempt {
  const { promise, resolve } = Promise.withResolvers<AttemptResult>();
  const { family } = parseAddress(to);
  const fd = openUdp(netns, family, from);
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  let open = true;
  const close = (): void => {
    if (open) socket.close();
    open = false;
  };
  socket.on("error", (error) => resolve(failure(error)));
  socket.on("message", (bytes) => resolve({ kind: "answered", by: identityIn(bytes.toString()) }));
  socket.bind({ fd });
  // Connected, the socket is told when the other end answers by ICMP that the port is closed.
  socket.connect(port, to, (error?: Error) => {
    if (error !== undefined && error !== null) resolve(failure(error));
    else if (open) socket.send("?\n");
  });
  return { result: promise, atTimeout: () => undefined, close };
}
