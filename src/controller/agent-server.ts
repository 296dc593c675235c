// The controller's end of the streams to its agents: sessions by node, what each has confirmed.
import type { Log } from "../runtime/log.ts";
import type { MessageStream } from "../runtime/message-stream.ts";
import type { EncodedDelta } from "../southbound/encoded.ts";
import { decodeAgentMessage } from "../southbound/message-schema.ts";
import { defaultKeepalive } from "../southbound/keepalive.ts";
import type { Ack, Health, Hello } from "../southbound/messages.ts";
import type { ResourceKey, ResourceKind } from "../southbound/resources.ts";
import { ControllerSession, type ControllerStep } from "../southbound/session.ts";
import type { ControllerMetrics } from "./controller-metrics.ts";
import type { NodeProgress } from "./policy-realisation.ts";
import { sourceOf } from "../model/source-name.ts";

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
  /**
   * The node that a token proves by what the source's API server says of it, for agents without a certificate; such
   * agents are refused when it is absent.
   * @throws {Error} whose message says why the token proves none
   */
  readonly nodeOfToken?: (token: string, source: string) => Promise<string>;
  /** A node has confirmed something. */
  readonly onAck: (node: string, ack: Ack) => void;
  /** A node tells what its checks have found. */
  readonly onHealth: (node: string, health: Health) => void;
  readonly metrics: Pick<ControllerMetrics, "agentStreams" | "agentsRefused">;
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
const sharedKinds: ReadonlySet<ResourceKind> = new Set([
  "domain",
  "node",
  "endpoint",
  "announcement",
  "check",
]);

const tickMs = 1_000;
/** Asked at each tick: what a node announces moves to another when it is silent for some seconds (node-health.ts). */
const keepalive = { ...defaultKeepalive, pingAfterMs: tickMs / 2 };
/** Time that a peer has to say who it is. */
const helloTimeoutMs = 10_000;
/** Peers that may be about to say who they are; each may send a long hello. */
const mostStrangers = 128;

export class AgentServer implements Disposable {
  readonly #options: AgentServerOptions;
  readonly #connections = new Map<string, Connection>();
  readonly #heardMs = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #ticking = new Set<() => void>();
  #strangers = 0;

  constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      for (const tick of this.#ticking) tick();
    }, tickMs).unref();
  }

  /** Serves one agent on a stream that has not been started. */
  accept(stream: MessageStream): void {
    const { controller, log } = this.#options;
    const session = new ControllerSession({ controller, nowMs: performance.now(), keepalive });
    let node: string | undefined;
    let closed = false;
    const known = this.#expectHello(stream);
    const greet = async (hello: Hello): Promise<void> => {
      const reason = await this.#refusalOf(stream, hello);
      if (closed) return;
      known();
      if (reason === undefined) node = this.#start(stream, session, hello);
      else this.#refuse(stream, session, { node: hello.node, reason });
    };
    const take = (step: ControllerStep): void => {
      stream.write(step.send);
      if (step.event?.type === "hello") void greet(step.event);
      else if (step.event && node !== undefined) this.#told(node, session, step.event);
      if (step.close !== undefined) {
        log.warn({ node, reason: step.close }, "agent stream closed");
        // One that is told why may still read it; of a peer that is gone nothing is expected.
        stream.close(step.send.length > 0 ? undefined : new Error(step.close));
      }
    };
    const tick = (): void => take(session.tick(performance.now()));
    this.#ticking.add(tick);
    stream.start({
      onMessage: (message) => {
        const nowMs = performance.now();
        if (node !== undefined) this.#heardMs.set(node, nowMs);
        take(session.receive(decodeAgentMessage(message), nowMs));
      },
      onClose: (reason) => {
        closed = true;
        known();
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

  /** When the node's agent was last heard, by performance.now(); `undefined` when it never was. */
  lastHeardMs(node: string): number | undefined {
    return this.#heardMs.get(node);
  }

  /** `undefined` for a node whose agent is not connected. */
  progressOf(node: string): NodeProgress | undefined {
    const connection = this.#connections.get(node);
    return connection && { revision: connection.revision, confirmed: connection.session.confirmed };
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

  /** Limits what strangers can take up. The function given back is to be called when the peer is known, or gone. */
  #expectHello(stream: MessageStream): () => void {
    this.#strangers += 1;
    const tooLate = (): void => stream.close(new Error("no hello in time"));
    const timer = setTimeout(tooLate, helloTimeoutMs).unref();
    if (this.#strangers > mostStrangers) stream.close(new Error("too many agents at once"));
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#strangers -= 1;
      clearTimeout(timer);
    };
  }

  /** Why the agent is not believed to be its node's; `undefined` when it is. */
  async #refusalOf(stream: MessageStream, { node, token }: Hello): Promise<string | undefined> {
    if (stream.isLocal) return undefined;
    const { peerName } = stream;
    if (peerName !== undefined) {
      if (peerName === node) return undefined;
      return `the certificate is for "${peerName}", the agent says it is "${node}"`;
    }
    const { nodeOfToken } = this.#options;
    if (token === undefined || nodeOfToken === undefined) {
      return "the agent shows neither a certificate nor a token";
    }
    try {
      const proven = await nodeOfToken(token, sourceOf(node));
      if (proven === node) return undefined;
      return `the token is for node "${proven}", the agent says it is "${node}"`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #refuse(
    stream: MessageStream,
    session: ControllerSession,
    { node, reason }: { readonly node: string; readonly reason: string },
  ): void {
    this.#options.log.warn({ node, reason }, "agent refused");
    this.#options.metrics.agentsRefused.inc();
    stream.write(session.refuse(reason));
    stream.close();
  }

  #start(stream: MessageStream, session: ControllerSession, { node }: Hello): string | undefined {
    const { log, stateOf, unreadySources } = this.#options;
    const unready = unreadySources();
    if (unready.has(sourceOf(node))) {
      const reason = "the node's API server has not been read yet";
      this.#refuse(stream, session, { node, reason });
      return undefined;
    }
    this.#connections.get(node)?.stream.close();
    const { revision, full } = stateOf(node);
    this.#connections.set(node, { session, stream, unready, revision, errors: [] });
    this.#heardMs.set(node, performance.now());
    const keeps = ({ kind, id }: ResourceKey): boolean =>
      sharedKinds.has(kind) && unready.has(sourceOf(id));
    stream.write(session.start(revision, full, keeps));
    this.#options.metrics.agentStreams.inc();
    log.info({ node, revision }, "agent connected");
    return node;
  }

  #told(node: string, session: ControllerSession, event: Ack | Health): void {
    const connection = this.#connections.get(node);
    if (connection?.session !== session) return;
    if (event.type === "health") this.#options.onHealth(node, event);
    else this.#acknowledged(node, connection, event);
  }

  #acknowledged(node: string, connection: Connection, ack: Ack): void {
    connection.errors = ack.errors.map(
      ({ resource, message }) => `${resource.kind} ${resource.id}: ${message}`,
    );
    for (const error of connection.errors) this.#options.log.error({ node, error }, "not realised");
    this.#options.onAck(node, ack);
  }
}
