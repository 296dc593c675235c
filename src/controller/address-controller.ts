// Gives every placed pod an Endpoint object with addresses out of its namespace's network, and takes it away again when
// the pod is gone. Keys are `namespace/name`; what is wanted follows from the objects alone, so it does not matter which
// event, or which crash, came before.
import { StatusError } from "../apimachinery/errors.ts";
import type { AddressSpace, NetworkCidrs } from "../ipam/address-space.ts";
import { AddressesExhaustedError, NameTakenError } from "./errors.ts";

/** What of a pod decides about its addresses. */
export interface PlacedPod {
  readonly uid: string;
  /** The domain that its namespace belongs to. */
  readonly domain: string;
  readonly node: string;
}

/** What of an Endpoint object is needed to keep or remove it. */
export interface KnownEndpoint {
  readonly uid: string;
  /** metadata.resourceVersion as a number: what is known is not replaced by what was before it. */
  readonly version: number;
  /** Whether it is for a pod. Others are made by users, and only their addresses are of interest here. */
  readonly ofPod: boolean;
  /** The pod that it was made for. */
  readonly podUid: string | undefined;
  readonly node: string;
  readonly domain: string;
  readonly network: string;
  readonly addresses: readonly string[];
}

export interface NewEndpoint {
  readonly podUid: string;
  readonly node: string;
  readonly domain: string;
  readonly network: string;
  readonly addresses: readonly string[];
  readonly mac: string;
}

/** What is stored, read at one time. */
export interface StoredAddresses {
  readonly networks: ReadonlyMap<string, NetworkCidrs>;
  readonly endpoints: ReadonlyMap<string, KnownEndpoint>;
}

/** The store of addresses. A write resolves once stored; one that rejects may have been stored all the same. */
export interface AddressStore {
  read(): Promise<StoredAddresses>;
  /** Resolves to the network's name. */
  createNetwork(namespace: string, domain: string, cidrs: readonly string[]): Promise<string>;
  createEndpoint(namespace: string, name: string, endpoint: NewEndpoint): Promise<KnownEndpoint>;
  /** Succeeds when it is gone already. */
  deleteEndpoint(namespace: string, name: string, uid: string): Promise<void>;
}

export class AddressController {
  readonly #space: AddressSpace;
  readonly #store: AddressStore;
  readonly #pods = new Map<string, PlacedPod>();
  readonly #endpoints = new Map<string, KnownEndpoint>();
  /** Whether a write has failed since the store was read: then it is not known what it left. */
  #uncertain = false;

  constructor(space: AddressSpace, store: AddressStore) {
    this.#space = space;
    this.#store = store;
  }

  /** `undefined` for pods that are gone, have ended, are not placed or use their node's network. */
  setPod(key: string, pod: PlacedPod | undefined): void {
    if (pod) this.#pods.set(key, pod);
    else this.#pods.delete(key);
  }

  /** News of an endpoint, which may be older than what is known by its own write. */
  setEndpoint(key: string, endpoint: KnownEndpoint): void {
    if ((this.#endpoints.get(key)?.version ?? -1) > endpoint.version) return;
    this.#endpoints.set(key, endpoint);
    this.#space.setEndpoint(key, endpoint);
  }

  /** News that this endpoint is gone; one that has taken its name since is not. */
  removeEndpoint(key: string, uid: string): void {
    if (this.#endpoints.get(key)?.uid !== uid) return;
    this.#endpoints.delete(key);
    this.#space.setEndpoint(key, undefined);
  }

  /**
   * For a work queue with one worker: proposals are made against what has been stored.
   * @throws {AddressesExhaustedError} @throws {NameTakenError} and whatever the store rejects with
   */
  async reconcile(key: string): Promise<void> {
    if (this.#uncertain) await this.#readAgain();
    const [namespace = "", name = ""] = key.split("/");
    const pod = this.#pods.get(key);
    const endpoint = this.#endpoints.get(key);
    if (endpoint && isFor(endpoint, pod)) return;
    if (endpoint?.ofPod === false) {
      if (pod === undefined) return;
      throw new NameTakenError(`Endpoint ${key} is for something else than the pod of its name`);
    }
    if (endpoint) {
      await this.#written(this.#store.deleteEndpoint(namespace, name, endpoint.uid));
      this.removeEndpoint(key, endpoint.uid);
    }
    if (pod) await this.#allocate(namespace, name, pod);
  }

  async #allocate(namespace: string, name: string, pod: PlacedPod): Promise<void> {
    for (;;) {
      const proposal = this.#space.propose(pod.domain, namespace);
      if (proposal.kind === "refused") throw new AddressesExhaustedError(proposal.reason);
      if (proposal.kind === "network") {
        const { cidrs } = proposal;
        const id = await this.#written(this.#store.createNetwork(namespace, pod.domain, cidrs));
        this.#space.setNetwork(`${namespace}/${id}`, {
          domain: pod.domain,
          zone: namespace,
          cidrs,
        });
        continue;
      }
      const { network, addresses, mac } = proposal;
      const { uid: podUid, node, domain } = pod;
      const wanted = { podUid, node, domain, network, addresses, mac };
      const stored = await this.#written(this.#store.createEndpoint(namespace, name, wanted));
      this.setEndpoint(`${namespace}/${name}`, stored);
      return;
    }
  }

  async #written<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      if (!isRefusal(error)) this.#uncertain = true;
      throw error;
    }
  }

  /** O(all), and only after a failure: an address that is given out twice costs more. */
  async #readAgain(): Promise<void> {
    const { networks, endpoints } = await this.#store.read();
    for (const [id, network] of networks) this.#space.setNetwork(id, network);
    for (const [key, { uid }] of this.#endpoints) {
      if (!endpoints.has(key)) this.removeEndpoint(key, uid);
    }
    for (const [key, endpoint] of endpoints) this.setEndpoint(key, endpoint);
    this.#uncertain = false;
  }
}

/** Refused for good, and nothing written: the namespace is gone or going, for example. */
function isRefusal(error: unknown): boolean {
  return error instanceof StatusError && [403, 404].includes(error.status.code);
}

/** A pod that was deleted and made again under its name is another one, and so is one that was placed elsewhere. */
function isFor(endpoint: KnownEndpoint, pod: PlacedPod | undefined): boolean {
  return (
    pod !== undefined &&
    endpoint.ofPod &&
    endpoint.podUid === pod.uid &&
    endpoint.node === pod.node &&
    endpoint.domain === pod.domain
  );
}
