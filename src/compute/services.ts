// Services and their backends as resources of their own, so that a backend that comes or goes is told alone.
import type { Backend, VirtualService } from "../model/service.ts";
import { EncodedDelta, EncodedResource } from "../southbound/encoded.ts";
import type { InputEntry } from "./inputs.ts";
import { SharedResources } from "./shared-resources.ts";

function encodeService(service: VirtualService): EncodedResource {
  const { backends: _told, ...rest } = service;
  return new EncodedResource({ kind: "service", ...rest });
}

function backendIdOf(service: string, { address, port }: Backend): string {
  return `${service} ${address} ${port}`;
}

function encodeBackends(service: VirtualService): ReadonlyMap<string, EncodedResource> {
  return new Map(
    service.backends.map((backend) => {
      const { node = "", ...rest } = backend;
      const id = backendIdOf(service.id, backend);
      return [id, new EncodedResource({ kind: "backend", id, service: service.id, node, ...rest })];
    }),
  );
}

export class Services {
  readonly #services = new SharedResources();
  readonly #backends = new SharedResources();

  get size(): number {
    return this.#services.size + this.#backends.size;
  }

  /** O(backends of the services that changed); what is told is O(changed). */
  update(changes: readonly InputEntry<VirtualService>[]): EncodedDelta {
    for (const { id, before, after } of changes) {
      this.#services.replace(this.#services.get(id), after && encodeService(after));
      const wanted = after === undefined ? new Map<string, never>() : encodeBackends(after);
      for (const backend of before?.backends ?? []) {
        const gone = backendIdOf(id, backend);
        if (!wanted.has(gone)) this.#backends.replace(this.#backends.get(gone), undefined);
      }
      for (const [backend, encoded] of wanted) {
        this.#backends.replace(this.#backends.get(backend), encoded);
      }
    }
    return EncodedDelta.join([this.#backends.takeDelta(), this.#services.takeDelta()]);
  }

  /** Every resource, as a delta from nothing. */
  get all(): EncodedDelta {
    return EncodedDelta.join([this.#backends.all, this.#services.all]);
  }
}
