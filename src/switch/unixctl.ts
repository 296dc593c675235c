// Commands to a running Open vSwitch daemon, as ovs-appctl(8) sends them: JSON-RPC on the daemon's control socket, the
// command being the method and its arguments, all text, the parameters.
import { JsonRpcConnection } from "./json-rpc.ts";

const maxAnswerSize = 256 * 1024 * 1024;
const defaultTimeoutMs = 10_000;

/** A connection for several commands; the daemon takes one after the other. */
export class UnixctlConnection implements Disposable {
  readonly #connection: JsonRpcConnection;

  private constructor(connection: JsonRpcConnection) {
    this.#connection = connection;
  }

  /** Connects to the daemon that listens on `path`. @throws {UnavailableError} when nothing listens there. */
  static async open(path: string, timeoutMs = defaultTimeoutMs): Promise<UnixctlConnection> {
    const connection = await JsonRpcConnection.open(
      { path },
      {
        peer: path,
        protocol: "unixctl",
        maxMessageSize: maxAnswerSize,
        connectTimeoutMs: timeoutMs,
      },
    );
    return new UnixctlConnection(connection);
  }

  /**
   * Sends the command at once and gives its output.
   * @throws {PeerError} with the daemon's words when it refuses the command.
   * @throws {UnavailableError} when no answer comes within `timeoutMs`.
   */
  async run(
    command: string,
    args: readonly string[] = [],
    timeoutMs = defaultTimeoutMs,
  ): Promise<string> {
    const output = await this.#connection.request(command, args, timeoutMs);
    return typeof output === "string" ? output : "";
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/** Runs one command of the daemon that listens on `path`. @throws {PeerError} @throws {UnavailableError} */
export async function unixctl(
  path: string,
  command: string,
  args: readonly string[] = [],
  timeoutMs = defaultTimeoutMs,
): Promise<string> {
  using connection = await UnixctlConnection.open(path, timeoutMs);
  return await connection.run(command, args, timeoutMs);
}
