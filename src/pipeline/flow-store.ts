// The flows and groups that are wanted now, and what changed since the last look.
import { flowBody, flowKey } from "../openflow/flow-key.ts";
import type { Flow } from "../openflow/flow.ts";
import { groupBody } from "../openflow/group-change.ts";
import type { Group } from "../openflow/group.ts";

/** What to do on the switch; the order within is free, all of it belongs into one bundle. */
export interface FlowChanges {
  /** To add, or to put in place of the flow with the same table, priority and match. */
  readonly upserts: readonly Flow[];
  /** To delete strictly, by table, priority and match. */
  readonly deletes: readonly Flow[];
  /** Groups that became other than they were, by number; `undefined` for one that no flow leads to any more. */
  readonly groups?: ReadonlyMap<number, Group | undefined>;
}

/** What a unit wants. No two units may want a group of one number. */
export interface UnitContent {
  readonly flows: readonly Flow[];
  readonly groups: readonly Group[];
}

function isSame(a: Flow, b: Flow): boolean {
  // Lists of conjunctions are long, and mostly differ in length already.
  return a === b || (a.actions.length === b.actions.length && flowBody(a) === flowBody(b));
}

function isSameGroup(a: Group | undefined, b: Group | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.buckets.length === b.buckets.length && groupBody(a) === groupBody(b);
}

interface Owned {
  readonly flow: Flow;
  readonly unit: string;
}

/** Flows and groups in units: a unit's are replaced together. No two units may want the same entry. */
export class FlowStore {
  readonly #flows = new Map<string, Owned>();
  readonly #units = new Map<string, readonly string[]>();
  /** Flow key → what was there at the last `takeChanges`. */
  readonly #touched = new Map<string, Flow | undefined>();
  readonly #groups = new Map<number, Group>();
  readonly #groupsByUnit = new Map<string, readonly number[]>();
  /** Group → what it was at the last `takeChanges`. */
  readonly #touchedGroups = new Map<number, Group | undefined>();

  /** How many flows there are. */
  get size(): number {
    return this.#flows.size;
  }

  *flows(): Iterable<Flow> {
    for (const { flow } of this.#flows.values()) yield flow;
  }

  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  setUnit(unit: string, { flows, groups }: UnitContent): void {
    this.#setGroups(unit, groups);
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

  #setGroups(unit: string, groups: readonly Group[]): void {
    const before = this.#groupsByUnit.get(unit);
    if (before === undefined && groups.length === 0) return;
    for (const id of [...(before ?? []), ...groups.map((group) => group.id)]) {
      if (!this.#touchedGroups.has(id)) this.#touchedGroups.set(id, this.#groups.get(id));
      this.#groups.delete(id);
    }
    for (const group of groups) this.#groups.set(group.id, group);
    if (groups.length > 0)
      this.#groupsByUnit.set(
        unit,
        groups.map(({ id }) => id),
      );
    else this.#groupsByUnit.delete(unit);
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
    const groups = this.#takeGroups();
    return groups.size === 0 ? { upserts, deletes } : { upserts, deletes, groups };
  }

  #takeGroups(): ReadonlyMap<number, Group | undefined> {
    const groups = new Map<number, Group | undefined>();
    for (const [id, before] of this.#touchedGroups) {
      const after = this.#groups.get(id);
      if (!isSameGroup(before, after)) groups.set(id, after);
    }
    this.#touchedGroups.clear();
    return groups;
  }
}
