// Gives every placed pod an Endpoint object with addresses out of its namespace's networks, and takes it away again when
// the pod is gone. Keys are `namespace/name`; what is wanted follows from the objects alone, so it does not matter which
// event, or which crash, came before. Many pods may be worked on at once, each by one worker.
import { StatusError } from "../apimachinery/errors.ts";
import type { OwnerReference } from "../apimachinery/kind.ts";
import { AddressSpace, type DomainFill, type DomainPools } from "../ipam/address-space.ts";
import type { DomainLedger } from "../ipam/domain-ledger.ts";
import { macOf } from "../ipam/space-network.ts";
import { annotation } from "../ipam/request.ts";
import { type Address, formatAddress, tryParseAddress } from "../net/address.ts";
import type { AddressStore, NewEndpoint } from "./address-store.ts";
import { DomainKeeper, type Growth } from "./domain-keeper.ts";
import { ExternalAddresses, ipamFinalizer } from "./external-addresses.ts";
import type { IpamWebhookConfig } from "../client/ipam-webhook.ts";
import { AddressRequestError, NameTakenError } from "./errors.ts";
import type { KnownEndpoint, KnownNetwork } from "./known-objects.ts";
import { LedgerGoneError, type Versioned } from "./ledger-writer.ts";
import { type AddressTimes, NetworkKeeper } from "./network-keeper.ts";
import { placeFor, placeOfExisting, type WantedPlace } from "./requested-places.ts";
import type { PlacedPod } from "./placed-pod.ts";
import { isNewer } from "./resource-version.ts";

type AddressWork = "pod" | "network" | "domain" | "health";

export interface KnownDomain {
  readonly uid: string;
  readonly pools: DomainPools;
  readonly ledger: Versioned<DomainLedger>;
  /** Where its addresses come from, when not from its pools alone. */
  readonly webhook: IpamWebhookConfig | undefined;
}

export interface AddressControllerOptions {
  readonly store: AddressStore;
  readonly times: AddressTimes;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** `reconcile` is to be called for the pod's key, or what belongs to networks and domains, after so long a time. */
  /** No address is given out of the network, and people should know why. */
  readonly onUnusable: (network: KnownNetwork, reason: string) => void;
  readonly look: (what: AddressWork, key: string, delayMs: number) => void;
}

export interface AddressFill extends DomainFill {
  /** Places that are taken. */
  readonly used: number;
}

interface Place {
  readonly network: string;
  readonly offsets: readonly number[];
  readonly addresses: readonly string[];
  readonly mac: string;
}

/** A place for a pod's endpoint that is written down, while the endpoint is being made. */
interface Intent {
  readonly podUid: string;
  readonly place: Place;
}

/** A domain's usage is told so long after it has changed. */
const usageDelayMs = 2_000;

export class AddressController implements AsyncDisposable {
  readonly #options: AddressControllerOptions;
  readonly #space = new AddressSpace();
  readonly #networks: NetworkKeeper;
  readonly #domains: DomainKeeper;
  readonly #external: ExternalAddresses;
  readonly #domainUids = new Map<string, string>();
  readonly #pods = new Map<string, PlacedPod>();
  readonly #endpoints = new Map<string, KnownEndpoint>();
  readonly #intents = new Map<string, Intent>();
  /** Networks being made, by who wants them: those who want the same wait for one. */
  readonly #growing = new Map<string, Promise<void>>();

