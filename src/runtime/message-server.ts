import { unlinkSync } from "node:fs";
import { type Server, type Socket, connect, createServer } from "node:net";
import { Server as TlsServer, createServer as createTlsServer } from "node:tls";
import { ConnectionError } from "./errors.ts";
import { MessageStream, type StreamLimits } from "./message-stream.ts";
import { type StreamAddress, type TlsCredentials, formatStreamAddress } from "./stream-address.ts";

export interface ListenOptions extends StreamLimits {
  readonly address: StreamAddress;
  /** Needed for TLS addresses. */
  readonly credentials?: TlsCredentials;
  /** Lets TLS peers in that show no trusted certificate; they are to prove themselves by what they say. */
  readonly withoutCertificate?: boolean;
  /** Called for each peer; it calls `start` on the stream. */
  readonly onStream: (stream: MessageStream) => void;
}

/** Accepts streams of JSON messages. A Unix socket is open to its owner alone; TLS peers show a certificate or are told apart. */
export class MessageServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: ListenOptions) {
    this.#server = createListener(options, (socket) => {
      options.onStream(new MessageStream(socket, options));
    });
    // Under TLS these are the sockets below, those among them whose handshake is never finished.
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** @throws {ConnectionError} when the address is in use or not to be had. */
  static async listen(options: ListenOptions): Promise<MessageServer> {
    const { address } = options;
    if (address.kind === "unix") await removeStaleSocket(address.path);
    const server = new MessageServer(options);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    server.#server.once("error", reject);
    if (address.kind === "unix") {
      // The socket's file is made inside this call; it must never exist with wider permissions.
      const before = process.umask(0o177);
      server.#server.listen(address.path, () => resolve(undefined));
      process.umask(before);
    } else {
      server.#server.listen(address.port, address.host, () => resolve(undefined));
    }
    try {
      await promise;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new ConnectionError(`cannot listen on ${formatStreamAddress(address)}: ${cause}`, {
        cause: error,
      });
    }
    return server;
  }

  /** The port in use, for servers that were given port 0. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === "object" ? address?.port : undefined;
  }

  /** Uses other credentials from the next TLS connection on. */
  renew({ ca, certificate, key }: TlsCredentials): void {
    if (!(this.#server instanceof TlsServer)) return;
    this.#server.setSecureContext({ ca, cert: certificate, key, minVersion: "TLSv1.3" });
  }

  /** Stops listening and closes every stream. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function createListener(options: ListenOptions, accept: (socket: Socket) => void): Server {
  if (options.address.kind === "unix") return createServer({ allowHalfOpen: true }, accept);
  if (options.credentials === undefined) {
    throw new ConnectionError(
      `${formatStreamAddress(options.address)} needs a certificate, key and CA`,
    );
  }
  const { ca, certificate, key } = options.credentials;
  return createTlsServer(
    {
      ca,
      cert: certificate,
      key,
      minVersion: "TLSv1.3",
      noDelay: true,
      requestCert: true,
      rejectUnauthorized: options.withoutCertificate !== true,
      handshakeTimeout: 10_000,
    },
    accept,
  );
}

/** A socket file outlives a killed process. It is removed only when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(undefined);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  if (code === undefined) throw new ConnectionError(`${path} is in use by another process`);
  if (code === "ECONNREFUSED") unlinkSync(path);
}
