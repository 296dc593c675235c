// The controller's side of the stream to one agent (messages.ts), without the stream itself: messages in, text out.
import { DeltaBuffer } from "./delta-buffer.ts";
import { type EncodedDelta, encodeDeltaMessage } from "./encoded.ts";
import { Keepalive, type KeepaliveOptions, defaultKeepalive } from "./keepalive.ts";
import {
  type Ack,
  type AgentMessage,
  type ControllerMessage,
  type Health,
  type Hello,
  protocolVersion,
} from "./messages.ts";
import type { ResourceKey } from "./resources.ts";
import { diffState } from "./resume.ts";

export interface ControllerStep {
  /** Text to be written, in this order: whole messages, each perhaps in several pieces. */
  readonly send: readonly string[];
  /** A hello is to be answered with `start` or `refuse`; an ack is news for the policies' status, health for services. */
  readonly event?: Hello | Ack | Health;
  /** The stream is to be closed after sending, for this reason. */
  readonly close?: string;
}

export interface ControllerSessionOptions {
  /** Name of this controller instance, new after each start. */
  readonly controller: string;
  readonly nowMs: number;
  /** Deltas that may be on their way and not applied; further ones are merged until there is room. */
  readonly window?: number;
  readonly keepalive?: KeepaliveOptions;
}

/** Deltas that may be applied without an ack: what is remembered of each is its revision. */
const mostUnconfirmed = 10_000;

const nothing: ControllerStep = { send: [] };

function encode(message: ControllerMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/**
 * Usage: give it what the agent sends (`receive`), answer its hello with `start` once the controller's own state is
 * complete, then every later change with `change`, and call `tick` about once a second. A slow agent costs the memory
 * of one merged delta, however many changes there are.
 */
export class ControllerSession {
  readonly #options: ControllerSessionOptions;
  readonly #window: number;
  readonly #keepalive: Keepalive;
  readonly #waiting = new DeltaBuffer();
  #waitingRevision = 0;
  /** Revisions that were sent and not acknowledged, rising. */
  #inFlight: number[] = [];
  /** How many of them the agent has not said to have applied. */
  #unapplied = 0;
  #phase: "new" | "greeted" | "started" = "new";
  /** What the agent said it holds, until it is answered. */
  #have: Hello["have"] | undefined;
  #sequence = 0;
  #confirmed = 0;

  constructor(options: ControllerSessionOptions) {
    this.#options = options;
    this.#window = options.window ?? 8;
    this.#keepalive = new Keepalive(options.keepalive ?? defaultKeepalive, options.nowMs);
  }

  /** Last revision that the agent's switch has confirmed; 0 before the first. */
  get confirmed(): number {
    return this.#confirmed;
  }

  receive(message: AgentMessage, nowMs: number): ControllerStep {
    this.#keepalive.heard(nowMs);
    switch (message.type) {
      case "hello":
        return this.#greet(message);
      case "applied":
        return this.#applied(message.revision);
      case "ack":
        return this.#acknowledge(message);
      case "health":
        return this.#phase === "started" ? { send: [], event: message } : nothing;
      case "ping":
        return { send: [encode({ type: "pong" })] };
      case "pong":
        return nothing;
    }
  }

  /**
   * Answers the hello with what its agent lacks of `full`, everything the node is to know at `revision`. Of what the agent
   * holds and `full` has not, `keeps` says what is to stay.
   */
  start(
    revision: number,
    full: EncodedDelta,
    keeps?: (key: ResourceKey) => boolean,
  ): readonly string[] {
    if (this.#have === undefined) return [];
    const difference = diffState(full, this.#have, keeps);
    this.#have = undefined;
    this.#phase = "started";
    const { controller } = this.#options;
    const welcome = encode({ type: "welcome", version: protocolVersion, controller });
    return [welcome, ...this.#next(revision, difference)];
  }

  /** Answers a hello that is not to be served; the stream is to be closed after sending. */
  refuse(reason: string): readonly string[] {
    return [encode({ type: "refuse", reason })];
  }

  /** Tells of a change at `revision`, which must not fall. Gives nothing before `start` and while the agent is behind. */
  change(revision: number, delta: EncodedDelta): readonly string[] {
    if (this.#phase !== "started") return [];
    this.#waiting.add(delta);
    this.#waitingRevision = revision;
    return this.#flush();
  }

  tick(nowMs: number): ControllerStep {
    switch (this.#keepalive.check(nowMs)) {
      case "dead":
        return { send: [], close: "nothing was heard from the agent" };
      case "ping":
        return { send: [encode({ type: "ping" })] };
      case "nothing":
        return nothing;
    }
  }

  #greet(hello: Hello): ControllerStep {
    if (this.#phase !== "new") return { send: [], close: "the agent said hello twice" };
    if (hello.version !== protocolVersion) {
      const reason = `this controller speaks version ${protocolVersion}, the agent ${hello.version}`;
      return { send: this.refuse(reason), close: reason };
    }
    this.#phase = "greeted";
    this.#have = hello.have;
    return { send: [], event: hello };
  }

  #acknowledge(ack: Ack): ControllerStep {
    if (!this.#inFlight.includes(ack.revision)) {
      const sent = this.#inFlight.join(", ") || "none";
      return { send: [], close: `ack of revision ${ack.revision}, outstanding: ${sent}` };
    }
    this.#inFlight = this.#inFlight.filter((revision) => revision > ack.revision);
    this.#unapplied = Math.min(this.#unapplied, this.#inFlight.length);
    this.#confirmed = ack.revision;
    return { send: this.#flush(), event: ack };
  }

  /** Of a revision that was acknowledged meanwhile it says nothing new. */
  #applied(applied: number): ControllerStep {
    const later = this.#inFlight.filter((revision) => revision > applied);
    this.#unapplied = Math.min(this.#unapplied, later.length);
    return { send: this.#flush() };
  }

  #flush(): readonly string[] {
    const isFull = this.#unapplied >= this.#window || this.#inFlight.length >= mostUnconfirmed;
    if (this.#waiting.isEmpty || isFull) return [];
    return this.#next(this.#waitingRevision, this.#waiting.take());
  }

  #next(revision: number, delta: EncodedDelta): readonly string[] {
    this.#inFlight.push(revision);
    this.#unapplied += 1;
    this.#sequence += 1;
    return encodeDeltaMessage({ sequence: this.#sequence, revision }, delta);
  }
}
