// The objects that the load balancers' addresses depend on, cut to what their controller reads. Keys are `namespace/name`, or names for
// kinds without a namespace; an object is `undefined` once it is gone.
import type { LoadBalancerAddress } from "../kinds/load-balancer-address.ts";
import type { LoadBalancerPool } from "../kinds/load-balancer-pool.ts";
import { translateDomain } from "../kubernetes/domain.ts";
import { fieldAt, labelsOf } from "../kubernetes/json.ts";
import { translateNode } from "../kubernetes/node.ts";
import { holderId, knownService, type StoredService } from "./address-wish.ts";
import type { LoadBalancerController } from "./load-balancer-controller.ts";

export class LoadBalancerFeed {
  readonly #controller: LoadBalancerController;

  constructor(controller: LoadBalancerController) {
    this.#controller = controller;
  }

  setPool(name: string, pool: Pick<LoadBalancerPool, "spec"> | undefined): void {
    this.#controller.setPool(name, pool?.spec);
  }

  setAddress(
    name: string,
    address: Pick<LoadBalancerAddress, "metadata" | "spec" | "status"> | undefined,
  ): void {
    this.#controller.setAddress(name, address);
  }

  setService(key: string, service: StoredService | undefined): void {
    this.#controller.setHolder(holderId("Service", key), service && knownService(service));
  }

  setNamespace(name: string, object: unknown): void {
    const labels = labelsOf(fieldAt(object, "metadata", "labels")) ?? {};
    this.#controller.setNamespace(name, object === undefined ? undefined : labels);
  }

  setNode(name: string, object: unknown): void {
    this.#controller.setNode(name, translateNode(object)?.knownAddresses ?? []);
  }

  setDomain(name: string, object: unknown): void {
    const { pools = [], serviceCidrs = [] } = translateDomain(object) ?? {};
    this.#controller.setDomain(name, [...pools, ...serviceCidrs]);
  }
}
