// What the address controller keeps in the API server, and how it changes it. A write resolves once stored; one that
// rejects with anything but a refusal may have been stored all the same, now or later.
import { StatusError } from "../apimachinery/errors.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { OwnerReference } from "../apimachinery/kind.ts";
import type { ApiClient, NewObject } from "../client/api-client.ts";
import type { DomainLedger } from "../ipam/domain-ledger.ts";
import { NetworkLedger } from "../ipam/network-ledger.ts";
import type { NetworkCidrs } from "../ipam/space-network.ts";
import { domainKind } from "../kinds/domain.ts";
import { type Endpoint, endpointKind } from "../kinds/endpoint.ts";
import { managedByIsobar, managedByLabel, type Network, networkKind } from "../kinds/network.ts";
import type { LedgerAccess, Versioned } from "./ledger-writer.ts";
import {
  type KnownEndpoint,
  type KnownNetwork,
  knownDomain,
  knownEndpoint,
  knownNetwork,
} from "./known-objects.ts";

const apiVersion = "isobar.io/v1alpha1";

export interface NewEndpoint {
  readonly podUid: string;
  readonly node: string;
  readonly domain: string;
  /** `namespace/name`; `undefined` where an external IPAM gives the addresses. */
  readonly network: string | undefined;
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly keep: { readonly seconds: number | undefined } | undefined;
  /** What the endpoint goes with; `undefined` for one that is only taken away by the controller. */
  readonly owner: OwnerReference | undefined;
  readonly finalizer: string | undefined;
}

/** What a Domain says of its networks. */
export interface DomainUsage {
  readonly networks: number;
  readonly used: number;
  readonly pools: readonly { readonly cidr: string; readonly networks: number }[];
}

export interface AddressStore {
  /** The network of these CIDRs is the same one each time. */
  createNetwork(namespace: string, domain: string, cidrs: readonly string[]): Promise<KnownNetwork>;
  /** Succeeds when it is gone already; fails with 409 when it has changed since that version. */
  deleteNetwork(id: string, uid: string, version: string): Promise<void>;
  networkLedger(id: string, cidrs: NetworkCidrs, capacity: number): LedgerAccess<NetworkLedger>;
  domainLedger(name: string, usage: () => DomainUsage): LedgerAccess<DomainLedger>;
  createEndpoint(namespace: string, name: string, endpoint: NewEndpoint): Promise<KnownEndpoint>;
  readEndpoint(namespace: string, name: string): Promise<KnownEndpoint | undefined>;
  /** The namespace's endpoints, by key, as they are now. */
  listEndpoints(namespace: string): Promise<ReadonlyMap<string, KnownEndpoint>>;
  /** Changes an endpoint that has not changed since it was known so. Fails with 404 or 409 otherwise. */
  changeEndpoint(
    namespace: string,
    name: string,
    known: KnownEndpoint,
    change: EndpointChange,
  ): Promise<KnownEndpoint>;
  /** Takes a finalizer away from an endpoint; succeeds when it or the endpoint is gone. */
  letGo(namespace: string, name: string, uid: string, finalizer: string): Promise<void>;
  /** Resolves to whether it is gone: something else may hold it. */
  deleteEndpoint(namespace: string, name: string, uid: string): Promise<boolean>;
}

interface EndpointChange {
  readonly podUid?: string;
  readonly node?: string;
  readonly addresses?: readonly string[];
  readonly mac?: string;
  readonly status?: { readonly phase: "Kept" | "Pending"; readonly keptUntil?: string };
}

