// A cluster's objects by key, as plain maps, and what tests do with them.
import type { Compute } from "../../src/compute/graph.ts";
import type { Domain, Endpoint, Node, Zone } from "../../src/model/endpoint.ts";
import type { Policy } from "../../src/model/policy.ts";
import type { NamedService } from "../../src/model/named-service.ts";
import type { VirtualService } from "../../src/model/service.ts";
import type { EncodedDelta } from "../../src/southbound/encoded.ts";
import { keyText } from "../../src/southbound/encoded.ts";
import type { Resource } from "../../src/southbound/resources.ts";
import type { Change } from "./arbitrary.ts";

export class World {
  readonly zones = new Map<string, Zone>();
  readonly endpoints = new Map<string, Endpoint>();
  readonly domains = new Map<string, Domain>();
  readonly nodes = new Map<string, Node>();
  readonly policies = new Map<string, Policy>();
  readonly services = new Map<string, VirtualService>();
  readonly names = new Map<string, NamedService>();

  static of(changes: Iterable<Change>): World {
    const world = new World();
    for (const change of changes) world.apply(change);
    return world;
  }

  apply(change: Change): void {
    switch (change.kind) {
      case "zone":
        return put(this.zones, change.id, change.value);
      case "endpoint":
        return put(this.endpoints, change.id, change.value);
      case "domain":
        return put(this.domains, change.id, change.value);
      case "node":
        return put(this.nodes, change.id, change.value);
      case "policy":
        return put(this.policies, change.id, change.value);
      case "service":
        return put(this.services, change.id, change.value);
      case "names":
        return put(this.names, change.id, change.value);
    }
  }

  /** The changes that lead here from nothing. */
  *changes(): Generator<Change, void, undefined> {
    for (const [id, value] of this.zones) yield { kind: "zone", id, value };
    for (const [id, value] of this.endpoints) yield { kind: "endpoint", id, value };
    for (const [id, value] of this.domains) yield { kind: "domain", id, value };
    for (const [id, value] of this.nodes) yield { kind: "node", id, value };
    for (const [id, value] of this.policies) yield { kind: "policy", id, value };
    for (const [id, value] of this.services) yield { kind: "service", id, value };
    for (const [id, value] of this.names) yield { kind: "names", id, value };
  }
}

function put<Value>(map: Map<string, Value>, id: string, value: Value | undefined): void {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

export function applyTo(compute: Compute, change: Change): void {
  switch (change.kind) {
    case "zone":
      return compute.setZone(change.id, change.value);
    case "endpoint":
      return compute.setEndpoint(change.id, change.value);
    case "domain":
      return compute.setDomain(change.id, change.value);
    case "node":
      return compute.setNode(change.id, change.value);
    case "policy":
      return compute.setPolicy(change.id, change.value);
    case "service":
      return compute.setService(change.id, change.value);
    case "names":
      return compute.setNames(change.id, change.value);
  }
}

/** A node's resources by `kind/id`. */
export type NodeState = ReadonlyMap<string, Resource>;

export function stateFrom(full: EncodedDelta): NodeState {
  const entries = [...full.upserts()].map(({ resource }) => [keyText(resource), resource] as const);
  return new Map(entries);
}