  constructor(options: AddressControllerOptions) {
    this.#options = options;
    const { store, times, now, look } = options;
    const space = this.#space;
    this.#networks = new NetworkKeeper({
      space,
      store,
      times,
      now,
      look: (id, delayMs) => look("network", id, delayMs),
      onUnusable: options.onUnusable,
      onUsage: (domain) => look("domain", domain, usageDelayMs),
    });
    const usedOf = (domain: string): number => this.#networks.usedOf(domain);
    this.#domains = new DomainKeeper({ space, store, times, now, usedOf });
    this.#external = new ExternalAddresses({ space, store });
  }

  /** `undefined` for pods that are gone, have ended, are not placed or use their node's network. */
  setPod(key: string, pod: PlacedPod | undefined): void {
    if (pod) this.#pods.set(key, pod);
    else this.#pods.delete(key);
    this.#options.look("pod", key, 0);
  }

  setDomain(name: string, domain: KnownDomain | undefined): void {
    if (this.#space.setDomain(name, domain?.pools)) this.#networks.judgeAll(name);
    this.#domains.set(name, domain?.ledger);
    if (domain) this.#domainUids.set(name, domain.uid);
    else this.#domainUids.delete(name);
    if (!this.#external.set(name, domain?.webhook)) return;
    this.#options.look("health", name, 0);
    for (const [key, pod] of this.#pods) {
      if (pod.domain === name) this.#options.look("pod", key, 0);
    }
  }

  /** Whether somebody else has to be asked for the pod's addresses, who may take long. */
  isExternal(key: string): boolean {
    const endpoint = this.#endpoints.get(key);
    if (endpoint?.ofPod) return endpoint.finalizers.includes(ipamFinalizer);
    return this.#external.has(this.#pods.get(key)?.domain ?? "");
  }

  domainUid(domain: string): string {
    return this.#domainUids.get(domain) ?? "";
  }

  /** How full the domains are. */
  fill(): readonly AddressFill[] {
    return this.#space
      .fill()
      .map((each) => ({ ...each, used: this.#networks.usedOf(each.domain) }));
  }

  /** Whether the domain has an external IPAM. */
  hasExternal(domain: string): boolean {
    return this.#external.has(domain);
  }

  /** @throws {IpamUnavailableError} @throws {IpamRefusedError} when the domain's external IPAM is not well */
  async checkHealth(domain: string): Promise<void> {
    await this.#external.checkHealth(domain);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#external[Symbol.asyncDispose]();
  }

  /** @throws {AddressError} when a CIDR cannot be read; the network is then left out */
  setNetwork(id: string, network: KnownNetwork): void {
    this.#networks.set(id, network);
  }

  removeNetwork(id: string): void {
    const gone = this.#networks.remove(id);
    if (gone === undefined) return;
    const { times, now } = this.#options;
    const untilMs = now() + times.quarantineMs;
    // Only a courtesy to those who still send to its addresses: the next cut is made elsewhere in any case.
    this.#domains.rest(gone.domain, gone.cidrs, untilMs).catch(() => {});
  }

  /** News of an endpoint, which may be older than what is known by its own write. */
  setEndpoint(key: string, endpoint: KnownEndpoint): void {
    const before = this.#endpoints.get(key);
    if (before && !isNewer(endpoint.version, before.version)) return;
    if (before && before.uid !== endpoint.uid) this.removeEndpoint(key, before.uid);
    this.#endpoints.set(key, endpoint);
    this.#space.setEndpoint(key, endpoint);
    if (endpoint.network !== undefined) {
      this.#networks.settle(endpoint.network, this.#offsetsOf(endpoint));
    }
    this.#options.look("pod", key, 0);
  }

  /** News that this endpoint is gone; one that has taken its name since is not. */
  removeEndpoint(key: string, uid: string): void {
    const endpoint = this.#endpoints.get(key);
    if (endpoint?.uid !== uid) return;
    this.#endpoints.delete(key);
    this.#space.setEndpoint(key, undefined);
    if (endpoint.network !== undefined) {
      this.#networks.vacate(endpoint.network, this.#offsetsOf(endpoint));
    }
    this.#options.look("pod", key, 0);
  }

  pod(key: string): PlacedPod | undefined {
    return this.#pods.get(key);
  }

  /** Makes the ledger of a network agree with its endpoints, and removes one that has been empty for long. */
  async reconcileNetwork(id: string): Promise<void> {
    try {
      await this.#networks.reconcile(id);
    } catch (error) {
      // The watch will tell of it.
      if (!(error instanceof LedgerGoneError)) throw error;
    }
  }

  async tellUsage(domain: string): Promise<void> {
    await this.#domains.tell(domain);
  }

  /**
   * Makes what is stored for the key what it should be.
   * @throws {AddressesExhaustedError} @throws {AddressRequestError} @throws {NameTakenError} and whatever the store rejects
   *   with; it is to be tried again then
   */
  async reconcile(key: string): Promise<void> {
    const pod = this.#pods.get(key);
    const endpoint = this.#endpoints.get(key);
    if (endpoint && isFor(endpoint, pod)) {
      if (endpoint.kept) await this.#takeUp(key, endpoint);
      else if (
        pod &&
        endpoint.finalizers.includes(ipamFinalizer) &&
        endpoint.addresses.length === 0
      ) {
        this.setEndpoint(key, await this.#external.fill(key, endpoint, pod));
      }
      return;
    }
    if (endpoint?.ofPod === false) {
      if (pod === undefined) return;
      throw new NameTakenError(`Endpoint ${key} is for something else than the pod of its name`);
    }
    if (this.#intents.get(key)?.podUid !== pod?.uid) this.#abandon(key, false);
    if (endpoint?.keep && !endpoint.deleting && mayAdopt(endpoint, pod)) {
      if (pod) await this.#adopt(key, endpoint, pod);
      else await this.#keep(key, endpoint, endpoint.keep.seconds);
      return;
    }
    if (endpoint?.finalizers.includes(ipamFinalizer)) {
      await this.#external.release(key, endpoint);
      this.removeEndpoint(key, endpoint.uid);
      return;
    }
    if (endpoint && !(await this.#giveUp(key, endpoint)) && pod) {
      throw new NameTakenError(`Endpoint ${key} of an earlier pod is still being deleted`);
    }
    if (pod === undefined || pod.isEnding) return;
    if (this.#external.has(pod.domain)) await this.#begin(key, pod);
    else await this.#allocate(key, pod);
  }

  /** Makes an endpoint whose addresses an external IPAM will give. */
  async #begin(key: string, pod: PlacedPod): Promise<void> {
    checkRequest(pod);
    const [namespace = "", name = ""] = key.split("/");
    const { store } = this.#options;
    try {
      const wanted = this.#external.begin(newEndpoint(name, pod));
      this.setEndpoint(key, await store.createEndpoint(namespace, name, wanted));
    } catch (error) {
      const isTaken = error instanceof StatusError && error.status.code === 409;
      const found = isTaken ? await store.readEndpoint(namespace, name) : undefined;
      if (!found) throw error;
      this.setEndpoint(key, found);
    }
  }

  /** Deletes the endpoint, or keeps it for the next pod of its name. @returns whether the name is free */
  async #giveUp(key: string, endpoint: KnownEndpoint): Promise<boolean> {
    const [namespace = "", name = ""] = key.split("/");
    const gone = await this.#options.store.deleteEndpoint(namespace, name, endpoint.uid);
    if (gone) this.removeEndpoint(key, endpoint.uid);
    return gone;
  }

  /** The endpoint's pod has gone, and no other one of its name has come yet. */
  async #keep(key: string, endpoint: KnownEndpoint, seconds: number | undefined): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const { store, now, look } = this.#options;
    if (!endpoint.kept) {
      const untilMs = seconds === undefined ? undefined : now() + seconds * 1000;
      const keptUntil = untilMs === undefined ? {} : { keptUntil: new Date(untilMs).toISOString() };
      const status = { phase: "Kept", ...keptUntil } as const;
      this.setEndpoint(key, await store.changeEndpoint(namespace, name, endpoint, { status }));
    } else if (endpoint.keptUntilMs !== undefined) {
      const restMs = endpoint.keptUntilMs - now();
      if (restMs > 0) look("pod", key, restMs);
      else if (endpoint.finalizers.includes(ipamFinalizer)) {
        await this.#external.release(key, endpoint);
        this.removeEndpoint(key, endpoint.uid);
      } else await this.#giveUp(key, endpoint);
    }
  }

  /** The next pod of the name takes the endpoint over. */
  async #adopt(key: string, endpoint: KnownEndpoint, pod: PlacedPod): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const change = { podUid: pod.uid, node: pod.node };
    this.setEndpoint(
      key,
      await this.#options.store.changeEndpoint(namespace, name, endpoint, change),
    );
  }

  async #takeUp(key: string, endpoint: KnownEndpoint): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const change = { status: { phase: "Pending" } } as const;
    this.setEndpoint(
      key,
      await this.#options.store.changeEndpoint(namespace, name, endpoint, change),
    );
  }

  async #allocate(key: string, pod: PlacedPod): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    const { store } = this.#options;
    let place = this.#intents.get(key)?.place;
    if (place === undefined) {
      place = await this.#reserve(namespace, pod);
      this.#intents.set(key, { podUid: pod.uid, place });
    }
    try {
      const created = await store.createEndpoint(namespace, name, {
        ...newEndpoint(name, pod),
        ...place,
        finalizer: undefined,
      });
      this.#intents.delete(key);
      this.setEndpoint(key, created);
    } catch (error) {
      if (isRefusal(error)) this.#abandon(key, true);
      // It may be this controller's own, from an attempt whose answer was lost.
      const isTaken = error instanceof StatusError && error.status.code === 409;
      const found = isTaken ? await store.readEndpoint(namespace, name) : undefined;
      if (found) this.setEndpoint(key, found);
      if (!found || !isFor(found, pod)) throw error;
      if (equalLists(found.addresses, place.addresses)) this.#intents.delete(key);
      else this.#abandon(key, true);
    }
  }

  /** Writes down a place for the pod. @throws {AddressRequestError} @throws {AddressesExhaustedError} */
  async #reserve(zone: string, pod: PlacedPod): Promise<Place> {
    checkRequest(pod);
    const { domain, request } = pod;
    const wish = { domain, zone, request };
    let lost = request.addresses.length === 0 ? parseAll(pod.addresses) : [];
    for (;;) {
      const before = lost.length > 0 ? placeOfExisting(this.#space, wish, lost) : undefined;
      const wanted = before ?? placeFor(this.#space, wish);
      switch (wanted.kind) {
        case "grow":
          await this.#grow(domain, zone, wanted);
          break;
        case "any": {
          const { network } = wanted;
          const offset = await this.#networks.reserve(network.id);
          if (offset !== undefined) {
            return placeAt(network.id, [offset], network.addressesAt(offset));
          }
          break;
        }
        case "exactly": {
          const { network, offsets, addresses } = wanted;
          if (await this.#networks.reserveExactly(network.id, offsets)) {
            return placeAt(network.id, offsets, addresses);
          }
          if (before === undefined) {
            const why = this.#networks.whyUnusable(network.id);
            throw new AddressRequestError(
              why === undefined ? whoHas(wanted) : `network ${network.id} is not used: ${why}`,
            );
          }
          // What the pod had is somebody else's now: it gets others.
          lost = [];
          break;
        }
      }
    }
  }

  async #grow(domain: string, zone: string, growth: Growth): Promise<void> {
    const id = `${domain} ${zone} ${growth.key}`;
    const grow = async (): Promise<void> => {
      try {
        const made = await this.#domains.grow(domain, zone, growth);
        if (!this.#networks.isKept(made.id)) this.#networks.set(made.id, made);
      } finally {
        this.#growing.delete(id);
      }
    };
    const growing = this.#growing.get(id) ?? grow();
    this.#growing.set(id, growing);
    await growing;
  }

  #abandon(key: string, unused: boolean): void {
    const intent = this.#intents.get(key);
    if (intent === undefined) return;
    this.#intents.delete(key);
    this.#networks.abandon(intent.place.network, intent.place.offsets, unused);
  }

  #offsetsOf({ network, addresses }: KnownEndpoint): Iterable<number> {
    const known = network === undefined ? undefined : this.#space.network(network);
    return known?.offsetsOf(addresses) ?? [];
  }
}

function placeAt(network: string, offsets: readonly number[], addresses: readonly string[]): Place {
  return { network, offsets, addresses, mac: macOf(addresses) };
}

function parseAll(texts: readonly string[]): Address[] {
  return texts.map(tryParseAddress).filter((address) => address !== undefined);
}

/** Owners whose pods have new names each time: nobody would ever take over what was kept. */
const ownersOfNamelessPods = [
  "Deployment",
  "ReplicaSet",
  "ReplicationController",
  "DaemonSet",
  "Job",
];

/** @throws {AddressRequestError} */
function checkRequest({ problems, request, owner }: PlacedPod): void {
  if (problems.length > 0) throw new AddressRequestError(problems.join("; "));
  if (request.keep === undefined || request.keep.seconds !== undefined) return;
  if (owner === undefined) {
    throw new AddressRequestError(
      `${annotation.keep}: the pod has no owner whose end would be the end of its addresses`,
    );
  }
  if (ownersOfNamelessPods.includes(owner.kind)) {
    throw new AddressRequestError(
      `${annotation.keep}: the pods of a ${owner.kind} have new names each time, so that none would have its predecessor's addresses`,
    );
  }
}

function whoHas({
  network,
  offsets,
  addresses,
}: Extract<WantedPlace, { kind: "exactly" }>): string {
  const holders = new Set(offsets.flatMap((offset) => network.holdersOf(offset)));
  const who = holders.size > 0 ? `by endpoint ${[...holders].join(", ")}` : "already";
  return `${addresses.join(", ")} is taken ${who}`;
}

function newEndpoint(
  name: string,
  { uid: podUid, node, domain, request: { keep }, owner }: PlacedPod,
): Omit<NewEndpoint, "network" | "addresses" | "mac" | "finalizer"> {
  const byPod: OwnerReference = { apiVersion: "v1", kind: "Pod", name, uid: podUid };
  const goesWith = keep && (keep.seconds === undefined ? owner : undefined);
  return { podUid, node, domain, keep, owner: keep ? goesWith : byPod };
}

function equalLists(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** Whether an endpoint that was kept may go to the pod that is there now. */
function mayAdopt(endpoint: KnownEndpoint, pod: PlacedPod | undefined): boolean {
  if (!endpoint.ofPod) return false;
  if (pod === undefined) return true;
  const { request, problems, domain } = pod;
  if (domain !== endpoint.domain || !request.keep || problems.length > 0) return false;
  return request.addresses.every((address) => endpoint.addresses.includes(formatAddress(address)));
}

/** Refused for good, and nothing written: the namespace is gone or going, for example. */
function isRefusal(error: unknown): boolean {
  return error instanceof StatusError && [400, 403, 404, 422].includes(error.status.code);
}

/** A pod that was deleted and made again under its name is another one, and so is one that was placed elsewhere. */
function isFor(endpoint: KnownEndpoint, pod: PlacedPod | undefined): boolean {
  return (
    pod !== undefined &&
    endpoint.ofPod &&
    !endpoint.deleting &&
    endpoint.podUid === pod.uid &&
    endpoint.node === pod.node &&
    endpoint.domain === pod.domain
  );
}
