// Names under which Services are found: Kubernetes DNS-Based Service Discovery 1.1.0.
import type { NamedPort } from "./endpoint.ts";

/** A Service: an address for all of it, a name for another name, or the hosts behind it (headless). */
export interface NamedService {
  /** `namespace/name`. */
  readonly id: string;
  /** Name of the domain in which its addresses are reached. */
  readonly domain: string;
  /** None for a headless Service and for an alias. */
  readonly addresses: readonly string[];
  /** The name that it stands for (ExternalName). */
  readonly alias?: string;
  /** Those with names. */
  readonly ports: readonly NamedPort[];
  /** Of a headless Service, those that may be found. */
  readonly hosts: readonly NamedHost[];
}

/** An endpoint of a headless Service. */
export interface NamedHost {
  readonly address: string;
  /** A host's own name within the Service; absent where it has none. */
  readonly hostname?: string;
  /** Those with names, by the numbers at which this host serves them. */
  readonly ports: readonly NamedPort[];
}
