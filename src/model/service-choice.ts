// Which backends of a service the connections of a client may go to, as k8s.io/kubernetes/pkg/proxy (CategorizeEndpoints) has it.
import type { Backend, TrafficPolicy } from "./service.ts";

/** Where a connection comes to its service. */
export interface Place {
  /** The client's node, or the one that a connection from outside comes to; `undefined` when not known. */
  readonly node: string | undefined;
  /** The node's; `undefined` when not known. */
  readonly zone: string | undefined;
}

type Choosable = Pick<Backend, "node" | "ready" | "zones" | "nodes">;

/** In the order given; empty when the connection goes nowhere. O(backends). */
export function usableBackends<Each extends Choosable>(
  all: readonly Each[],
  policy: TrafficPolicy,
  place: Place,
): readonly Each[] {
  const { node: here } = place;
  const eligible =
    policy === "Local" ? all.filter(({ node }) => node !== undefined && node === here) : all;
  const ready = eligible.filter((backend) => backend.ready);
  if (ready.length === 0) return eligible;
  return policy === "Local" ? ready : byHints(ready, place);
}

/**
 * Hints count only where every backend has them and one is for this place; those for nodes before those for zones.
 * Otherwise a mistake in them would leave clients without a backend.
 */
function byHints<Each extends Choosable>(
  ready: readonly Each[],
  { node, zone }: Place,
): readonly Each[] {
  const meant = (hint: "nodes" | "zones", value: string | undefined): readonly Each[] => {
    const complete = ready.every((backend) => (backend[hint]?.length ?? 0) > 0);
    if (!complete || value === undefined) return [];
    return ready.filter((backend) => backend[hint]?.includes(value));
  };
  const forNode = meant("nodes", node);
  if (forNode.length > 0) return forNode;
  const forZone = meant("zones", zone);
  return forZone.length > 0 ? forZone : ready;
}
