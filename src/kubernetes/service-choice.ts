// Which backends the connections of a client may go to, for explanations.
import type { Backend, VirtualService } from "../model/service.ts";
import { type Place, usableBackends } from "../model/service-choice.ts";

/** Where a connection comes to its Service. */
export interface ClientPlace extends Place {
  /** Whether the client is outside, and the address or port one for the outside. */
  readonly isOutside: boolean;
}

/** In the order given; empty when the connection goes nowhere. */
export function backendsFor(service: VirtualService, client: ClientPlace): readonly Backend[] {
  const policy = client.isOutside ? service.externalPolicy : service.internalPolicy;
  // Outside, it is not known to which node a connection comes.
  const isAnywhere = client.isOutside && client.node === undefined;
  return usableBackends(service.backends, isAnywhere ? "Cluster" : policy, client);
}
