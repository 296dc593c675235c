// What was allowed when: versions of the objects with the time at which each was made, and outages, during which nobody can
// know of a change. So a connection that opened can be judged afterwards.
import { translateCluster } from "../../src/kubernetes/cluster.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Packet } from "../../src/policy/packet.ts";
import { PolicyModel } from "../../src/policy/policy-model.ts";

interface Version {
  /** When the objects were read. */
  readonly seenMs: number;
  readonly model: PolicyModel;
}

interface Outage {
  readonly fromMs: number;
  toMs: number;
}

/** A connection that opened at some moment of this time. */
export interface Opening {
  readonly packet: Packet;
  readonly fromMs: number;
  readonly toMs: number;
}

export class Witness {
  readonly #versions: Version[] = [];
  readonly #outages: Outage[] = [];

  get versions(): number {
    return this.#versions.length;
  }

  /** The objects as they are now. */
  see(objects: readonly unknown[]): void {
    const model = new PolicyModel(translateCluster(objects));
    this.#versions.push({ seenMs: performance.now(), model });
  }

  /** Begins an outage; what it gives ends it. */
  outage(): () => void {
    const outage: Outage = { fromMs: performance.now(), toMs: Infinity };
    this.#outages.push(outage);
    return () => (outage.toMs = performance.now());
  }

  /**
   * How long ago the last objects that allow the connection were replaced when it began, outages not counted; 0 when some
   * allow it then or later, `undefined` when none ever did.
   */
  latenessMs({ packet, fromMs, toMs }: Opening): number | undefined {
    let least: number | undefined;
    for (const [index, { model }] of this.#versions.entries()) {
      // They became so at some moment after the last look, and were so until some moment before the next.
      const begunMs = this.#versions[index - 1]?.seenMs ?? 0;
      const endedMs = this.#versions[index + 1]?.seenMs ?? Infinity;
      if (begunMs > toMs || evaluate(model, packet).verdict === "deny") continue;
      if (endedMs >= fromMs) return 0;
      const lateness = this.healthyMs(endedMs, fromMs);
      least = Math.min(least ?? Infinity, lateness);
    }
    return least;
  }

  /** The part of a time in which there was no outage. */
  healthyMs(fromMs: number, toMs: number): number {
    const merged: { fromMs: number; toMs: number }[] = [];
    for (const { fromMs: begin, toMs: end } of this.#outages.toSorted(
      (a, b) => a.fromMs - b.fromMs,
    )) {
      const last = merged.at(-1);
      if (last !== undefined && begin <= last.toMs) last.toMs = Math.max(last.toMs, end);
      else merged.push({ fromMs: begin, toMs: end });
    }
    const lost = merged.reduce(
      (sum, outage) =>
        sum + Math.max(0, Math.min(outage.toMs, toMs) - Math.max(outage.fromMs, fromMs)),
      0,
    );
    return toMs - fromMs - lost;
  }
}
