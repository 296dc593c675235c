// The controller's end of the streams to its agents: sessions by node, what each has confirmed.
import type { Log } from "../runtime/log.ts";
import type { MessageStream } from "../runtime/message-stream.ts";
import type { EncodedDelta } from "../southbound/encoded.ts";
import { decodeAgentMessage } from "../southbound/message-schema.ts";
import type { Ack, Hello } from "../southbound/messages.ts";
import type { ResourceKey, ResourceKind } from "../southbound/resources.ts";
import { ControllerSession, type ControllerStep } from "../southbound/session.ts";
import { sourceOf } from "./source-model.ts";

/** What changed at one revision: for every node, and for single ones in addition. */
export interface Change {
  readonly revision: number;
  /** What the node is to be told; empty for one that the change does not concern. */
  readonly deltaFor: (node: string) => EncodedDelta;
}

export interface AgentServerOptions {
  /** Name of this controller instance, new after each start. */
  readonly controller: string;
  /** Everything a node is to know now, with the revision that it stands for. */
  readonly stateOf: (node: string) => { readonly revision: number; readonly full: EncodedDelta };
  /** Names of sources that have not been read: what is known of them is not all, and nothing may be deleted for lack of it. */
  readonly unreadySources: () => ReadonlySet<string>;
  /** A node has confirmed something. */
  readonly onAck: (node: string, ack: Ack) => void;
  readonly log: Log;
}

export interface AgentSessionStatus {
  readonly node: string;
  /** Last revision that concerned the node. */
  readonly revision: number;
  /** Last revision that its switch has confirmed; equal when all is in force. */
  readonly confirmed: number;
  /** Resources that the switch refused at `confirmed`, as texts. */
  readonly errors: readonly string[];
}

interface Connection {
  readonly session: ControllerSession;
  readonly stream: MessageStream;
  /** Sources that were not ready when the agent was answered. */
  readonly unready: ReadonlySet<string>;
  revision: number;
  errors: readonly string[];
}

/** What every node is told of, whichever source it is from. */
const sharedKinds: ReadonlySet<ResourceKind> = new Set(["domain", "node", "endpoint"]);

const tickMs = 1_000;

export class AgentServer implements Disposable {
  readonly #options: AgentServerOptions;
  readonly #connections = new Map<string, Connection>();
  readonly #timer: NodeJS.Timeout;
  readonly #ticking = new Set<() => void>();

  constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      for (const tick of this.#ticking) tick();
    }, tickMs).unref();
  }

  /** Serves one agent on a stream that has not been started. */
  accept(stream: MessageStream): void {
    const { controller, log } = this.#options;
    const session = new ControllerSession({ controller, nowMs: performance.now() });
    let node: string | undefined;
    const take = (step: ControllerStep): void => {
      stream.write(step.send);
      if (step.event?.type === "hello") node = this.#start(stream, session, step.event);
      else if (step.event && node !== undefined) this.#acknowledged(node, session, step.event);
      if (step.close !== undefined) {
        log.warn({ node, reason: step.close }, "agent stream closed");
        // One that is told why may still read it; of a peer that is gone nothing is expected.
        stream.close(step.send.length > 0 ? undefined : new Error(step.close));
      }
    };
    const tick = (): void => take(session.tick(performance.now()));
    this.#ticking.add(tick);
    stream.start({
      onMessage: (message) => take(session.receive(decodeAgentMessage(message), performance.now())),
      onClose: (reason) => {
        this.#ticking.delete(tick);
        if (node !== undefined && this.#connections.get(node)?.session === session) {
          this.#connections.delete(node);
        }
        log.info({ node, reason: reason?.message }, "agent disconnected");
      },
    });
  }

  /** Tells the agents what concerns them. */
  publish({ revision, deltaFor }: Change): void {
    for (const [node, connection] of this.#connections) {
      const delta = deltaFor(node);
      if (delta.isEmpty) continue;
      connection.revision = revision;
      connection.stream.write(connection.session.change(revision, delta));
    }
  }

  /** Agents that were answered without the source say hello again: they may hold what is no longer there. */
  sourceReady(name: string): void {
    for (const { stream, unready } of this.#connections.values()) {
      if (unready.has(name)) stream.close();
    }
  }

  status(): AgentSessionStatus[] {
    return [...this.#connections].map(([node, { session, revision, errors }]) => ({
      node,
      revision,
      confirmed: session.confirmed,
      errors,
    }));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const { stream } of this.#connections.values()) stream.close();
    this.#connections.clear();
  }

  #start(stream: MessageStream, session: ControllerSession, { node }: Hello): string | undefined {
    const { log, stateOf, unreadySources } = this.#options;
    if (stream.peerName !== undefined && stream.peerName !== node) {
      const reason = `the certificate is for "${stream.peerName}", the agent says it is "${node}"`;
      log.warn({ node, certificate: stream.peerName }, "agent refused");
      stream.write(session.refuse(reason));
      stream.close();
      return undefined;
    }
    const unready = unreadySources();
    if (unready.has(sourceOf(node))) {
      log.info({ node }, "agent must wait until its source is read");
      stream.write(session.refuse("the node's API server has not been read yet"));
      stream.close();
      return undefined;
    }
    this.#connections.get(node)?.stream.close();
    const { revision, full } = stateOf(node);
    this.#connections.set(node, { session, stream, unready, revision, errors: [] });
    const keeps = ({ kind, id }: ResourceKey): boolean =>
      sharedKinds.has(kind) && unready.has(sourceOf(id));
    stream.write(session.start(revision, full, keeps));
    log.info({ node, revision }, "agent connected");
    return node;
  }

  #acknowledged(node: string, session: ControllerSession, ack: Ack): void {
    const connection = this.#connections.get(node);
    if (connection?.session !== session) return;
    connection.errors = ack.errors.map(
      ({ resource, message }) => `${resource.kind} ${resource.id}: ${message}`,
    );
    for (const error of connection.errors) this.#options.log.error({ node, error }, "not realised");
    this.#options.onAck(node, ack);
  }
}