function splitKey(id: string): { readonly namespace: string; readonly name: string } {
  const slash = id.indexOf("/");
  return { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
}

export function addressStore(client: ApiClient): AddressStore {
  return {
    ...networkStore(client),
    ...endpointStore(client),
    domainLedger: (name, usage) => domainLedger(client, name, usage),
  };
}

/** After its first CIDR: a network that is made twice has one name, and is made once. */
function networkName([first = ""]: readonly string[]): string {
  return `pods-${first.replaceAll(/[.:/]/g, "-")}`;
}

function ledgerOf(network: Network): Versioned<NetworkLedger> {
  const { resourceVersion: version } = network.metadata;
  return { version, ledger: NetworkLedger.parse(network.status) };
}

function networkStore(
  client: ApiClient,
): Pick<AddressStore, "createNetwork" | "deleteNetwork" | "networkLedger"> {
  return {
    async createNetwork(namespace, domain, cidrs) {
      const name = networkName(cidrs);
      const labels = { [managedByLabel]: managedByIsobar };
      const spec = { domain, cidrs: [...cidrs] };
      const metadata = { namespace, name, labels };
      const network: NewObject<Network> = { apiVersion, kind: "Network", metadata, spec };
      try {
        return knownNetwork(`${namespace}/${name}`, await client.create(networkKind, network));
      } catch (error) {
        if (!(error instanceof StatusError && error.status.code === 409)) throw error;
        const found = await client.find(networkKind, { namespace, name });
        if (!equalJson(found?.spec, spec)) throw error;
        return knownNetwork(`${namespace}/${name}`, found);
      }
    },
    async deleteNetwork(id, uid, resourceVersion) {
      await unlessGone(
        client.delete(networkKind, splitKey(id), { preconditions: { uid, resourceVersion } }),
      );
    },
    networkLedger(id, { domain, cidrs }, capacity) {
      const place = splitKey(id);
      return {
        async read() {
          const network = await client.find(networkKind, place);
          return network && ledgerOf(network);
        },
        async write(resourceVersion, ledger) {
          const used = ledger.allocated.length;
          const free = Math.max(0, capacity - used);
          const { allocated = "", resting, emptySince } = ledger.render(Date.now());
          const status: NonNullable<Network["status"]> = { capacity, used, free, allocated };
          if (resting) status.resting = resting.map((each) => ({ ...each }));
          if (emptySince !== undefined) status.emptySince = emptySince;
          return ledgerOf(
            await client.updateStatus(networkKind, {
              apiVersion,
              kind: "Network",
              metadata: { ...place, resourceVersion },
              spec: { domain, cidrs: [...cidrs] },
              status,
            }),
          );
        },
      };
    },
  };
}

function domainLedger(
  client: ApiClient,
  name: string,
  usage: () => DomainUsage,
): LedgerAccess<DomainLedger> {
  return {
    async read() {
      const domain = await client.find(domainKind, { name });
      return domain && knownDomain(domain);
    },
    async write(resourceVersion, ledger) {
      const { claims = null, lastCut = null } = ledger.render();
      const { networks, used, pools } = usage();
      // A patch: the conditions are others' to write. What is null goes.
      const body = {
        metadata: { resourceVersion },
        status: { networks, used, pools, claims, lastCut },
      };
      const place = { name, subresource: "status" };
      return knownDomain(await client.patch(domainKind, place, { type: "merge-patch+json", body }));
    },
  };
}

function endpointStore(
  client: ApiClient,
): Omit<AddressStore, "createNetwork" | "deleteNetwork" | "networkLedger" | "domainLedger"> {
  return {
    async createEndpoint(namespace, name, endpoint) {
      const created = await client.create(endpointKind, renderEndpoint(namespace, name, endpoint));
      return knownEndpoint(`${namespace}/${name}`, created);
    },
    async readEndpoint(namespace, name) {
      const found = await client.find(endpointKind, { namespace, name });
      return found && knownEndpoint(`${namespace}/${name}`, found);
    },
    async listEndpoints(namespace) {
      const { items } = await client.list(endpointKind, { namespace });
      return new Map(
        items.map((item) => {
          const key = `${namespace}/${item.metadata.name}`;
          return [key, knownEndpoint(key, item)];
        }),
      );
    },
    async changeEndpoint(namespace, name, known, change) {
      const current = await client.get(endpointKind, { namespace, name });
      const metadata = { ...current.metadata, uid: known.uid, resourceVersion: known.version };
      const changed = changedEndpoint({ ...current, metadata }, change);
      const stored =
        change.status === undefined
          ? await client.update(endpointKind, changed)
          : await client.updateStatus(endpointKind, changed);
      return knownEndpoint(`${namespace}/${name}`, stored);
    },
    async letGo(namespace, name, uid, finalizer) {
      const current = await client.find(endpointKind, { namespace, name });
      const { finalizers = [] } = current?.metadata ?? {};
      if (current?.metadata.uid !== uid || !finalizers.includes(finalizer)) return;
      const others = finalizers.filter((each) => each !== finalizer);
      const metadata = { ...current.metadata, finalizers: others };
      await client.update(endpointKind, { ...current, metadata });
    },
    async deleteEndpoint(namespace, name, uid) {
      const place = { namespace, name };
      const left = await unlessGone(client.delete(endpointKind, place, { preconditions: { uid } }));
      return left === undefined || left.kind === "Status";
    },
  };
}

function renderEndpoint(
  namespace: string,
  name: string,
  { podUid, node, domain, network, addresses, mac, keep, owner, finalizer }: NewEndpoint,
): NewObject<Endpoint> {
  return {
    apiVersion,
    kind: "Endpoint",
    metadata: {
      namespace,
      name,
      ...(owner && { ownerReferences: [owner] }),
      ...(finalizer !== undefined && { finalizers: [finalizer] }),
    },
    spec: {
      domain,
      ...(network !== undefined && { network: splitKey(network).name }),
      node,
      addresses: [...addresses],
      mac,
      attachment: { kind: "Pod", name, uid: podUid },
      ...(keep && { keep: keep.seconds === undefined ? {} : { seconds: keep.seconds } }),
    },
  };
}

function changedEndpoint(endpoint: Endpoint, change: EndpointChange): Endpoint {
  const { podUid, node, addresses, mac, status } = change;
  const { spec } = endpoint;
  return {
    ...endpoint,
    spec: {
      ...spec,
      ...(node !== undefined && { node }),
      ...(addresses && { addresses: [...addresses] }),
      ...(mac !== undefined && { mac }),
      attachment: { ...spec.attachment, ...(podUid !== undefined && { uid: podUid }) },
    },
    ...(status && { status }),
  };
}

async function unlessGone<T>(deletion: Promise<T>): Promise<T | undefined> {
  try {
    return await deletion;
  } catch (error) {
    if (!(error instanceof StatusError && error.status.code === 404)) throw error;
    return undefined;
  }
}
