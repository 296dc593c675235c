// Services joined with their EndpointSlices. Keys are `namespace/name`; an object is `undefined` once it is gone.
import { type EventSink, subjectOf } from "../client/event-recorder.ts";
import type { Compute } from "../compute/graph.ts";
import { serviceKind } from "../kinds/service.ts";
import { fieldAt, type Problem, stringOf } from "../kubernetes/json.ts";
import { ServiceClaims } from "../kubernetes/service-claims.ts";
import {
  type ServiceSurroundings,
  serviceNameLabel,
  translateService,
} from "../kubernetes/service.ts";
import type { VirtualService } from "../model/service.ts";
import type { NameFeed } from "./name-feed.ts";

export interface ServiceFeedOptions {
  readonly inputs: Pick<Compute, "setService">;
  /** Name of the domain that a namespace belongs to. */
  readonly domainOf: (namespace: string) => string;
  /** What the domain has its addresses of. */
  readonly surroundingsOf: (domain: string) => ServiceSurroundings;
  readonly names: NameFeed;
  readonly events: EventSink;
}

/** What has been made of a Service, before what others claim is taken from it. */
interface Translated {
  readonly services: readonly VirtualService[];
  readonly problems: readonly Problem[];
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
  readonly #claims = new ServiceClaims();
  readonly #translated = new Map<string, Translated>();
  /** What was last reported of a Service: it is told once. */
  readonly #reported = new Map<string, string>();
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

  /** The domain has other addresses, or its nodes answer DNS otherwise than before. */
  domainSet(domain: string): void {
    for (const [namespace, keys] of this.#servicesByNamespace) {
      if (this.#options.domainOf(namespace) !== domain) continue;
      for (const key of keys) this.#tell(key);
    }
  }

  #tell(key: string): void {
    const { surroundingsOf, domainOf, names } = this.#options;
    const service = this.#services.get(key);
    const slices = [...(this.#slices.get(key)?.values() ?? [])];
    const domain = domainOf(namespaceOf(key));
    names.set(key, service, slices, domain);
    const { value, problems } = translateService(service, slices, surroundingsOf(domain));
    if (service === undefined) this.#translated.delete(key);
    else this.#translated.set(key, { services: value, problems });
    const since = stringOf(fieldAt(service, "metadata", "creationTimestamp")) ?? "";
    const others = this.#claims.set({ key, since }, value);
    this.#emit(key);
    for (const other of others) this.#emit(other);
  }

  #emit(key: string): void {
    const { inputs } = this.#options;
    const { services = [], problems = [] } = this.#translated.get(key) ?? {};
    const { services: found, conflicts } = this.#claims.uphold(key, services);
    this.#report(key, [
      ...problems.map(({ field, message }) => `${field}: ${message}`),
      ...conflicts,
    ]);
    const ids = new Set(found.map(({ id }) => id));
    for (const gone of this.#told.get(key) ?? []) {
      if (!ids.has(gone)) inputs.setService(gone, undefined);
    }
    for (const each of found) inputs.setService(each.id, each);
    if (ids.size === 0) this.#told.delete(key);
    else this.#told.set(key, [...ids]);
  }

  /** On the Service, for whoever wonders why nothing goes there. */
  #report(key: string, problems: readonly string[]): void {
    const message = problems.join("; ");
    if ((this.#reported.get(key) ?? "") === message) return;
    if (message === "") {
      this.#reported.delete(key);
      return;
    }
    this.#reported.set(key, message);
    const service = this.#services.get(key);
    const regarding = subjectOf(serviceKind, {
      namespace: namespaceOf(key),
      name: key.slice(key.indexOf("/") + 1),
      uid: stringOf(fieldAt(service, "metadata", "uid")) ?? "",
    });
    const type = "Warning";
    this.#options.events.record({ regarding, type, reason: "ServedInPart", message });
  }
}
