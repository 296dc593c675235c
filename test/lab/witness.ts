// What was allowed when: versions of the objects with the time at which each was made, and outages, during which nobody can
// know of a change. So a connection that opened can be judged afterwards.
import { translateCluster } from "../../src/kubernetes/cluster.ts";
import { fieldAt, stringOf } from "../../src/kubernetes/json.ts";
import type { Direction } from "../../src/model/policy.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Packet } from "../../src/policy/packet.ts";
import { PolicyModel } from "../../src/policy/policy-model.ts";

interface Version {
  /** When the objects were read. */
  readonly seenMs: number;
  readonly model: PolicyModel;
  /** By `namespace/name`, the uid of the pod that has the name. */
  readonly pods: ReadonlyMap<string, string>;
}

interface Outage {
  readonly fromMs: number;
  toMs: number;
}

/** A connection that opened at some moment of this time. */
export interface Opening {
  readonly packet: Packet;
  /** The pod that the packet was sent to, by its address. */
  readonly pod?: { readonly id: string; readonly uid: string };
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
    const pods = objects.filter((object) => fieldAt(object, "kind") === "Pod").map(nameAndUid);
    this.#versions.push({ seenMs: performance.now(), model, pods: new Map(pods) });
  }

  /** Begins an outage; what it gives ends it. */
  outage(): () => void {
    const outage: Outage = { fromMs: performance.now(), toMs: Infinity };
    this.#outages.push(outage);
    return () => (outage.toMs = performance.now());
  }

  /**
   * How long ago the last objects that allow the connection were replaced when it began, outages not counted; 0 when some
   * allow it then or later, `undefined` when none ever did. Each end is enforced by its own node, and nodes take changes in
   * at different times: so the objects that allow it to go out need not be those that allow it in.
   */
  latenessMs(opening: Opening): number | undefined {
    const [out, into] = [this.#latenessOf(opening, "egress"), this.#latenessOf(opening, "ingress")];
    return out === undefined || into === undefined ? undefined : Math.max(out, into);
  }

  #latenessOf(opening: Opening, direction: Direction): number | undefined {
    const { fromMs, toMs } = opening;
    // The newest that allows it is the one that was replaced last.
    for (let index = this.#versions.length - 1; index >= 0; index--) {
      const version = this.#versions[index];
      // They became so at some moment after the last look, and were so until some moment before the next.
      const begunMs = this.#versions[index - 1]?.seenMs ?? 0;
      const endedMs = this.#versions[index + 1]?.seenMs ?? Infinity;
      if (version === undefined || begunMs > toMs || !allows(version, opening, direction)) continue;
      return endedMs >= fromMs ? 0 : this.healthyMs(endedMs, fromMs);
    }
    return undefined;
  }

  /** For people: who had the packet's address when, and what was said of it, in the minute before; times are of `toIso`. */
  history({ packet, pod, fromMs, toMs }: Opening, toIso: (ms: number) => string): string[] {
    const lines: string[] = [];
    for (const { seenMs, model, pods } of this.#versions) {
      if (seenMs < fromMs - 60_000 || seenMs > toMs + 1_000) continue;
      const byAddress = JSON.stringify(evaluate(model, packet));
      const known = pod && pods.get(pod.id) === pod.uid ? "the pod" : "no such pod";
      const line = `${known}: ${byAddress}`;
      if (lines.at(-1)?.endsWith(line) !== true) lines.push(`${toIso(seenMs)} ${line}`);
    }
    return lines;
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

function nameAndUid(pod: unknown): [string, string] {
  const text = (name: string): string => stringOf(fieldAt(pod, "metadata", name)) ?? "";
  return [`${text("namespace")}/${text("name")}`, text("uid")];
}

/**
 * A pod gets its address some time after it was made, between two looks at the objects. So what the objects say of the pod
 * itself counts as well.
 */
function allows({ model, pods }: Version, { packet, pod }: Opening, direction: Direction): boolean {
  if (evaluate(model, packet)[direction].verdict !== "deny") return true;
  if (pod === undefined || pods.get(pod.id) !== pod.uid) return false;
  const destination = { kind: "endpoint", id: pod.id } as const;
  return evaluate(model, { ...packet, destination })[direction].verdict !== "deny";
}
