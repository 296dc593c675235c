import type { Endpoint } from "../model/endpoint.ts";
import type { EncodedDelta } from "../southbound/encoded.ts";
import { defineIdentity, identityIdOf } from "./identity.ts";
import { Identity } from "./membership.ts";
import type { Inputs } from "./inputs.ts";
import { Multimap } from "./multimap.ts";
import { type Relevance, type RelevanceChanges, isTouched } from "./relevance.ts";
import { SharedResources } from "./shared-resources.ts";

/** An endpoint that has everything it needs to take part. */
interface Placement {
  readonly identity: Identity;
  readonly node: string;
}

/** A node that hosts an identity and did not, or the other way round. */
export interface HostingChange {
  readonly identity: Identity;
  readonly node: string;
  readonly hosted: boolean;
}

export interface IdentityChanges {
  readonly appeared: readonly Identity[];
  readonly vanished: readonly Identity[];
  readonly hostings: readonly HostingChange[];
}

/**
 * Gives each endpoint its identity. Takes endpoints, zones and what is relevant; gives the endpoint resources, which
 * identities there are and on which nodes. An endpoint without node, addresses or a known zone is left out: without its
 * zone's labels nobody knows which policies it is under. It knows nothing of groups.
 */
export class Identities {
  readonly resources = new SharedResources("endpoint");
  readonly #inputs: Inputs;
  readonly #relevance: Relevance;
  readonly #placements = new Map<string, Placement>();
  readonly #identities = new Map<string, Identity>();
  readonly #byNode = new Multimap<string, Identity>();
  /** Identities made in this update. */
  #appeared: Identity[] = [];
  /** Where a first endpoint came or a last one went in this update; perhaps there and back. */
  #touched: Placement[] = [];

  constructor(inputs: Inputs, relevance: Relevance) {
    this.#inputs = inputs;
    this.#relevance = relevance;
  }

  get size(): number {
    return this.#placements.size + this.#identities.size + this.#byNode.size + this.resources.size;
  }

  /** Number of identities. */
  get count(): number {
    return this.#identities.size;
  }

  values(): MapIterator<Identity> {
    return this.#identities.values();
  }

  /** Identities that have an endpoint on the node. */
  localTo(node: string): Iterable<Identity> {
    return this.#byNode.get(node);
  }

  /** `endpoints` and `zones` name what was set; cost grows with them and with the zones whose relevance changed. */
  update(
    endpoints: Iterable<string>,
    zones: Iterable<string>,
    relevance: RelevanceChanges,
  ): IdentityChanges {
    const dirty = new Set(endpoints);
    for (const zone of zones) {
      for (const id of this.#inputs.endpointsOf(zone)) dirty.add(id);
    }
    for (const [zone, change] of relevance) {
      const inScope =
        zone === undefined ? this.#inputs.endpoints.keys() : this.#inputs.endpointsOf(zone);
      for (const id of inScope) {
        if (dirty.has(id)) continue;
        const endpoint = this.#inputs.endpoints.get(id);
        if (endpoint !== undefined && isTouched(endpoint, change)) dirty.add(id);
      }
    }
    for (const id of dirty) this.#place(id);
    return this.#takeChanges();
  }

  takeDelta(): EncodedDelta {
    return this.resources.takeDelta();
  }

  #place(id: string): void {
    const endpoint = this.#inputs.endpoints.get(id);
    const placed = endpoint === undefined ? undefined : this.#placementOf(endpoint);
    const before = this.#placements.get(id);
    if (before?.identity !== placed?.identity || before?.node !== placed?.node) {
      if (placed?.identity.nodes.add(placed.node) === true) this.#touched.push(placed);
      if (before?.identity.nodes.remove(before.node) === true) this.#touched.push(before);
    }
    if (placed === undefined || endpoint === undefined) {
      this.#placements.delete(id);
      this.resources.set(id, undefined);
      return;
    }
    this.#placements.set(id, placed);
    this.resources.set(id, {
      kind: "endpoint",
      id,
      domain: endpoint.domain,
      node: placed.node,
      addresses: endpoint.addresses,
      mac: endpoint.mac,
      identity: placed.identity.id,
    });
  }

  #placementOf(endpoint: Endpoint): Placement | undefined {
    const { node, zone, addresses } = endpoint;
    if (node === undefined || addresses.length === 0) return undefined;
    if (this.#inputs.zones.get(zone) === undefined) return undefined;
    const id = identityIdOf(endpoint, this.#relevance);
    let identity = this.#identities.get(id);
    if (identity === undefined) {
      identity = new Identity(defineIdentity(endpoint, this.#relevance));
      this.#identities.set(id, identity);
      this.#appeared.push(identity);
    }
    return { identity, node };
  }

  #takeChanges(): IdentityChanges {
    const hostings: HostingChange[] = [];
    const vanished: Identity[] = [];
    for (const { identity, node } of this.#touched) {
      const hosted = identity.nodes.has(node);
      if (hosted === this.#byNode.has(node, identity)) continue;
      if (hosted) this.#byNode.add(node, identity);
      else this.#byNode.delete(node, identity);
      hostings.push({ identity, node, hosted });
      if (identity.nodes.size === 0 && this.#identities.delete(identity.id)) {
        vanished.push(identity);
      }
    }
    const appeared = this.#appeared;
    this.#appeared = [];
    this.#touched = [];
    return { appeared, vanished, hostings };
  }
}
