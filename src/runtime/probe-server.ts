// Plain HTTP for those who look after a process: /metrics, /healthz (it answers at all) and /readyz (it does its work).
// Nothing here is secret, and nothing can be changed.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { ConnectionError } from "./errors.ts";
import type { Metrics } from "./metrics.ts";

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

export interface ProbeServerOptions {
  readonly address: TcpAddress;
  readonly metrics: Metrics;
  /** What keeps the process from doing its work; empty when nothing does. */
  readonly unready: () => readonly string[];
}

/** `HOST:PORT`, an IPv6 host with or without brackets; port 0 takes any free one. @throws {RangeError} */
export function parseTcpAddress(text: string): TcpAddress {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65535) {
    throw new RangeError(`expected HOST:PORT, got "${text}"`);
  }
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

export class ProbeServer implements AsyncDisposable {
  readonly #options: ProbeServerOptions;
  readonly #server: Server;

  private constructor(options: ProbeServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** @throws {ConnectionError} when the address is in use or not to be had. */
  static async listen(options: ProbeServerOptions): Promise<ProbeServer> {
    const { host, port } = options.address;
    const server = new ProbeServer(options);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    server.#server.once("error", reject);
    server.#server.listen(port, host, () => resolve(undefined));
    try {
      await promise;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new ConnectionError(`cannot listen on ${host}:${port}: ${cause}`, { cause: error });
    }
    return server;
  }

  /** The port in use, for a server that was given port 0. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, unready } = this.#options;
    const path = (url ?? "").split("?")[0];
    if (method !== "GET" && method !== "HEAD") {
      send(response, 405, "only GET is answered\n");
    } else if (path === "/healthz") {
      send(response, 200, "ok\n");
    } else if (path === "/readyz") {
      const reasons = unready();
      if (reasons.length === 0) send(response, 200, "ok\n");
      else send(response, 503, reasons.map((reason) => `${reason}\n`).join(""));
    } else if (path === "/metrics") {
      try {
        send(response, 200, await metrics.render(), metrics.contentType);
      } catch (error) {
        send(response, 500, `${String(error)}\n`);
      }
    } else {
      send(response, 404, "there are /metrics, /healthz and /readyz\n");
    }
  }
}

function send(response: ServerResponse, code: number, text: string, type = "text/plain"): void {
  response.writeHead(code, { "content-type": type, "cache-control": "no-store" });
  response.end(text);
}
