// Which backends the connections of a client may go to, as k8s.io/kubernetes/pkg/proxy (CategorizeEndpoints) chooses them. For
// explanations; a node's switch has its own reading (pipeline/service-feature.ts).
import type { Backend, VirtualService } from "../model/service.ts";

/** Where a connection comes to its Service. */
export interface ClientPlace {
  /** The client's node, or the one that a connection from outside comes to; `undefined` when not known. */
  readonly node: string | undefined;
  readonly zone: string | undefined;
  /** Whether the client is outside, and the address or port one for the outside. */
  readonly isOutside: boolean;
}

/** Hints count only when all backends have some, and one of them is for this client. */
function nearest(backends: readonly Backend[], { node, zone }: ClientPlace): readonly Backend[] {
  const byNode = backends.filter(({ nodes }) => node !== undefined && nodes?.includes(node));
  if (byNode.length > 0 && backends.every(({ nodes }) => nodes !== undefined)) return byNode;
  const byZone = backends.filter(({ zones }) => zone !== undefined && zones?.includes(zone));
  if (byZone.length > 0 && backends.every(({ zones }) => zones !== undefined)) return byZone;
  return backends;
}

/** In the order given; empty when the connection goes nowhere. */
export function backendsFor(service: VirtualService, client: ClientPlace): readonly Backend[] {
  const policy = client.isOutside ? service.externalPolicy : service.internalPolicy;
  // Outside, it is not known to which node a connection comes.
  const reachable =
    policy === "Local" && !(client.isOutside && client.node === undefined)
      ? service.backends.filter(({ node }) => node !== undefined && node === client.node)
      : service.backends;
  const ready = reachable.filter((backend) => backend.ready);
  if (ready.length === 0) return reachable;
  return policy === "Local" ? ready : nearest(ready, client);
}
