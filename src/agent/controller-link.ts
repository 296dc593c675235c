// The agent's stream to a controller: any of those configured, another one when it fails, for ever.
import { Backoff } from "../runtime/backoff.ts";
import { pause } from "../runtime/lifecycle.ts";
import type { Log } from "../runtime/log.ts";
import { type MessageStream, connectStream } from "../runtime/message-stream.ts";
import { formatStreamAddress } from "../runtime/stream-address.ts";
import { AgentSession, type AgentStep } from "../southbound/agent-session.ts";
import { decodeControllerMessage } from "../southbound/message-schema.ts";
import type { Ack, Health } from "../southbound/messages.ts";
import type { Delta } from "../southbound/resources.ts";
import type { ControllerContact, ControllerDirectory } from "./controller-directory.ts";

export interface ControllerLinkOptions {
  readonly node: string;
  readonly directory: ControllerDirectory;
  readonly log: Log;
  /** A controller has told everything. */
  readonly onFollowing?: () => void;
  /** A stream has ended, or could not be opened. */
  readonly onFailure?: () => void;
  /** Digests of what is held now, for the hello. */
  readonly have: () => Readonly<Record<string, string>>;
  /**
   * Takes a delta in before it returns; the promise settles when it is in force, with what the switch does not take.
   */
  readonly onDelta: (delta: Delta, arrival: Arrival) => Promise<Ack["errors"]>;
}

export interface Arrival {
  /** With the delta the state is all there is. */
  readonly completes: boolean;
  /** To be called when the switch has the delta's flows. */
  readonly applied: () => void;
  readonly signal: AbortSignal;
}

const tickMs = 1000;
const limits = { maxMessageSize: 512 * 1024 * 1024, maxQueuedSize: 256 * 1024 * 1024 };

export class ControllerLink {
  readonly #options: ControllerLinkOptions;
  #session: AgentSession | undefined;
  #stream: MessageStream | undefined;
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

  /** Tells the controller that keeps this agent up to date; nobody while there is none. */
  tell(message: Health): void {
    if (this.controller !== undefined) this.#stream?.send(message);
  }

  /** Keeps a stream open until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { directory, log, onFollowing, onFailure } = this.#options;
    if (directory.isEmpty) return;
    const backoff = new Backoff({ minMs: 50, maxMs: 5_000 });
    let lastReason = "";
    while (!signal.aborted) {
      const reason = await this.#serveNext(signal, () => {
        lastReason = "";
        backoff.reset();
        directory.reached();
        onFollowing?.();
      });
      if (!signal.aborted) onFailure?.();
      // The same failure again and again is news only once.
      if (!signal.aborted && reason !== lastReason) log.warn({ reason }, "no controller");
      lastReason = reason;
      await directory.refresh(signal);
      await pause(backoff.next(), signal);
    }
  }

  /** One stream to the controller whose turn it is, from its opening to its end; gives the reason of the end. */
  async #serveNext(signal: AbortSignal, onSynced: () => void): Promise<string> {
    const ended = new AbortController();
    let where = "";
    try {
      const contact = this.#options.directory.next();
      where = `${formatStreamAddress(contact.address)}: `;
      const { address, credentials } = contact;
      const tls = credentials === undefined ? {} : { credentials };
      const stream = await connectStream({ address, ...limits, ...tls, timeoutMs: 5_000, signal });
      const untilEnd = AbortSignal.any([signal, ended.signal]);
      return where + (await this.#converse({ stream, contact }, untilEnd, onSynced));
    } catch (error) {
      return where + (error instanceof Error ? error.message : String(error));
    } finally {
      ended.abort();
      this.#session = undefined;
      this.#stream = undefined;
    }
  }

  async #converse(
    { stream, contact: { token } }: { stream: MessageStream; contact: ControllerContact },
    signal: AbortSignal,
    onSynced: () => void,
  ): Promise<string> {
    const { node, have, log } = this.#options;
    const proof = token === undefined ? {} : { token };
    const nowMs = performance.now();
    const session = new AgentSession({ node, ...proof, have: have(), nowMs });
    this.#session = session;
    this.#stream = stream;
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
      const applied = (): void => {
        for (const message of session.applied(delta.revision)) stream.send(message);
      };
      const arrival = { completes: completes === true, applied, signal };
      const errors = await this.#options.onDelta(delta, arrival);
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
