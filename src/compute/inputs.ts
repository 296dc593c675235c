import type { Domain, Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { Policy } from "../model/policy.ts";
import { Multimap } from "./multimap.ts";

/** One kind of input, with what was set since the changes were last taken. */
export class InputTable<Value> {
  readonly #values = new Map<string, Value>();
  #changed = new Map<string, Value | undefined>();

  get size(): number {
    return this.#values.size;
  }

  get(id: string): Value | undefined {
    return this.#values.get(id);
  }

  keys(): MapIterator<string> {
    return this.#values.keys();
  }

  entries(): MapIterator<[string, Value]> {
    return this.#values.entries();
  }

  set(id: string, value: Value | undefined): void {
    if (!this.#changed.has(id)) this.#changed.set(id, this.#values.get(id));
    if (value === undefined) this.#values.delete(id);
    else this.#values.set(id, value);
  }

  /** Ids that were set, with their values before; what came and went again is left out. */
  takeChanges(): ReadonlyMap<string, Value | undefined> {
    const changed = this.#changed;
    this.#changed = new Map();
    for (const [id, before] of changed) {
      if (before === this.#values.get(id)) changed.delete(id);
    }
    return changed;
  }
}

/** Everything the graph is a function of. */
export class Inputs {
  readonly zones = new InputTable<Zone>();
  readonly endpoints = new InputTable<Endpoint>();
  readonly domains = new InputTable<Domain>();
  readonly nodes = new InputTable<Node>();
  readonly policies = new InputTable<Policy>();
  readonly #endpointsByZone = new Multimap<string, string>();

  /** Ids of the endpoints that name the zone, whether it exists or not. */
  endpointsOf(zone: string): Iterable<string> {
    return this.#endpointsByZone.get(zone);
  }

  setEndpoint(id: string, endpoint: Endpoint | undefined): void {
    const before = this.endpoints.get(id);
    if (before?.zone !== endpoint?.zone) {
      if (before !== undefined) this.#endpointsByZone.delete(before.zone, id);
      if (endpoint !== undefined) this.#endpointsByZone.add(endpoint.zone, id);
    }
    this.endpoints.set(id, endpoint);
  }

  /** Entries in every index; 0 when nothing is left. */
  get size(): number {
    const tables = [this.zones, this.endpoints, this.domains, this.nodes, this.policies];
    return tables.reduce((sum, table) => sum + table.size, this.#endpointsByZone.size);
  }
}
