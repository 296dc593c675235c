// What runs in the lab's pods: listeners that answer with the name of the pod they stand for. One process serves all
// pods, through sockets made in their network namespaces.
import { type Socket as UdpSocket, createSocket } from "node:dgram";
import { type Socket as TcpSocket, createServer } from "node:net";
import { LabError } from "../errors.ts";
import { readWatcher } from "../../kernel/read-watcher.ts";
import { RawSctpSocket, SystemCallError, bindPort } from "./native.ts";
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
 * The SCTP of one namespace. Answers an INIT to a port where somebody listens with an INIT ACK that carries his identity
 * as its state cookie, and other INITs with an ABORT, as an SCTP end point does. Associations are never completed. It is
 * there also where nobody listens: the kernel's own answer, an ICMP error, does not say to which of several probes.
 */
class SctpResponder {
  readonly #sockets: readonly RawSctpSocket[];
  readonly #identities = new Map<number, string>();

  constructor(netns: string) {
    this.#sockets = [new RawSctpSocket(netns, 4), new RawSctpSocket(netns, 6)];
    for (const socket of this.#sockets) readWatcher.watch(socket.fd, () => this.#answer(socket));
  }

  /** @throws {LabError} when somebody listens there */
  listen(port: number, identity: string): Closable {
    if (this.#identities.has(port)) throw new LabError(`SCTP port ${port} is in use`);
    this.#identities.set(port, identity);
    return { close: () => this.#identities.delete(port) };
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
    const identity = this.#identities.get(packet.destinationPort);
    const answer =
      identity === undefined
        ? encodeSctp({ kind: "abort", ...back })
        : encodeSctp({ kind: "init-ack", ...back, initiateTag: 1, cookie: Buffer.from(identity) });
    socket.send(answer, datagram?.sender);
  }
}

/** What is open in one network namespace: pods that use their node's share it. */
interface Shared {
  readonly sctp: SctpResponder;
  readonly byIdentity: Map<string, readonly Closable[]>;
}

/** All listeners of a lab, by network namespace and identity. */
export class Listeners {
  readonly #open = new Map<string, Shared>();

  /**
   * Opens the ports; what the same identity had open there is closed first.
   * @throws {LabError} when there is no such namespace or a port cannot be had. Then none of them is open.
   */
  open({ netns, identity, ports }: ListenerSpec): void {
    this.close(netns, identity);
    const shared = this.#open.get(netns) ?? {
      sctp: new SctpResponder(netns),
      byIdentity: new Map(),
    };
    const opened: Closable[] = [];
    this.#open.set(netns, shared);
    shared.byIdentity.set(identity, opened);
    try {
      for (const { protocol, port } of ports) {
        if (protocol === "tcp") opened.push(listenTcp(netns, port, identity));
        else if (protocol === "udp") opened.push(listenUdp(netns, port, identity));
        else opened.push(shared.sctp.listen(port, identity));
      }
    } catch (error) {
      this.close(netns, identity);
      throw error;
    }
  }

  /** Closes what the identity has open, or everything in the namespace, which lives on while a socket in it is open. */
  close(netns: string, identity?: string): void {
    const shared = this.#open.get(netns);
    if (shared === undefined) return;
    for (const [name, opened] of shared.byIdentity) {
      if (identity !== undefined && identity !== name) continue;
      for (const one of opened) one.close();
      shared.byIdentity.delete(name);
    }
    if (shared.byIdentity.size > 0) return;
    shared.sctp.close();
    this.#open.delete(netns);
  }

  closeAll(): void {
    for (const netns of this.#open.keys()) this.close(netns);
  }
}
