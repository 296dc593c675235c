// The agent's own socket (southbound/attachment.ts): requests of one client are worked on at the same time and answered
// in their order.
import type { Log } from "../runtime/log.ts";
import { MessageServer } from "../runtime/message-server.ts";
import type { MessageStream } from "../runtime/message-stream.ts";
import type { LocalReply, LocalRequest } from "../southbound/attachment.ts";
import { decodeLocalRequest } from "../southbound/message-schema.ts";
import { DecodeError } from "../wire/errors.ts";
import { AttachError } from "./errors.ts";

/** `cancelled` is aborted when the client is gone. */
export type LocalHandler = (request: LocalRequest, cancelled: AbortSignal) => Promise<LocalReply>;

/** A CNI configuration of 256 KiB, each of its bytes escaped. */
const limits = { maxMessageSize: 2 * 1024 * 1024, maxQueuedSize: 16 * 1024 * 1024 };

/** @throws {ConnectionError} when the socket is in use. */
export async function listenLocally(
  path: string,
  log: Log,
  handle: LocalHandler,
): Promise<MessageServer> {
  return await MessageServer.listen({
    address: { kind: "unix", path },
    ...limits,
    onStream: (stream) => serve(stream, log, handle),
  });
}

function serve(stream: MessageStream, log: Log, handle: LocalHandler): void {
  let answered = Promise.resolve();
  const ended = new AbortController();
  const gone = new AbortController();
  const cancellable = async (request: LocalRequest): Promise<LocalReply> =>
    await handle(request, request.type === "cni" ? ended.signal : gone.signal);
  stream.start({
    onMessage: (message) => {
      const reply = answer(message, log, cancellable);
      answered = answered.then(async () => stream.send(await reply));
    },
    onEnd: () => {
      // The CNI executable keeps its side open until it has its answer, so this is its death. Others may still read.
      ended.abort();
      void answered.then(() => stream.close());
    },
    onClose: () => {
      ended.abort();
      gone.abort();
    },
  });
}

async function answer(
  message: unknown,
  log: Log,
  handle: (request: LocalRequest) => Promise<LocalReply>,
): Promise<LocalReply> {
  try {
    return await handle(decodeLocalRequest(message));
  } catch (error) {
    if (error instanceof DecodeError) {
      return { type: "error", code: "invalid", message: error.message };
    }
    if (error instanceof AttachError) {
      log.warn({ code: error.code, reason: error.message }, "an attachment failed");
      return { type: "error", code: error.code, message: error.message };
    }
    log.error({ err: error }, "a local request failed");
    return { type: "error", code: "internal", message: String(error) };
  }
}
