import { connectStream } from "../runtime/message-stream.ts";
import type { LocalReply, LocalRequest } from "../southbound/attachment.ts";
import { LabError } from "./errors.ts";

const limits = { maxMessageSize: 1 << 20, maxQueuedSize: 1 << 20 } as const;

const replyTypes = new Set<unknown>(["attached", "detached", "status", "error"]);

/** Both ends are of one checkout, so the kind of reply is all that is checked. */
function isReply(value: unknown): value is LocalReply {
  return (
    typeof value === "object" && value !== null && "type" in value && replyTypes.has(value.type)
  );
}

/** Asks an agent through its local socket. @throws {LabError | ConnectionError} when there is no answer */
export async function askAgent(
  socketPath: string,
  request: LocalRequest,
  timeoutMs: number,
): Promise<LocalReply> {
  const address = { kind: "unix", path: socketPath } as const;
  const stream = await connectStream({ ...limits, address, timeoutMs });
  const { promise, resolve, reject } = Promise.withResolvers<LocalReply>();
  const timer = setTimeout(() => reject(new LabError("the agent did not answer")), timeoutMs);
  stream.start({
    onMessage: (message) => {
      if (isReply(message)) resolve(message);
      else reject(new LabError("the agent speaks another protocol"));
    },
    onClose: () => reject(new LabError("the agent closed the connection")),
  });
  stream.send(request);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stream.close();
  }
}
