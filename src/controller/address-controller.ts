// Gives every placed pod an Endpoint object with addresses out of its namespace's network, and takes it away again when
// the pod is gone. Keys are `namespace/name`; what is wanted follows from the objects alone, so it does not matter which
// event, or which crash, came before.
import type { AddressSpace } from "../ipam/address-space.ts";
import { AddressesExhaustedError } from "./errors.ts";

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

/** The writes; each resolves once stored and rejects on conflict, and then the key is tried again. */
export interface AddressWrites {
  /** Resolves to the network's name. */
  createNetwork(namespace: string, domain: string, cidrs: readonly string[]): Promise<string>;
  createEndpoint(namespace: string, name: string, endpoint: NewEndpoint): Promise<KnownEndpoint>;
  /** Succeeds when it is gone already. */
  deleteEndpoint(namespace: string, name: string, uid: string): Promise<void>;
}

export class AddressController {
  readonly #space: AddressSpace;
  readonly #writes: AddressWrites;
  readonly #pods = new Map<string, PlacedPod>();
  readonly #endpoints = new Map<string, KnownEndpoint>();

  constructor(space: AddressSpace, writes: AddressWrites) {
    this.#space = space;
    this.#writes = writes;
  }

  /** `undefined` for pods that are gone, have ended, are not placed or use their node's network. */
  setPod(key: string, pod: PlacedPod | undefined): void {
    if (pod) this.#pods.set(key, pod);
    else this.#pods.delete(key);
  }

  setEndpoint(key: string, endpoint: KnownEndpoint | undefined): void {
    if (endpoint) this.#endpoints.set(key, endpoint);
    else this.#endpoints.delete(key);
    this.#space.setEndpoint(key, endpoint);
  }

  /**
   * For a work queue with one worker: proposals are made against what has been stored.
   * @throws {AddressesExhaustedError} and whatever the writes reject with
   */
  async reconcile(key: string): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const pod = this.#pods.get(key);
    const endpoint = this.#endpoints.get(key);
    if (endpoint && isFor(endpoint, pod)) return;
    if (endpoint) {
      await this.#writes.deleteEndpoint(namespace, name, endpoint.uid);
      this.setEndpoint(key, undefined);
    }
    if (pod) await this.#allocate(namespace, name, pod);
  }

  async #allocate(namespace: string, name: string, pod: PlacedPod): Promise<void> {
    for (;;) {
      const proposal = this.#space.propose(pod.domain, namespace);
      if (proposal.kind === "refused") throw new AddressesExhaustedError(proposal.reason);
      if (proposal.kind === "network") {
        const { cidrs } = proposal;
        const id = await this.#writes.createNetwork(namespace, pod.domain, cidrs);
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
      const stored = await this.#writes.createEndpoint(namespace, name, wanted);
      this.setEndpoint(`${namespace}/${name}`, stored);
      return;
    }
  }
}

/** A pod that was deleted and made again under its name is another one, and so is one that was placed elsewhere. */
function isFor(endpoint: KnownEndpoint, pod: PlacedPod | undefined): boolean {
  return (
    pod !== undefined &&
    endpoint.podUid === pod.uid &&
    endpoint.node === pod.node &&
    endpoint.domain === pod.domain
  );
}
