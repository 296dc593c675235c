// Which nodes' agents are well: those that were heard within some seconds, whether or not their streams are open. An agent that starts
// again within that time was never away; a node that lost power, or its network, is away without an end of its stream.

/** An agent that is silent for so long does not announce any more, as far as the controller is concerned. */
const silenceMs = 3_000;
const tickMs = 250;
/** After its start the controller does not know who is well before the agents have found it. */
const startMs = 10_000;

export type NodeHealth = "well" | "silent" | "unknown";

export interface NodeHealthOptions {
  readonly nodes: () => Iterable<string>;
  /** By the clock of `now`; `undefined` when it never was. */
  readonly lastHeardMs: (node: string) => number | undefined;
  readonly onChange: (node: string) => void;
  /** A clock that only goes forward; for tests. */
  readonly now?: () => number;
}

/** Asks nothing itself: whoever keeps the streams has the agents say something every second. */
export class NodeHealthWatch implements Disposable {
  readonly #options: Required<NodeHealthOptions>;
  readonly #health = new Map<string, NodeHealth>();
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs: number;
  #tickedMs: number;
  /** Until then nobody is found silent: this process itself was, and what was said to it is still to be read. */
  #patientUntilMs = 0;

  constructor(options: NodeHealthOptions) {
    this.#options = { now: () => performance.now(), ...options };
    this.#startedMs = this.#options.now();
    this.#tickedMs = this.#startedMs;
    this.#timer = setInterval(() => this.tick(), tickMs).unref();
  }

  of(node: string): NodeHealth {
    return this.#health.get(node) ?? this.#judge(node, this.#options.now());
  }

  /** O(nodes). */
  tick(): void {
    const { nodes, now, onChange } = this.#options;
    const nowMs = now();
    if (nowMs - this.#tickedMs > silenceMs / 2) this.#patientUntilMs = nowMs + silenceMs / 2;
    this.#tickedMs = nowMs;
    const known = new Set(nodes());
    for (const node of this.#health.keys()) if (!known.has(node)) this.#health.delete(node);
    for (const node of known) {
      const before = this.#health.get(node);
      const after = this.#judge(node, nowMs);
      const isTooEarly = after === "silent" && before === "well" && nowMs < this.#patientUntilMs;
      if (before === after || isTooEarly) continue;
      this.#health.set(node, after);
      onChange(node);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #judge(node: string, nowMs: number): NodeHealth {
    const heardMs = this.#options.lastHeardMs(node);
    if (heardMs === undefined) return nowMs - this.#startedMs < startMs ? "unknown" : "silent";
    return nowMs - heardMs < silenceMs ? "well" : "silent";
  }
}
