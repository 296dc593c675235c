// Endpoints whose addresses an external IPAM gives. The Endpoint is stored first, without addresses and held by a finalizer;
// its uid is the id of the request. So a crash at any point leaves an object that says what there may be to give back, and
// nothing goes before it was given back.
import { type IpamRequest, IpamWebhook, type IpamWebhookConfig } from "../client/ipam-webhook.ts";
import type { AddressSpace } from "../ipam/address-space.ts";
import { macOf } from "../ipam/space-network.ts";
import { formatAddress, tryParseAddress } from "../net/address.ts";
import type { AddressStore, NewEndpoint } from "./address-store.ts";
import { AddressRequestError } from "./errors.ts";
import type { KnownEndpoint } from "./known-objects.ts";
import type { PlacedPod } from "./placed-pod.ts";

export const ipamFinalizer = "isobar.io/external-ipam";

export interface ExternalAddressesOptions {
  readonly space: AddressSpace;
  readonly store: AddressStore;
}

export class ExternalAddresses {
  readonly #options: ExternalAddressesOptions;
  /** Addresses that are being written into an endpoint → whose. */
  readonly #writing = new Map<string, string>();
  readonly #webhooks = new Map<string, IpamWebhook>();

  constructor(options: ExternalAddressesOptions) {
    this.#options = options;
  }

  /** Where the domain's addresses come from; `undefined` when from its pools. @returns whether that is something else now */
  set(domain: string, config: IpamWebhookConfig | undefined): boolean {
    const before = this.#webhooks.get(domain);
    if (JSON.stringify(before?.config) === JSON.stringify(config)) return false;
    void before?.[Symbol.asyncDispose]();
    if (config === undefined) this.#webhooks.delete(domain);
    else this.#webhooks.set(domain, new IpamWebhook(config));
    return true;
  }

  has(domain: string): boolean {
    return this.#webhooks.has(domain);
  }

  /** @throws {IpamUnavailableError} @throws {IpamRefusedError} */
  async checkHealth(domain: string): Promise<void> {
    await this.#webhooks.get(domain)?.checkHealth();
  }

  /** What an endpoint is made as: its addresses come later. */
  begin(endpoint: Omit<NewEndpoint, "network" | "addresses" | "mac" | "finalizer">): NewEndpoint {
    const none = { network: undefined, addresses: [], mac: macOf([]) };
    return { ...endpoint, ...none, finalizer: ipamFinalizer };
  }

  /** Gets the endpoint's addresses and stores them. @throws {IpamRefusedError} @throws {AddressRequestError} */
  async fill(key: string, endpoint: KnownEndpoint, pod: PlacedPod): Promise<KnownEndpoint> {
    const webhook = this.#webhooks.get(endpoint.domain);
    if (webhook === undefined) {
      const message = `domain "${endpoint.domain}" has no external IPAM any more: make the pod anew`;
      throw new AddressRequestError(message);
    }
    const { space, store } = this.#options;
    const given = await webhook.allocate({
      ...requestOf(key, endpoint),
      node: endpoint.node,
      pools: space.usageOf(endpoint.domain).pools.map(({ cidr }) => cidr),
      addresses: pod.request.addresses.map(formatAddress),
      network: pod.request.network,
    });
    const addresses = this.#checked(key, endpoint.domain, given);
    const { namespace, pod: name } = requestOf(key, endpoint);
    const written = addresses.map((address) => `${endpoint.domain} ${address}`);
    for (const each of written) this.#writing.set(each, key);
    try {
      const change = { addresses, mac: macOf(addresses) };
      const stored = await store.changeEndpoint(namespace, name, endpoint, change);
      space.setEndpoint(key, stored);
      return stored;
    } finally {
      for (const each of written) this.#writing.delete(each);
    }
  }

  /** Gives the endpoint's addresses back and lets it go. */
  async release(key: string, endpoint: KnownEndpoint): Promise<void> {
    const { store } = this.#options;
    const released = requestOf(key, endpoint);
    const { namespace, pod: name } = released;
    if (!endpoint.deleting) await store.deleteEndpoint(namespace, name, endpoint.uid);
    // When the domain has no IPAM any more, there is nobody to tell.
    await this.#webhooks.get(endpoint.domain)?.release(released);
    await store.letGo(namespace, name, endpoint.uid, ipamFinalizer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#webhooks.values()].map((each) => each[Symbol.asyncDispose]()));
  }

  /** The IPAM is asked, and not trusted. @throws {AddressRequestError} */
  #checked(key: string, domain: string, given: readonly string[]): string[] {
    const { space } = this.#options;
    const families = new Set<number>();
    return given.map((text) => {
      const address = tryParseAddress(text);
      const fail = (why: string): never => {
        throw new AddressRequestError(`the external IPAM gave ${text}, which ${why}`);
      };
      if (address === undefined) return fail("is no address");
      if (families.has(address.family)) return fail("is a second one of its family");
      families.add(address.family);
      if (!space.isInPools(domain, address))
        return fail(`is not in the pools of domain "${domain}"`);
      const own = formatAddress(address);
      const writer = this.#writing.get(`${domain} ${own}`);
      const holders = [...space.holdersOf(domain, address), ...(writer ? [writer] : [])];
      const others = holders.filter((holder) => holder !== key);
      if (others.length > 0) return fail(`is endpoint ${others.join(", ")}'s`);
      return own;
    });
  }
}

function requestOf(key: string, { uid, domain }: KnownEndpoint): IpamRequest {
  const slash = key.indexOf("/");
  const place = { namespace: key.slice(0, slash), pod: key.slice(slash + 1) };
  return { requestId: uid, domain, ...place };
}
