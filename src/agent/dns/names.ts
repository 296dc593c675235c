// The cluster's names, as the resources of a domain have them.
import { ServiceZone } from "../../dns/service-zone.ts";
import { everyNode } from "../../model/endpoint.ts";
import type { Resource, ResourceKey } from "../../southbound/resources.ts";

export class DnsNames {
  readonly zone = new ServiceZone();
  readonly #domain: string;

  constructor(domain: string) {
    this.#domain = domain;
  }

  /** @returns whether it has to do with names. */
  set(resource: Resource): boolean {
    if (resource.kind === "record") {
      this.zone.setService(resource.id, resource.domain === this.#domain ? resource : undefined);
    } else if (resource.kind === "host") {
      this.zone.setHost(resource.record, resource.id, resource);
    } else if (resource.kind === "endpoint") {
      const { id, domain, node, addresses } = resource;
      const isPod = domain === this.#domain && node !== everyNode;
      this.zone.setEndpoint(id, isPod ? addresses : undefined);
    } else {
      return false;
    }
    return true;
  }

  /** @returns whether it had to do with names. */
  delete({ kind, id }: ResourceKey): boolean {
    if (kind === "record") this.zone.setService(id, undefined);
    // A host's id begins with its record's.
    else if (kind === "host") this.zone.setHost(id.slice(0, id.indexOf(" ")), id, undefined);
    else if (kind === "endpoint") this.zone.setEndpoint(id, undefined);
    else return false;
    return true;
  }
}
