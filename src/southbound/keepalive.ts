// Notices that a peer is gone although its stream stays open (a host that lost power sends no end).

export interface KeepaliveOptions {
  /** Silence after which the peer is asked for a sign of life. */
  readonly pingAfterMs: number;
  /** Silence after which it is taken for gone. */
  readonly deadAfterMs: number;
}

export const defaultKeepalive: KeepaliveOptions = { pingAfterMs: 5_000, deadAfterMs: 15_000 };

export class Keepalive {
  readonly #options: KeepaliveOptions;
  #heardMs: number;
  #askedMs: number;

  constructor(options: KeepaliveOptions, nowMs: number) {
    this.#options = options;
    this.#heardMs = nowMs;
    this.#askedMs = nowMs;
  }

  /** Anything came from the peer. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** What is to be done now; asks for a ping at most once in each `pingAfterMs`. */
  check(nowMs: number): "nothing" | "ping" | "dead" {
    const silentMs = nowMs - this.#heardMs;
    if (silentMs >= this.#options.deadAfterMs) return "dead";
    const askedMs = nowMs - Math.max(this.#askedMs, this.#heardMs);
    if (askedMs < this.#options.pingAfterMs) return "nothing";
    this.#askedMs = nowMs;
    return "ping";
  }
}
