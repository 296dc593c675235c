import { once } from "node:events";
import { type NetConnectOpts, type Socket, connect } from "node:net";
import { UnavailableError } from "./errors.ts";

export interface ConnectOptions {
  /** Words of the caller for messages, e.g. `ovsdb-server at /run/db.sock`. */
  readonly peer: string;
  readonly connectTimeoutMs: number;
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
}

/** @throws {UnavailableError} saying who does not answer and why */
export async function connectSocket(
  address: NetConnectOpts,
  { peer, connectTimeoutMs, signal: stop }: ConnectOptions,
): Promise<Socket> {
  const deadline = AbortSignal.timeout(connectTimeoutMs);
  const signal = stop ? AbortSignal.any([deadline, stop]) : deadline;
  const socket = connect(address);
  try {
    await once(socket, "connect", { signal });
    return socket;
  } catch (cause) {
    socket.destroy();
    const text = cause instanceof Error ? cause.message : String(cause);
    const reason = deadline.aborted ? `no connection within ${connectTimeoutMs} ms` : text;
    throw new UnavailableError(`${peer}: ${reason}`, { cause });
  }
}
