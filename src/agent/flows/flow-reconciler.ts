// Makes the switch's flows equal to what the pipeline wants: reads them back on every new connection, touches only what
// differs, and puts each round of changes in force as one atomic bundle.
import { flowBody, flowKey } from "../../openflow/flow-key.ts";
import type { Flow } from "../../openflow/flow.ts";
import { deleteGroup, groupBody, setGroup } from "../../openflow/group-change.ts";
import type { Group, GroupMod } from "../../openflow/group.ts";
import type { FlowChanges } from "../../pipeline/flow-store.ts";
import { DeltaTracker } from "./delta-tracker.ts";

/** The part of an OpenFlow connection that is needed here. Both calls fail when the connection is lost. */
export interface FlowSwitch {
  dumpFlows(): Promise<readonly Flow[]>;
  dumpGroups(): Promise<readonly Group[]>;
  /** All or nothing. Gives what the switch does not take; when that is nothing, all is in force. */
  change(changes: SwitchChanges): Promise<Refusals>;
}

export interface SwitchChanges {
  readonly upserts: readonly Flow[];
  readonly deletes: readonly Flow[];
  /** Before the flows that lead to them. */
  readonly groups: readonly GroupMod[];
  /** After the flows that led to them. */
  readonly groupDeletes: readonly GroupMod[];
}

export interface Refusals {
  readonly flows: readonly RefusedFlow[];
  readonly groups: readonly { readonly id: number; readonly message: string }[];
}

/** A flow that the switch does not take. It is left out, and so is what it would have allowed. */
export interface RefusedFlow {
  readonly flow: Flow;
  readonly message: string;
}

class Entry {
  readonly flow: Flow;
  #body: string | undefined;

  constructor(flow: Flow) {
    this.flow = flow;
  }

  /** Equal for flows that do the same; most are never compared. */
  get body(): string {
    this.#body ??= flowBody(this.flow);
    return this.#body;
  }
}

export interface FlowCounters {
  /** Bundles that the switch committed, and the flows that they added, replaced or deleted. */
  bundles: number;
  changed: number;
  /** Connections on which the flows were read back. */
  resyncs: number;
}

class GroupEntry {
  readonly group: Group;
  #body: string | undefined;

  constructor(group: Group) {
    this.group = group;
  }

  get body(): string {
    this.#body ??= groupBody(this.group);
    return this.#body;
  }
}

interface Waiter {
  readonly version: number;
  readonly resolve: () => void;
}

export class FlowReconciler {
  readonly counters: FlowCounters = { bundles: 0, changed: 0, resyncs: 0 };
  readonly #flows = new DeltaTracker<Entry>((a, b) => a.body === b.body);
  readonly #refused = new Map<string, { entry: Entry; message: string }>();
  readonly #groups = new DeltaTracker<GroupEntry>((a, b) => a === b || a.body === b.body);
  /** Groups that the switch did not take as they are wanted. */
  readonly #refusedGroups = new Map<string, GroupEntry>();
  #waiters: Waiter[] = [];
  /** Counts the changes of what is wanted. */
  #version = 0;
  #confirmed = 0;
  #enabled = false;
  #connected = false;
  #wake: () => void = () => undefined;

  /** Whether the switch's flows were read and are being followed. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Of the latest change of what is wanted. */
  get version(): number {
    return this.#version;
  }

  /** Flows on the switch. */
  get length(): number {
    return this.#flows.actual.size;
  }

