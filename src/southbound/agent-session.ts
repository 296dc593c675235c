// The agent's side of the stream to a controller (messages.ts), without the stream itself: messages in, messages out.
import { Keepalive, type KeepaliveOptions, defaultKeepalive } from "./keepalive.ts";
import {
  type AgentMessage,
  type ControllerMessage,
  type DeltaMessage,
  type Hello,
  type Welcome,
  protocolVersion,
} from "./messages.ts";
import type { ResourceKey } from "./resources.ts";

export interface AgentStep {
  readonly send: readonly AgentMessage[];
  /** To be applied now, before anything that comes later. */
  readonly delta?: DeltaMessage;
  /** The delta is the stream's first: with it the agent's state is complete. */
  readonly completes?: boolean;
  /** The stream is to be closed, for this reason, and another one opened. */
  readonly close?: string;
}

export interface AgentSessionOptions {
  readonly node: string;
  /** Proves that the agent runs on `node`, where it has no certificate for that. */
  readonly token?: string;
  /** Digest of every resource held, by `kind/id`. */
  readonly have: Readonly<Record<string, string>>;
  readonly nowMs: number;
  readonly keepalive?: KeepaliveOptions;
}

/** Another controller may be ready when this one is not. */
const syncTimeoutMs = 30_000;

const nothing: AgentStep = { send: [] };

/** One stream's life: a new stream needs a new session. Repeated deltas change nothing; a lost one ends the session. */
export class AgentSession {
  readonly hello: Hello;
  readonly #keepalive: Keepalive;
  readonly #openedMs: number;
  #controller: string | undefined;
  #sequence = 0;
  /** Revisions that were received and not yet confirmed, in order. */
  #unconfirmed: number[] = [];

  /** `hello` is to be sent first. */
  constructor({ node, token, have, nowMs, keepalive = defaultKeepalive }: AgentSessionOptions) {
    const proof = token === undefined ? {} : { token };
    this.hello = { type: "hello", version: protocolVersion, node, ...proof, have };
    this.#keepalive = new Keepalive(keepalive, nowMs);
    this.#openedMs = nowMs;
  }

  /** The controller's name; `undefined` until its first delta has made the agent's state complete. */
  get controller(): string | undefined {
    return this.#sequence > 0 ? this.#controller : undefined;
  }

  receive(message: ControllerMessage, nowMs: number): AgentStep {
    this.#keepalive.heard(nowMs);
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "delta":
        return this.#take(message);
      case "ping":
        return { send: [{ type: "pong" }] };
      case "pong":
        return nothing;
      case "refuse":
        return { send: [], close: `the controller refused: ${message.reason}` };
    }
  }

  /** The switch has the flows of `revision`, and with them all earlier ones. */
  applied(revision: number): readonly AgentMessage[] {
    return this.#unconfirmed.includes(revision) ? [{ type: "applied", revision }] : [];
  }

  /** The switch has confirmed what `revision` brought; earlier ones are confirmed with it. */
  confirm(
    revision: number,
    errors: readonly { readonly resource: ResourceKey; readonly message: string }[],
  ): readonly AgentMessage[] {
    const index = this.#unconfirmed.lastIndexOf(revision);
    if (index < 0) return [];
    this.#unconfirmed = this.#unconfirmed.slice(index + 1);
    return [{ type: "ack", revision, errors }];
  }

  tick(nowMs: number): AgentStep {
    if (this.#sequence === 0 && nowMs - this.#openedMs >= syncTimeoutMs) {
      return { send: [], close: `nothing to apply within ${syncTimeoutMs} ms` };
    }
    switch (this.#keepalive.check(nowMs)) {
      case "dead":
        return { send: [], close: "nothing was heard from the controller" };
      case "ping":
        return { send: [{ type: "ping" }] };
      case "nothing":
        return nothing;
    }
  }

  #welcome({ version, controller }: Welcome): AgentStep {
    if (this.#controller !== undefined) return { send: [], close: "a second welcome" };
    if (version !== protocolVersion) {
      const reason = `this agent speaks version ${protocolVersion}, the controller ${version}`;
      return { send: [], close: reason };
    }
    this.#controller = controller;
    return nothing;
  }

  #take(delta: DeltaMessage): AgentStep {
    if (this.#controller === undefined) return { send: [], close: "a delta before the welcome" };
    if (delta.sequence <= this.#sequence) return nothing;
    if (delta.sequence !== this.#sequence + 1) {
      const reason = `expected delta ${this.#sequence + 1}, got ${delta.sequence}`;
      return { send: [], close: reason };
    }
    this.#sequence = delta.sequence;
    this.#unconfirmed.push(delta.revision);
    return { send: [], delta, completes: delta.sequence === 1 };
  }
}
