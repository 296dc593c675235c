// What runs in the lab's pods: listeners that answer with the name of the pod they stand for. One process serves all
// pods, through sockets made in their network namespaces.
import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { type Socket as TcpSocket, createServer } from "node:net";
import { RawSctpSocket, readWatcher, SystemCallError, bindPort } from "./native.ts";
import { decodeSctp, encodeSctp } from "./sctp-packet.ts";

type ListenerProtocol = "tcp" | "udp" | "sctp";

interface ListenerPort {
  readonly protocol: ListenerProtocol;
  readonly port: number;
}

export interface ListenerSpec {
  /** Path of the network namespace. */
  readonly netns: string;
  /** What is answered, without a newline, e.g. `shop/web-1`. */
  readonly identity: string;
  readonly ports: readonly ListenerPort[];
}

interface Closable {
  close(): unknown;
}

/** How long a client may take to hear the answer and hang up. */
const longestConnectionMs = 5_000;

/** Each accepted connection gets the identity and a newline and is closed, whatever the client says. */
function listenTcp(netns: string, port: number, identity: string): Closable {
  const fd = bindPort(netns, "tcp", port);
  const connections = new Set<TcpSocket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(longestConnectionMs, () => socket.destroy());
    socket.resume();
    socket.end(`${identity}\n`);
  });
  server.listen({ fd });
  return {
    close: () => {
      server.close();
      // A client that is gone with its network would be waited for.
      for (const socket of connections) socket.destroy();
    },
  };
}

/** Each datagram is answered with the identity and a newline. */
function listenUdp(netns: string, port: number, identity: string): UdpSocket {
  const fd = bindPort(netns, "udp", port);
  const socket = createSocket("udp6");
  socket.on("error", () => undefined);
  socket.on("message", (_, sender) => {
    socket.send(`${identity}\n`, sender.port, sender.address, () => undefined);
  });
  socket.bind({ fd });
  return socket;
}

/**
 * Answers each INIT on one of the ports with an INIT ACK that carries the identity as its state cookie, and other INITs
 * with an ABORT, as an SCTP end point does. Associations are never completed.
 */
class SctpResponder {
  readonly #sockets: readonly RawSctpSocket[];
  readonly #ports: ReadonlySet<number>;
  readonly #identity: string;

  constructor(spec: ListenerSpec, ports: ReadonlySet<number>) {
    this.#ports = ports;
    this.#identity = spec.identity;
    this.#sockets = [new RawSctpSocket(spec.netns, 4), new RawSctpSocket(spec.netns, 6)];
    for (const socket of this.#sockets) readWatcher.watch(socket.fd, () => this.#answer(socket));
  }

  close(): void {
    for (const socket of this.#sockets) {
      readWatcher.unwatch(socket.fd);
      socket.close();
    }
  }

  #answer(socket: RawSctpSocket): void {
    try {
      this.#answerNext(socket);
    } catch (error) {
      // The way back may be gone by now: the answer is lost, as a packet can be.
      if (!(error instanceof SystemCallError)) throw error;
    }
  }

  #answerNext(socket: RawSctpSocket): void {
    const datagram = socket.receive();
    const packet = datagram && decodeSctp(datagram.payload);
    if (packet?.kind !== "init") return;
    const back = {
      sourcePort: packet.destinationPort,
      destinationPort: packet.sourcePort,
      verificationTag: packet.initiateTag,
    };
    const cookie = Buffer.from(this.#identity);
    const answer = this.#ports.has(packet.destinationPort)
      ? encodeSctp({ kind: "init-ack", ...back, initiateTag: 1, cookie })
      : encodeSctp({ kind: "abort", ...back });
    socket.send(answer, datagram?.sender);
  }
}

/** All listeners of a lab, by network namespace and, several pods sharing their node's, by identity. */
export class Listeners {
  readonly #open = new Map<string, Map<string, readonly Closable[]>>();

  /**
   * Opens the ports; what the same identity had open there is closed first.
   * @throws {LabError} when there is no such namespace or a port cannot be had. Then none of them is open.
   */
  open(spec: ListenerSpec): void {
    const { netns, identity, ports } = spec;
    this.close(netns, identity);
    const opened: Closable[] = [];
    const shared = this.#open.get(netns) ?? new Map<string, readonly Closable[]>();
    this.#open.set(netns, shared.set(identity, opened));
    try {
      for (const { protocol, port } of ports) {
        if (protocol === "tcp") opened.push(listenTcp(netns, port, identity));
        else if (protocol === "udp") opened.push(listenUdp(netns, port, identity));
      }
      const sctp = ports.filter(({ protocol }) => protocol === "sctp").map(({ port }) => port);
      if (sctp.length > 0) opened.push(new SctpResponder(spec, new Set(sctp)));
    } catch (error) {
      this.close(netns, identity);
      throw error;
    }
  }

  /** Closes what the identity has open, or everything in the namespace, which lives on while a socket in it is open. */
  close(netns: string, identity?: string): void {
    const shared = this.#open.get(netns);
    if (shared === undefined) return;
    for (const [name, opened] of shared) {
      if (identity !== undefined && identity !== name) continue;
      for (const one of opened) one.close();
      shared.delete(name);
    }
    if (shared.size === 0) this.#open.delete(netns);
  }

  closeAll(): void {
    for (const netns of this.#open.keys()) this.close(netns);
  }
}
