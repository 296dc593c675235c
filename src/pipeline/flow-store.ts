// The flows that are wanted now, and what changed since the last look.
import { flowBody, flowKey } from "../openflow/flow-key.ts";
import type { Flow } from "../openflow/flow.ts";

/** What to do on the switch; the order within is free, all of it belongs into one bundle. */
export interface FlowChanges {
  /** To add, or to put in place of the flow with the same table, priority and match. */
  readonly upserts: readonly Flow[];
  /** To delete strictly, by table, priority and match. */
  readonly deletes: readonly Flow[];
}

function isSame(a: Flow, b: Flow): boolean {
  // Lists of conjunctions are long, and mostly differ in length already.
  return a === b || (a.actions.length === b.actions.length && flowBody(a) === flowBody(b));
}

interface Owned {
  readonly flow: Flow;
  readonly unit: string;
}

/** Flows in units: a unit's flows are replaced together. No two units may want the same entry. */
export class FlowStore {
  readonly #flows = new Map<string, Owned>();
  readonly #units = new Map<string, readonly string[]>();
  /** Flow key → what was there at the last `takeChanges`. */
  readonly #touched = new Map<string, Flow | undefined>();

  get size(): number {
    return this.#flows.size;
  }

  *flows(): Iterable<Flow> {
    for (const { flow } of this.#flows.values()) yield flow;
  }

  setUnit(unit: string, flows: readonly Flow[]): void {
    const wanted = new Map(flows.map((flow) => [flowKey(flow), flow]));
    for (const key of this.#units.get(unit) ?? []) {
      // An entry that another unit took over since is no longer this unit's to delete.
      if (wanted.has(key) || this.#flows.get(key)?.unit !== unit) continue;
      this.#touch(key);
      this.#flows.delete(key);
    }
    for (const [key, flow] of wanted) {
      this.#touch(key);
      this.#flows.set(key, { flow, unit });
    }
    if (wanted.size > 0) this.#units.set(unit, [...wanted.keys()]);
    else this.#units.delete(unit);
  }

  #touch(key: string): void {
    if (!this.#touched.has(key)) this.#touched.set(key, this.#flows.get(key)?.flow);
  }

  /** The net change since the last call. O(touched). */
  takeChanges(): FlowChanges {
    const upserts: Flow[] = [];
    const deletes: Flow[] = [];
    for (const [key, before] of this.#touched) {
      const after = this.#flows.get(key)?.flow;
      if (after === undefined) {
        if (before !== undefined) deletes.push(before);
      } else if (before === undefined || !isSame(before, after)) {
        upserts.push(after);
      }
    }
    this.#touched.clear();
    return { upserts, deletes };
  }
}
