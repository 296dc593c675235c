// Keeps the EndpointSlices of Services with a selector. Work on a Service looks at the pods of its namespace and at its own
// slices, and begins only for those that a change concerns.
import { equalJson } from "../../apimachinery/json.ts";
import type { EndpointSlice } from "../../kinds/endpoint-slice.ts";
import type { Node } from "../../kinds/node.ts";
import type { Pod } from "../../kinds/pod.ts";
import type { Service } from "../../kinds/service.ts";
import { endpointSetsOf, isSelected } from "./endpoint-slice.ts";
import { isOwnSlice, planSlices, serviceOf } from "./slice-plan.ts";

/** What is gone already, or there already, is no error. */
export interface SliceWrites {
  create(slice: EndpointSlice): Promise<EndpointSlice>;
  update(slice: EndpointSlice): Promise<void>;
  remove(slice: EndpointSlice): Promise<void>;
}

export interface ServiceSlicesOptions {
  readonly writes: SliceWrites;
  /** The Service's slices are to be looked at. */
  readonly enqueue: (service: string) => void;
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

/** Objects by key, and by the namespace or Service that they belong to. */
class Grouped<Value> {
  readonly #groups = new Map<string, Map<string, Value>>();

  set(group: string, key: string, value: Value | undefined): void {
    const members = this.#groups.get(group) ?? new Map<string, Value>();
    if (value === undefined) members.delete(key);
    else members.set(key, value);
    if (members.size === 0) this.#groups.delete(group);
    else this.#groups.set(group, members);
  }

  get(group: string): ReadonlyMap<string, Value> {
    return this.#groups.get(group) ?? new Map<string, Value>();
  }

  *keys(): Iterable<string> {
    for (const members of this.#groups.values()) yield* members.keys();
  }
}

export class ServiceSlices {
  readonly #options: ServiceSlicesOptions;
  readonly #services = new Grouped<Service>();
  readonly #pods = new Grouped<Pod>();
  readonly #slices = new Grouped<EndpointSlice>();
  readonly #nodes = new Map<string, Node>();
  /** Made, and not seen yet: without them the next plan would make them again. */
  readonly #made = new Grouped<EndpointSlice>();

  constructor(options: ServiceSlicesOptions) {
    this.#options = options;
  }

  setService(key: string, service: Service | undefined): void {
    this.#services.set(namespaceOf(key), key, service);
    this.#options.enqueue(key);
  }

  setPod(key: string, pod: Pod | undefined, old: Pod | undefined): void {
    this.#pods.set(namespaceOf(key), key, pod);
    for (const [service, object] of this.#services.get(namespaceOf(key))) {
      const concerns = [pod, old].some((each) => each !== undefined && isSelected(object, each));
      if (concerns) this.#options.enqueue(service);
    }
  }

  setNode(name: string, node: Node | undefined): void {
    const before = this.#nodes.get(name)?.metadata.labels ?? {};
    if (node === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, node);
    if (equalJson(before, node?.metadata.labels ?? {})) return;
    for (const key of this.#services.keys()) this.#options.enqueue(key);
  }

  setSlice(key: string, slice: EndpointSlice | undefined, old: EndpointSlice | undefined): void {
    if (old !== undefined) this.#forgetSlice(key, old);
    if (slice !== undefined && isOwnSlice(slice)) {
      this.#made.set(serviceOf(slice), key, undefined);
      this.#slices.set(serviceOf(slice), key, slice);
    }
    // Somebody else may have changed it, or deleted it. Work may begin at once, so all that it looks at is in place by now.
    const services = [old, slice].flatMap((each) => (each === undefined ? [] : serviceOf(each)));
    for (const service of new Set(services)) this.#options.enqueue(service);
  }

  #forgetSlice(key: string, slice: EndpointSlice): void {
    this.#made.set(serviceOf(slice), key, undefined);
    this.#slices.set(serviceOf(slice), key, undefined);
  }

  /** For a work queue, one Service at a time. */
  async reconcile(key: string): Promise<void> {
    const { writes } = this.#options;
    const service = this.#services.get(namespaceOf(key)).get(key);
    const existing = [...new Map([...this.#made.get(key), ...this.#slices.get(key)]).values()];
    const hasSelector = Object.keys(service?.spec?.selector ?? {}).length > 0;
    if (service === undefined || !hasSelector || service.spec?.type === "ExternalName") {
      for (const slice of existing) await writes.remove(slice);
      return;
    }
    const pods = this.#pods.get(namespaceOf(key)).values();
    const plan = planSlices(service, endpointSetsOf(service, pods, this.#nodes), existing);
    for (const slice of plan.update) await writes.update(slice);
    for (const slice of plan.create) {
      const made = await writes.create(slice);
      const { namespace = "", name } = made.metadata;
      this.#made.set(key, `${namespace}/${name}`, made);
    }
    for (const slice of plan.remove) await writes.remove(slice);
  }
}
