// Where the load balancers' addresses and their holders are read and written.
import { equalJson } from "../apimachinery/json.ts";
import { StatusError } from "../apimachinery/errors.ts";
import type { ApiClient, NewObject } from "../client/api-client.ts";
import {
  type LoadBalancerAddress,
  loadBalancerAddressKind,
  nameOfAddress,
} from "../kinds/load-balancer-address.ts";
import { type LoadBalancer, loadBalancerKind } from "../kinds/load-balancer.ts";
import { type LoadBalancerPool, loadBalancerPoolKind } from "../kinds/load-balancer-pool.ts";
import { type Service, serviceKind } from "../kinds/service.ts";
import { parseAddress } from "../net/address.ts";
import {
  assignedCondition,
  type HolderKind,
  type KnownHolder,
  knownLoadBalancer,
  knownService,
} from "./address-wish.ts";

/** What has come of a wish. */
export interface HolderReport {
  /** Whether it has all that it wants. */
  readonly isComplete: boolean;
  /** In one word. */
  readonly reason: string;
  readonly message: string;
}

/** A holder as it is in the API server now. */
interface LiveHolder {
  readonly holder: KnownHolder;
  /** Writes what it has, unless that stands there already. Fails with 409 when the object has changed since. */
  write(addresses: readonly string[], report: HolderReport | undefined): Promise<void>;
}

interface HolderPlace {
  readonly kind: HolderKind;
  readonly namespace: string;
  readonly name: string;
}

type StoredAddress = Pick<LoadBalancerAddress, "metadata" | "spec" | "status">;

/** Writes fail with 409 when the object has changed since it was read. */
export interface LoadBalancerStore {
  nameOf(address: string): string;
  readHolder(place: HolderPlace): Promise<LiveHolder | undefined>;
  readAddress(name: string): Promise<StoredAddress | undefined>;
  /** Fails with 409 when the address is given out. */
  createAddress(spec: LoadBalancerAddress["spec"]): Promise<StoredAddress>;
  updateAddress(object: StoredAddress): Promise<StoredAddress>;
  deleteAddress(object: StoredAddress): Promise<void>;
  writeAddressStatus(name: string, status: LoadBalancerAddress["status"]): Promise<void>;
  /** Writes how a LoadBalancer's members are. */
  writeMembers(
    place: Pick<HolderPlace, "namespace" | "name">,
    members: Pick<NonNullable<LoadBalancer["status"]>, "members" | "healthy" | "problems">,
  ): Promise<void>;
  writePoolStatus(name: string, status: NonNullable<LoadBalancerPool["status"]>): Promise<void>;
}

const apiVersion = "isobar.io/v1alpha1";

type Status = NonNullable<Service["status"]>;
type Condition = NonNullable<Status["conditions"]>[number];

function timeText(now: Date): string {
  return `${now.toISOString().slice(0, 19)}Z`;
}

function conditionOf(service: Service, report: HolderReport, now: Date): Condition {
  const status = report.isComplete ? "True" : "False";
  const before = service.status?.conditions?.find(({ type }) => type === assignedCondition);
  const since = before?.status === status ? before.lastTransitionTime : undefined;
  return {
    type: assignedCondition,
    status,
    reason: report.reason,
    message: report.message,
    ...(service.metadata.generation !== undefined && {
      observedGeneration: service.metadata.generation,
    }),
    lastTransitionTime: since ?? timeText(now),
  };
}

function changedStatus(
  service: Service,
  addresses: readonly string[],
  report: HolderReport | undefined,
): Status {
  const { conditions = [], ...rest } = service.status ?? {};
  const others = conditions.filter(({ type }) => type !== assignedCondition);
  const own = report === undefined ? [] : [conditionOf(service, report, new Date())];
  const ingress = addresses.map((ip) => ({ ip, ipMode: "VIP" }));
  const all = [...others, ...own];
  return {
    ...rest,
    loadBalancer: ingress.length > 0 ? { ingress } : {},
    ...(all.length > 0 && { conditions: all }),
  };
}

