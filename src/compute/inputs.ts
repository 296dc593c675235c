import type { Domain, Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { NamedService } from "../model/named-service.ts";
import type { Policy } from "../model/policy.ts";
import type { Announcement } from "../model/announcement.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { VirtualService } from "../model/service.ts";
import { Multimap } from "./multimap.ts";

/** An object by its id, and what it was when the changes were last settled. */
export interface InputEntry<Value> {
  readonly id: string;
  /** Only of use where the entry is changed. */
  readonly before: Value | undefined;
  /** `undefined` where it is deleted. */
  readonly after: Value | undefined;
  /** Whether it was set since, be it to the same. */
  readonly wasSet: boolean;
}

class Entry<Value> implements InputEntry<Value> {
  readonly id: string;
  before: Value | undefined;
  after: Value | undefined;
  wasSet = false;

  constructor(id: string) {
    this.id = id;
  }
}

/** Whether it is other than when the changes were last settled. */
export function isChanged<Value>(entry: InputEntry<Value>): boolean {
  return entry.wasSet && entry.before !== entry.after;
}

/** One kind of input, with what was set since its changes were last settled. */
class InputTable<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  #wasSet: Entry<Value>[] = [];

  get size(): number {
    return this.#entries.size;
  }

  has(id: string): boolean {
    return this.#entries.get(id)?.after !== undefined;
  }

  entries(): Iterable<InputEntry<Value>> {
    return this.#entries.values();
  }

  get(id: string): Value | undefined {
    return this.#entries.get(id)?.after;
  }

  set(id: string, value: Value | undefined): InputEntry<Value> {
    let entry = this.#entries.get(id);
    if (entry === undefined) this.#entries.set(id, (entry = new Entry(id)));
    if (!entry.wasSet) {
      entry.wasSet = true;
      entry.before = entry.after;
      this.#wasSet.push(entry);
    }
    entry.after = value;
    return entry;
  }

  /** What is other than before; what came and went again is not. */
  get changes(): readonly InputEntry<Value>[] {
    return this.#wasSet.filter(isChanged);
  }

  settle(): void {
    for (const entry of this.#wasSet) {
      entry.wasSet = false;
      entry.before = undefined;
      if (entry.after === undefined) this.#entries.delete(entry.id);
    }
    this.#wasSet = [];
  }
}

/** Everything the graph is a function of. */
export class Inputs {
  readonly zones = new InputTable<Zone>();
  readonly endpoints = new InputTable<Endpoint>();
  readonly domains = new InputTable<Domain>();
  readonly nodes = new InputTable<Node>();
  readonly policies = new InputTable<Policy>();
  readonly services = new InputTable<VirtualService>();
  readonly names = new InputTable<NamedService>();
  readonly announcements = new InputTable<Announcement>();
  readonly checks = new InputTable<HealthCheck>();
  readonly #endpointsByZone = new Multimap<string, InputEntry<Endpoint>>();

  /** Endpoints that name the zone, whether it exists or not. */
  endpointsOf(zone: string): Iterable<InputEntry<Endpoint>> {
    return this.#endpointsByZone.get(zone);
  }

  setEndpoint(id: string, endpoint: Endpoint | undefined): void {
    const before = this.endpoints.get(id);
    const entry = this.endpoints.set(id, endpoint);
    if (before?.zone === endpoint?.zone) return;
    if (before !== undefined) this.#endpointsByZone.delete(before.zone, entry);
    if (endpoint !== undefined) this.#endpointsByZone.add(endpoint.zone, entry);
  }

  /** All changes were taken in. */
  settle(): void {
    for (const table of this.#tables) table.settle();
  }

  /** Entries in every index; 0 when nothing is left. */
  get size(): number {
    return this.#tables.reduce((sum, table) => sum + table.size, this.#endpointsByZone.size);
  }

  get #tables() {
    return [
      this.zones,
      this.endpoints,
      this.domains,
      this.nodes,
      this.policies,
      this.services,
      this.names,
      this.announcements,
      this.checks,
    ];
  }
}
