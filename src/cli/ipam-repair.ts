// Puts right what an audit has found, where that can be done without harm. Everything is done on the objects as they were
// found: what has changed since is left alone.
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { Finding } from "../ipam/audit.ts";
import { NetworkLedger } from "../ipam/network-ledger.ts";
import { SpaceNetwork } from "../ipam/space-network.ts";
import { type Endpoint, endpointKind } from "../kinds/endpoint.ts";
import { type Network, networkKind } from "../kinds/network.ts";
import { type AddressObjects, keyOf } from "./ipam-objects.ts";

export interface Repaired extends Finding {
  /** What was done, or why nothing was. */
  readonly repair: string;
  readonly repaired: boolean;
}

/** Freed places rest as long as after an endpoint. */
const restMs = 60_000;

type Outcome = Pick<Repaired, "repair" | "repaired">;

export class Repairer {
  readonly #client: ApiClient;
  readonly #objects: AddressObjects;
  /** Endpoints that were deleted for an earlier finding. */
  readonly #deleted = new Set<string>();

  constructor(client: ApiClient, objects: AddressObjects) {
    this.#client = client;
    this.#objects = objects;
  }

  async repair(finding: Finding): Promise<Repaired> {
    try {
      return { ...finding, ...(await this.#repair(finding)) };
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      return { ...finding, repaired: false, repair: `the API server refused: ${error.message}` };
    }
  }

  async #repair(finding: Finding): Promise<Outcome> {
    switch (finding.kind) {
      case "leaked":
      case "not-reserved":
        return await this.#repairPlace(finding);
      case "no-pod":
        return await this.#deleteEndpoint(finding.object, "the endpoint was deleted");
      case "duplicate":
        return await this.#repairDuplicate(finding);
      case "no-network":
      case "outside-network":
        return await this.#replaceUnused(finding.object);
      case "no-endpoint":
        return none("the controller makes it; the pod's events say what keeps it from that");
      case "other-address":
        return none("delete the pod, so that it is made anew");
      case "no-domain":
        return none("make the domain, or delete what names it");
      case "pools-overlap":
      case "outside-pools":
      case "networks-overlap":
        return none("move the pods away (delete them one by one), then delete the network");
    }
  }

  async #repairPlace({ kind, place }: Finding): Promise<Outcome> {
    if (place === undefined) return none("it is not known where");
    const [namespace = "", name = ""] = place.network.split("/");
    const network = await this.#client.find(networkKind, { namespace, name });
    if (network === undefined) return done("its network has gone");
    // The ledger is read before the endpoints: what was written into it since then makes the write below fail.
    const { items } = await this.#client.list(endpointKind, { namespace });
    const space = new SpaceNetwork(place.network, { ...network.spec, zone: namespace });
    for (const { metadata, spec } of items) {
      if (spec.network === name) space.hold(metadata.name, spec.addresses);
    }
    const ledger = NetworkLedger.parse(network.status);
    const nowMs = Date.now();
    if (kind === "leaked") {
      if (space.isHeld(place.offset)) return done("an endpoint has it by now");
      ledger.release(place.offset, nowMs + restMs, nowMs);
    } else {
      if (!space.isHeld(place.offset)) return done("no endpoint has it any more");
      ledger.take(place.offset);
    }
    if (!ledger.changed) return done("it is right by now");
    await this.#client.updateStatus(networkKind, withLedger(network, ledger, space.capacity));
    return done(
      kind === "leaked"
        ? `it was given back, and rests for ${restMs / 1000} s`
        : "it was written down",
    );
  }

  async #repairDuplicate(finding: Finding): Promise<Outcome> {
    const endpoint = this.#endpoint(finding.object);
    if (endpoint === undefined) return none("the endpoint has gone");
    const rivals = this.#objects.endpoints.filter(
      (each) =>
        each !== endpoint &&
        each.spec.domain === endpoint.spec.domain &&
        each.spec.addresses.some((address) => endpoint.spec.addresses.includes(address)) &&
        !this.#deleted.has(keyOf(each)),
    );
    if (rivals.length === 0) return done("the other one was taken away");
    // Whoever uses the address keeps it; otherwise who was there first, and never something that no controller can make anew.
    if (rivals.every((rival) => this.#rank(endpoint, rival) > 0)) {
      return none("it keeps the address, and the others are to give way");
    }
    if (endpoint.spec.attachment.kind !== "Pod") {
      return none("it is for no pod: delete the endpoint, or give it another address");
    }
    const text = this.#isInUse(endpoint)
      ? "the endpoint was deleted; delete its pod too, which goes on to use the address"
      : "the endpoint was deleted, and the controller makes another one";
    return await this.#deleteEndpoint(finding.object, text);
  }

  /** Positive when the first endpoint is to keep the address. */
  #rank(one: Endpoint, other: Endpoint): number {
    const claims = (endpoint: Endpoint): number =>
      (endpoint.spec.attachment.kind === "Pod" ? 0 : 2) + (this.#isInUse(endpoint) ? 1 : 0);
    const { creationTimestamp: a, uid } = one.metadata;
    const { creationTimestamp: b, uid: otherUid } = other.metadata;
    return claims(one) - claims(other) || b.localeCompare(a) || otherUid.localeCompare(uid);
  }

  #isInUse({ spec: { addresses, attachment }, metadata: { namespace } }: Endpoint): boolean {
    const pod = this.#objects.pods.find(
      ({ metadata }) => metadata.namespace === namespace && metadata.uid === attachment.uid,
    );
    return (pod?.status?.podIPs ?? []).some(({ ip }) => addresses.includes(ip));
  }

  async #replaceUnused(object: string): Promise<Outcome> {
    const endpoint = this.#endpoint(object);
    if (endpoint === undefined) return none("the endpoint has gone");
    if (endpoint.spec.attachment.kind !== "Pod") return none("it is for no pod: delete it");
    if (this.#isInUse(endpoint)) return none("its pod uses the address: delete the pod");
    return await this.#deleteEndpoint(
      object,
      "the endpoint was deleted, and the controller makes another one",
    );
  }

  async #deleteEndpoint(object: string, repair: string): Promise<Outcome> {
    const endpoint = this.#endpoint(object);
    if (endpoint === undefined) return none("the endpoint has gone");
    const { namespace = "", name, uid } = endpoint.metadata;
    if (!this.#deleted.has(keyOf(endpoint))) {
      await this.#client.delete(endpointKind, { namespace, name }, { preconditions: { uid } });
    }
    this.#deleted.add(keyOf(endpoint));
    return done(repair);
  }

  #endpoint(object: string): Endpoint | undefined {
    const key = object.slice(object.indexOf(" ") + 1);
    return this.#objects.endpoints.find((endpoint) => keyOf(endpoint) === key);
  }
}

function none(repair: string): Outcome {
  return { repair, repaired: false };
}

function done(repair: string): Outcome {
  return { repair, repaired: true };
}

function withLedger(network: Network, ledger: NetworkLedger, capacity: number): Network {
  const { allocated = "", resting, emptySince } = ledger.render(Date.now());
  const used = ledger.allocated.length;
  const free = Math.max(0, capacity - used);
  const status: NonNullable<Network["status"]> = { capacity, used, free, allocated };
  if (resting) status.resting = resting.map((each) => ({ ...each }));
  if (emptySince !== undefined) status.emptySince = emptySince;
  return { ...network, apiVersion: "isobar.io/v1alpha1", kind: "Network", status };
}
