// A TCP port in a network namespace behind which is one on this machine's loopback: pods reach the API server by it.
import { type Socket, connect, createServer } from "node:net";
import { bindPort } from "./native.ts";

export interface FrontOptions {
  /** Path of the network namespace. */
  readonly netns: string;
  readonly port: number;
  /** On loopback. */
  readonly toPort: number;
}

/** Forwards until closed. @throws {LabError} when the port cannot be had */
export function openFront({ netns, port, toPort }: FrontOptions): Disposable {
  const fd = bindPort(netns, "tcp", port);
  const sockets = new Set<Socket>();
  const keep = (socket: Socket, other: () => Socket | undefined): void => {
    sockets.add(socket);
    socket.on("error", () => other()?.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      other()?.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(toPort, "127.0.0.1");
    keep(client, () => upstream);
    keep(upstream, () => client);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen({ fd });
  return {
    [Symbol.dispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