  get refused(): readonly RefusedFlow[] {
    return [...this.#refused.values()].map(({ entry, message }) => ({ flow: entry.flow, message }));
  }

  /** Takes changes in; they go to the switch with whatever else waits. Gives the version to wait for. */
  change({ upserts, deletes, groups }: FlowChanges): number {
    for (const [id, group] of groups ?? []) {
      this.#refusedGroups.delete(String(id));
      this.#groups.setDesired(String(id), group && new GroupEntry(group));
    }
    for (const flow of deletes) this.#setDesired(flowKey(flow), undefined);
    for (const flow of upserts) this.#setDesired(flowKey(flow), new Entry(flow));
    this.#version += 1;
    this.#wake();
    return this.#version;
  }

  /** Lets the switch be changed. Before, what is wanted is not known well enough to delete anything. */
  enable(): void {
    this.#enabled = true;
    this.#wake();
  }

  /** Resolves when the switch has confirmed everything up to `version`. @throws {unknown} the signal's reason. */
  async confirmed(version: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#connected && this.#confirmed >= version) return;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter = { version, resolve: () => resolve(undefined) };
    const abort = (): void => reject(signal.reason);
    this.#waiters.push(waiter);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
  }

  /** Serves one connection until it is lost or `signal` aborted. @throws {Error} what the connection failed with. */
  async serve(connection: FlowSwitch, signal: AbortSignal): Promise<void> {
    const [flows, groups] = await Promise.all([connection.dumpFlows(), connection.dumpGroups()]);
    this.counters.resyncs += 1;
    this.#refused.clear();
    this.#refusedGroups.clear();
    this.#groups.replaceActual(groups.map((group) => [String(group.id), new GroupEntry(group)]));
    this.#flows.replaceActual(flows.map((flow) => [flowKey(flow), new Entry(flow)]));
    this.#confirmed = 0;
    this.#connected = true;
    const stop = (): void => this.#wake();
    signal.addEventListener("abort", stop);
    try {
      while (!signal.aborted) {
        const woken = new Promise<void>((resolve) => (this.#wake = resolve));
        if (this.#enabled) await this.#flush(connection);
        await woken;
      }
    } finally {
      this.#connected = false;
      signal.removeEventListener("abort", stop);
    }
  }

  #setDesired(key: string, entry: Entry | undefined): void {
    this.#refused.delete(key);
    this.#flows.setDesired(key, entry);
  }

  /** Repeats until the switch has what is wanted now; what it refuses is left out of the next attempt. */
  async #flush(connection: FlowSwitch): Promise<void> {
    for (;;) {
      const version = this.#version;
      const { upserts, deletes } = this.#pending();
      const groups = this.#pendingGroups();
      const groupDeletes = [...this.#groups.deletions];
      if (upserts.length + deletes.length + groups.length + groupDeletes.length > 0) {
        const refusals = await connection.change({
          upserts: upserts.map(([, entry]) => entry.flow),
          deletes: deletes.map(([, entry]) => entry.flow),
          groups: groups.map(([, { group }]) => setGroup(group)),
          groupDeletes: groupDeletes.map(([, { group }]) => deleteGroup(group)),
        });
        if (refusals.flows.length + refusals.groups.length > 0) {
          this.#refuse(refusals, version);
          continue;
        }
        this.counters.bundles += 1;
        this.counters.changed += upserts.length + deletes.length;
        for (const [key, entry] of upserts) this.#flows.setActual(key, entry);
        for (const [key] of deletes) this.#flows.setActual(key, undefined);
        for (const [key, entry] of groups) this.#groups.setActual(key, entry);
        for (const [key] of groupDeletes) this.#groups.setActual(key, undefined);
      }
      this.#confirm(version);
      if (version === this.#version) return;
    }
  }

  #pendingGroups(): [string, GroupEntry][] {
    return [...this.#groups.updates].filter(
      ([key, entry]) => this.#refusedGroups.get(key) !== entry,
    );
  }

  #pending(): { upserts: [string, Entry][]; deletes: [string, Entry][] } {
    const upserts: [string, Entry][] = [];
    const deletes: [string, Entry][] = [...this.#flows.deletions];
    for (const [key, entry] of this.#flows.updates) {
      if (!this.#refused.has(key)) {
        upserts.push([key, entry]);
        continue;
      }
      // What an earlier version of the flow allowed is not to outlive it.
      const outdated = this.#flows.actual.get(key);
      if (outdated !== undefined) deletes.push([key, outdated]);
    }
    return { upserts, deletes };
  }

  /** Flows that lead to a group that is not there are refused in turn. */
  #refuse({ flows, groups }: Refusals, version: number): void {
    for (const { id } of groups) {
      const entry = this.#groups.updates.get(String(id));
      if (entry !== undefined) this.#refusedGroups.set(String(id), entry);
    }
    for (const refusal of flows) this.#refuseFlow(refusal, version);
  }

  #refuseFlow({ flow, message }: RefusedFlow, version: number): void {
    const key = flowKey(flow);
    const entry = this.#flows.updates.get(key);
    if (entry !== undefined && entry.body === flowBody(flow)) {
      this.#refused.set(key, { entry, message });
    } else if (version === this.#version) {
      throw new Error(`the switch does not let go of a flow: ${message}`);
    }
  }

  #confirm(version: number): void {
    this.#confirmed = version;
    for (const waiter of this.#waiters) {
      if (waiter.version <= version) waiter.resolve();
    }
  }
}
