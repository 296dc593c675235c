// Commands to a running Open vSwitch daemon, as ovs-appctl(8) sends them: JSON-RPC on the daemon's control socket, the
// command being the method and its arguments, all text, the parameters.
import { JsonRpcConnection } from "./json-rpc.ts";

const maxAnswerSize = 256 * 1024 * 1024;

/**
 * Runs one command of the daemon that listens on `path`, and gives its output.
 * @throws {PeerError} with the daemon's words when it refuses the command.
 * @throws {UnavailableError} when nothing listens there or no answer comes within `timeoutMs`.
 */
export async function unixctl(
  path: string,
  command: string,
  args: readonly string[] = [],
  timeoutMs = 10_000,
): Promise<string> {
  const connection = await JsonRpcConnection.open(
    { path },
    {
      peer: path,
      protocol: "unixctl",
      maxMessageSize: maxAnswerSize,
      connectTimeoutMs: timeoutMs,
    },
  );
  try {
    const output = await connection.request(command, args, timeoutMs);
    return typeof output === "string" ? output : "";
  } finally {
    connection.close();
  }
}
