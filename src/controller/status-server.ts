import { MessageServer } from "../runtime/message-server.ts";
import type { ControllerStatus } from "./controller.ts";

const limits = { maxMessageSize: 64 << 10, maxQueuedSize: 64 << 20 } as const;

/** Answers every message on a Unix socket with the present status. */
export class StatusServer implements AsyncDisposable {
  readonly #server: MessageServer;

  private constructor(server: MessageServer) {
    this.#server = server;
  }

  static async listen(path: string, status: () => ControllerStatus): Promise<StatusServer> {
    const server = await MessageServer.listen({
      ...limits,
      address: { kind: "unix", path },
      onStream: (stream) =>
        stream.start({ onMessage: () => stream.send(status()), onClose: () => {} }),
    });
    return new StatusServer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }
}
