// The agent's stream to a controller: any of those configured, another one when it fails, for ever.
import { Backoff } from "../runtime/backoff.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { Log } from "../runtime/log.ts";
import { type MessageStream, connectStream } from "../runtime/message-stream.ts";
import {
  type StreamAddress,
  type TlsFiles,
  formatStreamAddress,
  readTlsCredentials,
} from "../runtime/stream-address.ts";
import { AgentSession, type AgentStep } from "../southbound/agent-session.ts";
import { decodeControllerMessage } from "../southbound/message-schema.ts";
import type { Ack } from "../southbound/messages.ts";
import type { Delta } from "../southbound/resources.ts";

export interface ControllerLinkOptions {
  readonly node: string;
  readonly controllers: readonly StreamAddress[];
  readonly tls?: TlsFiles;
  readonly log: Log;
  /** Digests of what is held now, for the hello. */
  readonly have: () => Readonly<Record<string, string>>;
  /**
   * Takes a delta in before it returns; the promise settles when the switch has confirmed it, with what the switch
   * does not take. `completes`: with it the state is all there is.
   */
  readonly onDelta: (
    delta: Delta,
    completes: boolean,
    signal: AbortSignal,
  ) => Promise<Ack["errors"]>;
}

const tickMs = 1000;
const limits = { maxMessageSize: 512 * 1024 * 1024, maxQueuedSize: 256 * 1024 * 1024 };

export class ControllerLink {
  readonly #options: ControllerLinkOptions;
  #session: AgentSession | undefined;
  #revision = 0;

  constructor(options: ControllerLinkOptions) {
    this.#options = options;
  }

  /** Name of the controller that keeps this agent up to date; `undefined` while there is none. */
  get controller(): string | undefined {
    return this.#session?.controller;
  }

  /** Last revision that was confirmed to a controller. */
  get revision(): number {
    return this.#revision;
  }

  /** Keeps a stream open until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { controllers, log } = this.#options;
    const backoff = new Backoff({ minMs: 50, maxMs: 5_000 });
    // Agents begin at different controllers, so that they are spread over all of them.
    let next = Math.floor(Math.random() * controllers.length);
    let lastReason = "";
    while (!signal.aborted) {
      const address = controllers[next % controllers.length];
      if (address === undefined) return;
      next += 1;
      const reason = await this.#serve(address, signal, () => {
        lastReason = "";
        backoff.reset();
      });
      // The same failure again and again is news only once.
      if (!signal.aborted && reason !== lastReason) {
        log.warn({ controller: formatStreamAddress(address), reason }, "no controller");
      }
      lastReason = reason;
      await pause(backoff.next(), signal);
    }
  }

  /** One stream from its opening to its end; gives the reason of the end. */
  async #serve(address: StreamAddress, signal: AbortSignal, onSynced: () => void): Promise<string> {
    const ended = new AbortController();
    try {
      const { tls } = this.#options;
      const stream = await connectStream({
        address,
        ...limits,
        ...(tls === undefined ? {} : { credentials: readTlsCredentials(tls) }),
        timeoutMs: 5_000,
        signal,
      });
      return await this.#converse(stream, AbortSignal.any([signal, ended.signal]), onSynced);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      ended.abort();
      this.#session = undefined;
    }
  }

  async #converse(
    stream: MessageStream,
    signal: AbortSignal,
    onSynced: () => void,
  ): Promise<string> {
    const { node, have, log } = this.#options;
    const session = new AgentSession({ node, have: have(), nowMs: performance.now() });
    this.#session = session;
    const { promise: closed, resolve } = Promise.withResolvers<string>();
    const follow = (step: AgentStep): void => {
      for (const message of step.send) stream.send(message);
      if (step.close !== undefined) stream.close(new Error(step.close));
      if (step.delta === undefined) return;
      if (step.completes === true) {
        onSynced();
        log.info({ controller: session.controller }, "following a controller");
      }
      void this.#apply(stream, session, step, signal);
    };
    stream.start({
      onMessage: (value) => {
        follow(session.receive(decodeControllerMessage(value), performance.now()));
      },
      onClose: (reason) => resolve(reason?.message ?? "the controller closed the stream"),
    });
    stream.send(session.hello);
    const timer = setInterval(() => follow(session.tick(performance.now())), tickMs);
    const stop = (): void => stream.close(new Error("stopped"));
    signal.addEventListener("abort", stop);
    try {
      return await closed;
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  async #apply(
    stream: MessageStream,
    session: AgentSession,
    { delta, completes }: AgentStep,
    signal: AbortSignal,
  ): Promise<void> {
    if (delta === undefined) return;
    try {
      const errors = await this.#options.onDelta(delta, completes === true, signal);
      for (const message of session.confirm(delta.revision, errors)) {
        this.#revision = delta.revision;
        stream.send(message);
      }
    } catch (error) {
      // Not confirmed within the life of this stream: the next one begins with what is held.
      stream.close(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
