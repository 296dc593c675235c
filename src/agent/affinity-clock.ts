import type { LocalDelta } from "../pipeline/fact.ts";
import type { NodeState } from "./node-state.ts";

/** So exact is the time of affinity. */
const tickMs = 2_000;

/** Tells the pipeline the time, while there are services whose affinity ends by time: they spread their clients anew. */
export class AffinityClock implements Disposable {
  readonly #state: Pick<NodeState, "all">;
  readonly #apply: (delta: LocalDelta) => void;
  #ticking: NodeJS.Timeout | undefined;

  constructor(state: Pick<NodeState, "all">, apply: (delta: LocalDelta) => void) {
    this.#state = state;
    this.#apply = apply;
  }

  /** Tells it now as well, so that a restart finds the choices as they were. */
  start(): void {
    this.#tick();
    this.#ticking = setInterval(() => this.#tick(), tickMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticking);
  }

  #tick(): void {
    const isNeeded = this.#state
      .all("service")
      .some(({ affinitySeconds }) => affinitySeconds !== undefined);
    if (!isNeeded) return;
    const seconds = Math.floor(Date.now() / 1_000);
    this.#apply({ upserts: [{ kind: "clock", id: "clock", seconds }], deletes: [] });
  }
}
