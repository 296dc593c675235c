// Stands between an agent and its bridge's OpenFlow socket, and counts the flows that the agent changes.
import { rmSync } from "node:fs";
import { type Server, type Socket, connect, createServer } from "node:net";
import { once } from "node:events";
import { Framer } from "../../src/openflow/framer.ts";
import { decodeMessage } from "../../src/openflow/message.ts";

export class SwitchProxy implements AsyncDisposable {
  /** Flow changes since the last `reset`, in bundles or alone. */
  flowMods = 0;
  /** Bundles that were committed since then. */
  commits = 0;
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: string) {
    this.#server = createServer((socket) => {
      this.connections += 1;
      const upstream = connect(target);
      const framer = new Framer();
      for (const [from, to] of [
        [socket, upstream],
        [upstream, socket],
      ] as const) {
        this.#sockets.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => {
          to.destroy();
          this.#sockets.delete(from);
        });
        from.on("data", (chunk) => {
          if (from === socket) for (const bytes of framer.push(chunk)) this.#count(bytes);
          to.write(chunk);
        });
      }
    });
  }

  static async listen(path: string, target: string): Promise<SwitchProxy> {
    rmSync(path, { force: true });
    const proxy = new SwitchProxy(target);
    proxy.#server.listen(path);
    await once(proxy.#server, "listening");
    return proxy;
  }

  reset(): void {
    this.flowMods = 0;
    this.commits = 0;
  }

  /** Cuts every connection. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    this.#server.close();
    await once(this.#server, "close");
  }

  #count(bytes: Uint8Array): void {
    const { message } = decodeMessage(bytes);
    const inner = message.kind === "bundle-add" ? message.message : message;
    if (inner.kind === "flow-mod") this.flowMods += 1;
    if (message.kind === "bundle-control" && message.type === "commit-request") this.commits += 1;
  }
}
