import { connectStream } from "../runtime/message-stream.ts";
import { LabError } from "./errors.ts";
import type { LabReply, LabRequest, LabStatus } from "./protocol.ts";

const limits = { maxMessageSize: 16 << 20, maxQueuedSize: 64 << 20 } as const;

const replyTypes = new Set<unknown>(["progress", "status", "probe-result", "done", "error"]);

/** Both ends are of one checkout, so the kind of reply is all that is checked. */
function isReply(value: unknown): value is LabReply {
  return (
    typeof value === "object" && value !== null && "type" in value && replyTypes.has(value.type)
  );
}

/** Sends one request to a lab's daemon and hands over its replies; resolves at `done`. @throws {LabError} */
export async function request(
  socketPath: string,
  message: LabRequest,
  onReply: (reply: LabReply) => void = () => {},
): Promise<void> {
  const address = { kind: "unix", path: socketPath } as const;
  const stream = await connectStream({ ...limits, address, timeoutMs: 5_000 });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  stream.start({
    onMessage: (reply) => {
      if (!isReply(reply)) reject(new LabError("the lab's daemon speaks another protocol"));
      else if (reply.type === "done") resolve(undefined);
      else if (reply.type === "error") reject(new LabError(reply.message));
      else onReply(reply);
    },
    onClose: (reason) => {
      const why = reason ? `: ${reason.message}` : "";
      reject(new LabError(`the lab's daemon closed the connection${why}`));
    },
  });
  stream.send(message);
  try {
    await promise;
  } finally {
    stream.close();
  }
}

/** @throws {LabError} */
export async function requestStatus(socketPath: string): Promise<LabStatus> {
  let status: LabStatus | undefined;
  await request(socketPath, { type: "status" }, (reply) => {
    if (reply.type === "status") status = reply.status;
  });
  if (status === undefined) throw new LabError("the lab's daemon gave no status");
  return status;
}
