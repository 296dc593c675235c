// What there must be of Services before the server serves: a reservation for all that is in use, and the Service by which pods
// reach the API server.
import { StatusError } from "../apimachinery/errors.ts";
import { equalJson } from "../apimachinery/json.ts";
import { decodeObject } from "../apimachinery/object.ts";
import { endpointSliceKind } from "../kinds/endpoint-slice.ts";
import { serviceKind } from "../kinds/service.ts";
import { tryParseAddress } from "../net/address.ts";
import type { Log } from "../runtime/log.ts";
import type { Operation, Store } from "../store/store.ts";
import { decodeObject as decodeStored, prefixOf } from "./object-codec.ts";
import type { ObjectService } from "./object-service.ts";
import { holderTextOf, reservationKeysOf } from "./service-allocator.ts";
import { reservationPrefix } from "./service-pools.ts";

/** Operations of one transaction. */
const batchLength = 1_000;

/**
 * Makes reservations what the stored Services say. They differ only where a server without reservations has written, so that
 * mostly nothing is done. What two Services have stays with the first by name. O(Services).
 */
export async function repairReservations(store: Store, log: Log): Promise<void> {
  const { entries: services } = await store.range({ prefix: prefixOf(serviceKind, undefined) });
  const { entries: reservations } = await store.range({ prefix: reservationPrefix });
  const found = new Map(reservations.map(({ key, value }) => [key, value]));
  const wanted = new Map<string, string>();
  for (const entry of services) {
    const service = decodeStored(entry);
    for (const key of reservationKeysOf(service)) {
      const value = holderTextOf(service);
      const other = wanted.get(key);
      if (other === undefined) wanted.set(key, value);
      else log.error({ key, holders: [other, value] }, "two Services have the same");
    }
  }
  const operations: Operation[] = [];
  for (const [key, value] of wanted) {
    if (found.get(key) !== value) operations.push({ kind: "put", key, value });
  }
  for (const key of found.keys()) if (!wanted.has(key)) operations.push({ kind: "delete", key });
  for (let index = 0; index < operations.length; index += batchLength) {
    await store.transact({ success: operations.slice(index, index + batchLength) });
  }
  if (operations.length > 0) log.info({ keys: operations.length }, "reservations repaired");
}

/** By which address of the cluster's network the API server is reached, and at which port. */
interface Advertised {
  readonly address: string;
  readonly port: number;
}

export interface ApiServiceOptions {
  /** The Service's own address. */
  readonly clusterIP: string;
  /** `undefined` where pods cannot reach the server; then nothing is behind the Service. */
  readonly advertised: Advertised | undefined;
  readonly log: Log;
}

const place = { namespace: "default", name: "kubernetes" } as const;

/** Makes `default/kubernetes` and its endpoints, as every API server of Kubernetes does. */
export async function ensureApiService(
  service: ObjectService,
  options: ApiServiceOptions,
): Promise<void> {
  const { catalog } = service;
  if (catalog.findKind("v1", "Service") === undefined) return;
  if (catalog.findKind("discovery.k8s.io/v1", "EndpointSlice") === undefined) return;
  try {
    await ensureService(service, options);
    await ensureSlice(service, options.advertised);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    options.log.error({ error: error.message }, "default/kubernetes cannot be made");
  }
}

async function ensureService(
  service: ObjectService,
  { clusterIP, advertised }: ApiServiceOptions,
): Promise<void> {
  const body = {
    metadata: { ...place, labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      clusterIP,
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: advertised?.port ?? 443 }],
    },
  };
  await creating(() =>
    service.create(serviceKind, place.namespace, decodeObject(serviceKind, body).object),
  );
}

async function ensureSlice(
  service: ObjectService,
  advertised: Advertised | undefined,
): Promise<void> {
  const family = advertised && tryParseAddress(advertised.address)?.family;
  const target = { kind: endpointSliceKind, ...place };
  if (advertised === undefined || family === undefined) return;
  const body = {
    metadata: { ...place, labels: { "kubernetes.io/service-name": place.name } },
    addressType: family === 4 ? "IPv4" : "IPv6",
    endpoints: [{ addresses: [advertised.address], conditions: { ready: true } }],
    ports: [{ name: "https", protocol: "TCP", port: advertised.port }],
  };
  const wanted = decodeObject(endpointSliceKind, body).object;
  const isNew = await creating(() => service.create(endpointSliceKind, place.namespace, wanted));
  if (isNew) return;
  const { addressType, endpoints, ports } = wanted;
  await service.update(target, (current) =>
    equalJson([current["endpoints"], current["ports"]], [endpoints, ports])
      ? current
      : { ...current, addressType, endpoints, ports },
  );
}

/** Whether it was made now, and was not there already. */
async function creating(create: () => Promise<unknown>): Promise<boolean> {
  try {
    await create();
    return true;
  } catch (error) {
    if (error instanceof StatusError && error.status.reason === "AlreadyExists") return false;
    throw error;
  }
}
