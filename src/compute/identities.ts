import { type Endpoint, type Zone, everyNode } from "../model/endpoint.ts";
import { type EncodedDelta, EncodedResource } from "../southbound/encoded.ts";
import { Identity } from "./entities.ts";
import { defineIdentity, identityIdOf } from "./identity.ts";
import { type InputEntry, type Inputs, isChanged } from "./inputs.ts";
import { Multimap } from "./multimap.ts";
import { type Relevance, type RelevanceChanges, isTouched } from "./relevance.ts";
import { SharedResources } from "./shared-resources.ts";
import type { Work } from "./work.ts";

/** An endpoint that has everything it needs to take part. */
export class Placement extends EncodedResource {
  readonly identity: Identity;
  readonly node: string;
  readonly addresses: readonly string[];

  constructor(id: string, endpoint: Endpoint, node: string, identity: Identity) {
    const { domain, addresses, mac, uids } = endpoint;
    const attached = uids === undefined ? {} : { uids };
    super({
      kind: "endpoint",
      id,
      domain,
      node,
      addresses,
      mac,
      ...attached,
      identity: identity.id,
    });
    this.identity = identity;
    this.node = node;
    this.addresses = addresses;
  }
}

/** A node that hosts an identity and did not, or the other way round. */
interface HostingChange {
  readonly identity: Identity;
  readonly node: string;
  readonly hosted: boolean;
}

export interface IdentityChanges {
  /** Endpoints that are other than before. */
  readonly placed: readonly Placement[];
  /** Ids of endpoints that take no part any more. */
  readonly unplaced: readonly string[];
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
  readonly #inputs: Inputs;
  readonly #relevance: Relevance;
  readonly #work: Work;
  readonly #placements = new SharedResources<Placement>();
  readonly #identities = new Map<string, Identity>();
  readonly #byNode = new Multimap<string, Identity>();
  #placed: Placement[] = [];
  #unplaced: string[] = [];
  /** Made in this update. */
  #appeared: Identity[] = [];
  /** Where a first endpoint came or a last one went in this update; perhaps there and back. */
  #touched: Placement[] = [];

  constructor(inputs: Inputs, relevance: Relevance, work: Work) {
    this.#inputs = inputs;
    this.#relevance = relevance;
    this.#work = work;
  }

  get size(): number {
    return this.#placements.size + this.#identities.size + this.#byNode.size;
  }

  get counts(): { readonly endpoints: number; readonly identities: number } {
    return { endpoints: this.#placements.size, identities: this.#identities.size };
  }

  /** Every endpoint's resource. */
  get all(): EncodedDelta {
    return this.#placements.all;
  }

  placements(): Iterable<Placement> {
    return this.#placements.values();
  }

  /** Identities that have an endpoint on the node. */
  localTo(node: string): Iterable<Identity> {
    return this.#byNode.get(node);
  }

  /** Cost grows with what changed and with the endpoints of the zones where something became relevant. */
  update(
    endpoints: readonly InputEntry<Endpoint>[],
    zones: readonly InputEntry<Zone>[],
    relevance: RelevanceChanges,
  ): IdentityChanges {
    for (const { id, after } of endpoints) this.#place(id, after);
    this.#placeAffected(zones, relevance);
    return this.#takeChanges();
  }

  takeDelta(): EncodedDelta {
    return this.#placements.takeDelta();
  }

  /** Endpoints whose identity might be another though they did not change. */
  #placeAffected(zones: readonly InputEntry<Zone>[], relevance: RelevanceChanges): void {
    for (const { id, before, after } of zones) {
      if (before !== undefined && after !== undefined) continue;
      for (const entry of this.#inputs.endpointsOf(id)) {
        if (!isChanged(entry)) this.#place(entry.id, entry.after);
      }
    }
    const { endpoints } = this.#inputs;
    for (const [zone, change] of relevance) {
      const all = zone === undefined ? endpoints.entries() : this.#inputs.endpointsOf(zone);
      for (const entry of all) {
        const { after } = entry;
        if (after === undefined || !isTouched(after, change) || isChanged(entry)) continue;
        this.#place(entry.id, after);
      }
    }
  }

  #place(id: string, endpoint: Endpoint | undefined): void {
    const before = this.#placements.get(id);
    const after = endpoint === undefined ? undefined : this.#placementOf(id, endpoint);
    if (before?.text === after?.text) return;
    this.#placements.replace(before, after);
    if (after !== undefined) this.#placed.push(after);
    else this.#unplaced.push(id);
    if (before?.identity === after?.identity && before?.node === after?.node) return;
    if (after !== undefined && host(after)) this.#touched.push(after);
    if (before !== undefined && unhost(before)) this.#touched.push(before);
  }

  #placementOf(id: string, endpoint: Endpoint): Placement | undefined {
    const { node, zone, addresses } = endpoint;
    if (node === undefined || addresses.length === 0 || !this.#inputs.zones.has(zone)) {
      return undefined;
    }
    this.#work.placed++;
    const identityId = identityIdOf(endpoint, this.#relevance);
    let identity = this.#identities.get(identityId);
    if (identity === undefined) {
      identity = new Identity(defineIdentity(identityId, endpoint, this.#relevance));
      this.#identities.set(identityId, identity);
      this.#appeared.push(identity);
    }
    return new Placement(id, endpoint, node, identity);
  }

  #takeChanges(): IdentityChanges {
    const hostings: HostingChange[] = [];
    const vanished: Identity[] = [];
    for (const { identity, node } of this.#touched) {
      const hosted = identity.nodes.has(node);
      if (hosted !== this.#byNode.has(node, identity)) {
        if (hosted) this.#byNode.add(node, identity);
        else this.#byNode.delete(node, identity);
        hostings.push({ identity, node, hosted });
      }
      const isUsed = !identity.nodes.isEmpty || identity.everywhere > 0;
      if (!isUsed && this.#identities.delete(identity.id)) vanished.push(identity);
    }
    const changes = {
      placed: this.#placed,
      unplaced: this.#unplaced,
      appeared: this.#appeared,
      vanished,
      hostings,
    };
    this.#placed = [];
    this.#unplaced = [];
    this.#appeared = [];
    this.#touched = [];
    return changes;
  }
}

/** Whether it is the identity's first endpoint there. */
function host({ identity, node }: Placement): boolean {
  if (node === everyNode) return identity.everywhere++ === 0;
  return identity.nodes.add(node);
}

/** Whether it was the identity's last endpoint there. */
function unhost({ identity, node }: Placement): boolean {
  if (node === everyNode) return --identity.everywhere === 0;
  return identity.nodes.remove(node);
}
