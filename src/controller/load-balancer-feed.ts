// The objects that the load balancers' addresses depend on, cut to what their controller reads. Keys are `namespace/name`, or names for
// kinds without a namespace; an object is `undefined` once it is gone.
import type { LoadBalancerAddress } from "../kinds/load-balancer-address.ts";
import type { LoadBalancerPool } from "../kinds/load-balancer-pool.ts";
import { translateDomain } from "../kubernetes/domain.ts";
import { fieldAt, fieldOf, labelsOf, listOf, stringOf } from "../kubernetes/json.ts";
import { serviceNameLabel } from "../kubernetes/service.ts";
import { translateNode } from "../kubernetes/node.ts";
import { holderId, knownLoadBalancer, knownService, type StoredService } from "./address-wish.ts";
import type { Announcements } from "./announcements.ts";
import type { LoadBalancerController } from "./load-balancer-controller.ts";
import type { LoadBalancerMembers, StoredLoadBalancer } from "./load-balancer-members.ts";

export class LoadBalancerFeed {
  readonly #controller: LoadBalancerController;
  readonly #announcements: Announcements;
  /** Service → slice → the nodes of its endpoints. */
  readonly #slices = new Map<string, Map<string, SliceNodes>>();

  readonly #members: LoadBalancerMembers;

  constructor({
    controller,
    announcements,
    members,
  }: {
    readonly controller: LoadBalancerController;
    readonly announcements: Announcements;
    readonly members: LoadBalancerMembers;
  }) {
    this.#controller = controller;
    this.#announcements = announcements;
    this.#members = members;
  }

  setLoadBalancer(key: string, object: (StoredService & StoredLoadBalancer) | undefined): void {
    const holder = object && knownLoadBalancer(object);
    this.#controller.setHolder(holderId("LoadBalancer", key), holder);
    this.#members.set(key, object);
  }

  /** An Endpoint object; a pod's is known with the pod. */
  setEndpoint(key: string, object: unknown, old: unknown): void {
    const spec = fieldOf(object ?? old, "spec");
    if (fieldAt(spec, "attachment", "kind") === "Pod") return;
    const addresses = listOf(fieldOf(spec, "addresses")) ?? [];
    const endpoint = {
      labels: labelsOf(fieldAt(object, "metadata", "labels")) ?? {},
      addresses: addresses.filter((address) => typeof address === "string"),
      node: stringOf(fieldOf(spec, "node")),
    };
    this.#members.setEndpoint(key, object === undefined ? undefined : endpoint);
  }

  setPool(name: string, pool: Pick<LoadBalancerPool, "spec"> | undefined): void {
    this.#controller.setPool(name, pool?.spec);
    this.#announcements.setPool(name, pool?.spec);
  }

  setAddress(
    name: string,
    address: Pick<LoadBalancerAddress, "metadata" | "spec" | "status"> | undefined,
  ): void {
    this.#controller.setAddress(name, address);
    this.#announcements.setAddress(name, address);
  }

  setService(key: string, service: StoredService | undefined): void {
    this.#controller.setHolder(holderId("Service", key), service && knownService(service));
  }

  setNamespace(name: string, object: unknown): void {
    const labels = labelsOf(fieldAt(object, "metadata", "labels")) ?? {};
    this.#controller.setNamespace(name, object === undefined ? undefined : labels);
    this.#members.domainChanged(name);
  }

  setNode(name: string, object: unknown): void {
    const node = translateNode(object);
    this.#controller.setNode(name, node?.knownAddresses ?? []);
    const announcing = node && { labels: node.labels, isReady: isReady(object) };
    this.#announcements.setNode(name, announcing);
    this.#members.nodesChanged();
  }

  /** `old` is what the slice was before: it may have been of another Service. */
  setSlice(key: string, slice: unknown, old: unknown): void {
    const [before, after] = [serviceOf(old), serviceOf(slice)];
    if (before !== undefined && before !== after) {
      const slices = this.#slices.get(before);
      slices?.delete(key);
      if (slices?.size === 0) this.#slices.delete(before);
      this.#tellNodes(before);
    }
    if (after === undefined) return;
    const slices = this.#slices.get(after) ?? new Map<string, SliceNodes>();
    this.#slices.set(after, slices.set(key, nodesOf(slice)));
    this.#tellNodes(after);
  }

  /** Nodes with a ready endpoint; where there are none at all, those with one that ends and still serves. */
  #tellNodes(service: string): void {
    const slices = [...(this.#slices.get(service)?.values() ?? [])];
    const ready = new Set(slices.flatMap((each) => each.ready));
    const nodes = ready.size > 0 ? ready : new Set(slices.flatMap((each) => each.serving));
    this.#announcements.setBackends(holderId("Service", service), nodes);
  }

  setDomain(name: string, object: unknown): void {
    const { pools = [], serviceCidrs = [] } = translateDomain(object) ?? {};
    this.#controller.setDomain(name, [...pools, ...serviceCidrs]);
  }
}

interface SliceNodes {
  readonly ready: readonly string[];
  readonly serving: readonly string[];
}

/** The node may take connections unless it says that it is not ready. */
function isReady(node: unknown): boolean {
  const conditions = listOf(fieldAt(node, "status", "conditions")) ?? [];
  const condition = conditions.find((each) => fieldOf(each, "type") === "Ready");
  return condition === undefined || fieldOf(condition, "status") === "True";
}

function serviceOf(slice: unknown): string | undefined {
  const namespace = stringOf(fieldAt(slice, "metadata", "namespace"));
  const name = stringOf(fieldAt(slice, "metadata", "labels", serviceNameLabel));
  return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`;
}

function nodesOf(slice: unknown): SliceNodes {
  const endpoints = listOf(fieldOf(slice, "endpoints")) ?? [];
  const named = (wanted: (conditions: unknown) => boolean): readonly string[] =>
    endpoints
      .filter((endpoint) => wanted(fieldOf(endpoint, "conditions")))
      .map((endpoint) => stringOf(fieldOf(endpoint, "nodeName")))
      .filter((node) => node !== undefined);
  return {
    ready: named((conditions) => fieldOf(conditions, "ready") !== false),
    serving: named((conditions) => fieldOf(conditions, "serving") === true),
  };
}
