// Services joined with their EndpointSlices. Keys are `namespace/name`; an object is `undefined` once it is gone.
import type { Compute } from "../compute/graph.ts";
import { fieldAt, stringOf } from "../kubernetes/json.ts";
import type { NameFeed } from "./name-feed.ts";
import { serviceNameLabel, translateService } from "../kubernetes/service.ts";

export interface ServiceFeedOptions {
  readonly inputs: Pick<Compute, "setService">;
  /** Name of the domain that a namespace belongs to. */
  readonly domainOf: (namespace: string) => string;
  readonly names: NameFeed;
}

/** The key of the Service that a slice is of. */
function serviceKeyOf(slice: unknown): string | undefined {
  const namespace = stringOf(fieldAt(slice, "metadata", "namespace"));
  const name = stringOf(fieldAt(slice, "metadata", "labels", serviceNameLabel));
  return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`;
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

export class ServiceFeed {
  readonly #options: ServiceFeedOptions;
  readonly #services = new Map<string, unknown>();
  readonly #servicesByNamespace = new Map<string, Set<string>>();
  /** Service → slice → the slice, also while the Service is not known. */
  readonly #slices = new Map<string, Map<string, unknown>>();
  /** Service → ids of what it is in the model. */
  readonly #told = new Map<string, readonly string[]>();

  constructor(options: ServiceFeedOptions) {
    this.#options = options;
  }

  setService(key: string, service: unknown): void {
    const inNamespace = this.#servicesByNamespace.get(namespaceOf(key)) ?? new Set<string>();
    if (service === undefined) {
      this.#services.delete(key);
      inNamespace.delete(key);
    } else {
      this.#services.set(key, service);
      inNamespace.add(key);
    }
    if (inNamespace.size === 0) this.#servicesByNamespace.delete(namespaceOf(key));
    else this.#servicesByNamespace.set(namespaceOf(key), inNamespace);
    this.#tell(key);
  }

  /** `old` is what the slice was before: it may have been of another Service. */
  setSlice(key: string, slice: unknown, old: unknown): void {
    const before = serviceKeyOf(old);
    const after = serviceKeyOf(slice);
    if (before !== undefined && before !== after) {
      const slices = this.#slices.get(before);
      slices?.delete(key);
      if (slices?.size === 0) this.#slices.delete(before);
      this.#tell(before);
    }
    if (after === undefined) return;
    const slices = this.#slices.get(after) ?? new Map<string, unknown>();
    this.#slices.set(after, slices.set(key, slice));
    this.#tell(after);
  }

  /** The namespace belongs to another domain now. */
  domainChanged(namespace: string): void {
    for (const key of this.#servicesByNamespace.get(namespace) ?? []) this.#tell(key);
  }

  /** The domain's nodes answer DNS otherwise than before. */
  namesChanged(domain: string): void {
    for (const [namespace, keys] of this.#servicesByNamespace) {
      if (this.#options.domainOf(namespace) !== domain) continue;
      for (const key of keys) this.#tell(key);
    }
  }

  #tell(key: string): void {
    const { inputs, domainOf, names } = this.#options;
    const service = this.#services.get(key);
    const slices = [...(this.#slices.get(key)?.values() ?? [])];
    names.set(key, service, slices, domainOf(namespaceOf(key)));
    const found =
      service === undefined ? [] : translateService(service, slices, domainOf(namespaceOf(key)));
    const ids = new Set(found.map(({ id }) => id));
    for (const gone of this.#told.get(key) ?? []) {
      if (!ids.has(gone)) inputs.setService(gone, undefined);
    }
    for (const each of found) inputs.setService(each.id, each);
    if (ids.size === 0) this.#told.delete(key);
    else this.#told.set(key, [...ids]);
  }
}