function liveService(client: ApiClient, service: Service): LiveHolder {
  return {
    holder: knownService(service),
    async write(addresses, report) {
      const status = changedStatus(service, addresses, report);
      if (equalJson(status, service.status ?? {})) return;
      await client.updateStatus(serviceKind, { ...service, status });
    },
  };
}

function liveLoadBalancer(client: ApiClient, balancer: LoadBalancer): LiveHolder {
  return {
    holder: knownLoadBalancer(balancer),
    async write(addresses, report) {
      const { conditions = [], ...rest } = balancer.status ?? {};
      const own = report === undefined ? [] : [plainCondition(conditions, report, new Date())];
      const others = conditions.filter(({ type }) => type !== assignedCondition);
      const status = { ...rest, addresses: [...addresses], conditions: [...others, ...own] };
      if (equalJson(status, balancer.status ?? {})) return;
      await client.updateStatus(loadBalancerKind, { ...balancer, status });
    },
  };
}

type PlainCondition = NonNullable<NonNullable<LoadBalancer["status"]>["conditions"]>[number];

function plainCondition(
  conditions: readonly PlainCondition[],
  { isComplete, reason, message }: HolderReport,
  now: Date,
): PlainCondition {
  const status = isComplete ? "True" : "False";
  const before = conditions.find(({ type }) => type === assignedCondition);
  const isSame = before?.status === status;
  const lastTransitionTime = isSame ? before.lastTransitionTime : timeText(now);
  return { type: assignedCondition, status, reason, message, lastTransitionTime };
}

export function loadBalancerStore(client: ApiClient): LoadBalancerStore {
  return {
    nameOf: (address) => nameOfAddress(parseAddress(address)),
    async readHolder({ kind, namespace, name }) {
      if (kind === "LoadBalancer") {
        const balancer = await client.find(loadBalancerKind, { namespace, name });
        return balancer && liveLoadBalancer(client, balancer);
      }
      const service = await client.find(serviceKind, { namespace, name });
      return service && liveService(client, service);
    },
    async readAddress(name) {
      return await client.find(loadBalancerAddressKind, { name });
    },
    async createAddress(spec) {
      const metadata = { name: nameOfAddress(parseAddress(spec.address)) };
      const object = { apiVersion, kind: "LoadBalancerAddress", metadata, spec };
      return await client.create(loadBalancerAddressKind, object);
    },
    async updateAddress(object) {
      return await client.update(loadBalancerAddressKind, rendered(object));
    },
    async deleteAddress({ metadata: { name, uid, resourceVersion } }) {
      const preconditions = { uid, resourceVersion };
      await unlessGone(client.delete(loadBalancerAddressKind, { name }, { preconditions }));
    },
    async writeAddressStatus(name, status) {
      const body = { status: { node: null, since: null, message: null, ...status } };
      const place = { name, subresource: "status" };
      await unlessGone(
        client.patch(loadBalancerAddressKind, place, { type: "merge-patch+json", body }),
      );
    },
    async writeMembers({ namespace, name }, members) {
      const balancer = await client.find(loadBalancerKind, { namespace, name });
      if (balancer === undefined) return;
      const { problems: _before, ...rest } = balancer.status ?? {};
      const status = { ...rest, ...members };
      if (equalJson(status, balancer.status ?? {})) return;
      await client.updateStatus(loadBalancerKind, { ...balancer, status });
    },
    async writePoolStatus(name, status) {
      const pool = await client.find(loadBalancerPoolKind, { name });
      if (pool === undefined || equalJson(pool.status ?? {}, status)) return;
      await client.updateStatus(loadBalancerPoolKind, { ...pool, status });
    },
  };
}

function rendered({ metadata, spec, status }: StoredAddress): NewObject<LoadBalancerAddress> {
  return { apiVersion, kind: "LoadBalancerAddress", metadata, spec, ...(status && { status }) };
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof StatusError && error.status.code === 404)) throw error;
  }
}
