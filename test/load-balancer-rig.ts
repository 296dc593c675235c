// Services of type LoadBalancer and their pools beside a controller that may die at its writes, with every Service's address
// watched: no two ever show the same one unless they share it.
import { setTimeout as sleep } from "node:timers/promises";
import { Reflector } from "../src/client/reflector.ts";
import {
  type LoadBalancerAddress,
  loadBalancerAddressKind,
} from "../src/kinds/load-balancer-address.ts";
import { type LoadBalancerPool, loadBalancerPoolKind } from "../src/kinds/load-balancer-pool.ts";
import { type Service, serviceKind } from "../src/kinds/service.ts";
import { AddressRig, type RigOptions, until } from "./address-rig.ts";

type ServiceSpec = NonNullable<Service["spec"]>;

export interface ServiceOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: Partial<ServiceSpec>;
}

export class LoadBalancerRig implements AsyncDisposable {
  readonly rig: AddressRig;
  readonly services = new Map<string, Service>();
  readonly violations: string[] = [];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  private constructor(rig: AddressRig) {
    this.rig = rig;
    const reflector = new Reflector<Service, Service>({
      client: rig.api.client,
      kind: serviceKind,
      strip: (service) => service,
      handlers: {
        set: (service, _old, key) => this.#check(key, service),
        delete: (_old, key) => this.services.delete(key),
      },
    });
    this.#running = reflector.run(this.#stopping.signal);
  }

  static async start(options: RigOptions = {}): Promise<LoadBalancerRig> {
    const rig = new LoadBalancerRig(await AddressRig.start(options));
    await rig.rig.namespace("shop");
    return rig;
  }

  get client(): AddressRig["api"]["client"] {
    return this.rig.api.client;
  }

  async pool(name: string, spec: LoadBalancerPool["spec"]): Promise<void> {
    const metadata = { name };
    const object = { apiVersion: "isobar.io/v1alpha1", kind: "LoadBalancerPool", metadata, spec };
    await this.client.create(loadBalancerPoolKind, object);
  }

  async changePool(name: string, spec: Partial<LoadBalancerPool["spec"]>): Promise<void> {
    const patch = { type: "merge-patch+json", body: { spec } } as const;
    await this.client.patch(loadBalancerPoolKind, { name }, patch);
  }

  async poolStatus(name: string): Promise<LoadBalancerPool["status"]> {
    return (await this.client.get(loadBalancerPoolKind, { name })).status;
  }

  async service(key: string, { annotations, labels, spec }: ServiceOptions = {}): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    await this.client.create(serviceKind, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace, name, annotations: { ...annotations }, labels: { ...labels } },
      spec: {
        type: "LoadBalancer",
        ipFamilies: ["IPv4"],
        selector: { app: "web" },
        ports: [{ port: 80 }],
        ...spec,
      },
    });
  }

  async changeService(key: string, body: object): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    await this.client.patch(serviceKind, { namespace, name }, { type: "merge-patch+json", body });
  }

  async deleteService(key: string): Promise<void> {
    const [namespace = "", name = ""] = key.split("/");
    await this.client.delete(serviceKind, { namespace, name });
  }

  shown(key: string): readonly string[] {
    const ingress = this.services.get(key)?.status?.loadBalancer?.ingress ?? [];
    return ingress.map(({ ip = "" }) => ip);
  }

  condition(key: string): { readonly status: string; reason: string; message: string } | undefined {
    const conditions = this.services.get(key)?.status?.conditions ?? [];
    return conditions.find(({ type }) => type === "isobar.io/AddressAssigned");
  }

  async shows(key: string, ...addresses: readonly string[]): Promise<void> {
    const holds = (): boolean => this.shown(key).join() === addresses.join();
    await until(`${key} with ${addresses.join() || "no address"}`, holds).catch(
      (error: unknown) => {
        throw new Error(`${key} shows ${this.shown(key).join()}`, { cause: error });
      },
    );
  }

  async isRefused(key: string, reason: string): Promise<string> {
    await until(`${key} refused for ${reason}`, () => this.condition(key)?.reason === reason);
    return this.condition(key)?.message ?? "";
  }

  async given(): Promise<readonly LoadBalancerAddress[]> {
    return (await this.client.list(loadBalancerAddressKind)).items;
  }

  /** Nothing is written for a while. */
  async settled(key: string): Promise<void> {
    let before = "";
    for (;;) {
      const now = JSON.stringify(this.services.get(key) ?? null);
      if (now === before) return;
      before = now;
      await sleep(300);
    }
  }

  #check(key: string, service: Service): void {
    const before = this.shown(key).join();
    this.services.set(key, service);
    // What a user changes may collide until the controller has seen it.
    if (this.shown(key).join() === before) return;
    const own = new Set(this.shown(key));
    if (service.spec?.type !== "LoadBalancer") return;
    for (const [other, { spec, metadata }] of this.services) {
      if (other === key || spec?.type !== "LoadBalancer") continue;
      const both = this.shown(other).filter((address) => own.has(address));
      const name = "isobar.io/sharing-key";
      const sharing = service.metadata.annotations?.[name];
      const isShared = sharing !== undefined && sharing === metadata.annotations?.[name];
      const ports = new Set((service.spec.ports ?? []).map(({ port }) => port));
      const collides = (spec.ports ?? []).some(({ port }) => ports.has(port));
      if (both.length > 0 && (!isShared || collides)) {
        this.violations.push(`${both.join()} is ${key}'s and ${other}'s`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.rig[Symbol.asyncDispose]();
  }
}
