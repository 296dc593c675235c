// The process that a lab lives in, and its socket.
import { mkdirSync } from "node:fs";
import type { Log } from "../runtime/log.ts";
import { aborted } from "../runtime/lifecycle.ts";
import { MessageServer } from "../runtime/message-server.ts";
import type { MessageStream } from "../runtime/message-stream.ts";
import { Lab } from "./lab.ts";
import { recordProcess } from "./network/processes.ts";
import type { LabPaths } from "./paths.ts";
import type { LabReply, LabRequest } from "./protocol.ts";

const limits = { maxMessageSize: 64 << 20, maxQueuedSize: 256 << 20 } as const;

export interface DaemonOptions {
  readonly paths: LabPaths;
  readonly nodes: number;
  readonly log: Log;
  /** Ends the lab. */
  readonly signal: AbortSignal;
}

/** What was said on the way up, for those who ask later. */
class StartProgress {
  readonly #said: string[] = [];
  readonly #listeners = new Set<(text: string) => void>();

  say(text: string): void {
    this.#said.push(text);
    for (const listener of this.#listeners) listener(text);
  }

  follow(listener: (text: string) => void): void {
    for (const text of this.#said) listener(text);
    this.#listeners.add(listener);
  }
}

/** Builds a lab and serves it until the signal is aborted or a client asks it to stop; then tears it down. */
export async function runDaemon({ paths, nodes, log, signal }: DaemonOptions): Promise<void> {
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  recordProcess(paths.directory, process.pid);
  const progress = new StartProgress();
  const stop = new AbortController();
  const stopped = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => stop.abort(), { once: true });
  const onProgress = (text: string): void => {
    log.info(text);
    progress.say(text);
  };
  const starting = Lab.start({ paths, nodes, log, onProgress });
  // The failure is thrown below; a client that waits hears of it too.
  starting.catch(() => {});
  const server = await MessageServer.listen({
    ...limits,
    address: { kind: "unix", path: paths.socket },
    onStream: (stream) =>
      serve(stream, async (request, reply) => {
        if (request.type === "wait-until-up")
          progress.follow((text) => reply({ type: "progress", text }));
        if (request.type === "stop") {
          stop.abort();
          await stopped.promise;
        } else {
          await answer(await starting, request, reply);
        }
      }),
  });
  try {
    const lab = await starting;
    await Promise.race([aborted(stop.signal), lab.failed]);
    await lab[Symbol.asyncDispose]();
  } finally {
    stopped.resolve();
    // What was answered must reach its reader before the socket goes.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close();
  }
}

type Answer = (request: LabRequest, reply: (reply: LabReply) => void) => Promise<void>;

function serve(stream: MessageStream, answerRequest: Answer): void {
  const reply = (message: LabReply): void => stream.send(message);
  stream.start({
    onMessage: (message) => {
      if (!isRequest(message)) {
        reply({ type: "error", message: "expected a request with a type" });
        return;
      }
      answerRequest(message, reply).then(
        () => reply({ type: "done" }),
        (error: unknown) =>
          reply({ type: "error", message: error instanceof Error ? error.message : String(error) }),
      );
    },
    onClose: () => {},
  });
}

async function answer(
  lab: Lab,
  request: LabRequest,
  reply: (reply: LabReply) => void,
): Promise<void> {
  switch (request.type) {
    case "wait-until-up":
    case "status":
      reply({ type: "status", status: await lab.status() });
      return;
    case "probe":
      await Promise.all(
        request.probes.map(async (probe) =>
          reply({ type: "probe-result", result: await lab.probe(probe) }),
        ),
      );
      return;
    case "settle":
      await lab.settle(request.timeoutMs, (text) => reply({ type: "progress", text }));
      return;
    case "stop":
      return;
  }
}

const requestTypes = new Set<unknown>(["wait-until-up", "status", "probe", "settle", "stop"]);

/** Both ends are of one checkout, so the kind of request is all that is checked. */
function isRequest(value: unknown): value is LabRequest {
  return (
    typeof value === "object" && value !== null && "type" in value && requestTypes.has(value.type)
  );
}
