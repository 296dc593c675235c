// Which of its backends a service's clients on one node are spread over.
import type { TrafficPolicy } from "../model/service.ts";
import { hashOf } from "../southbound/digest.ts";
import type { BackendResource, ServiceResource } from "../southbound/resources.ts";
import { type Target, keyOf, targetOf } from "./service-target.ts";

export interface ChosenBackend {
  readonly key: string;
  readonly target: Target;
  readonly weight: number;
}

export interface Place {
  /** The node's name. */
  readonly node: string;
  /** The topology's; absent: not known. */
  readonly zone: string | undefined;
}

/**
 * A group is set and read back in one message of 65,535 bytes, some 50 for each bucket. Of more backends each node takes so
 * many, by rendezvous hashing: one that comes or goes replaces one at most, and all nodes together use them all.
 */
const groupLimit = 1_000;

/** In an order that depends on nothing else; each target once. O(backends). */
export function chooseBackends(
  service: ServiceResource,
  all: readonly BackendResource[],
  policy: TrafficPolicy,
  place: Place,
): readonly ChosenBackend[] {
  const eligible = policy === "Local" ? all.filter(({ node }) => node === place.node) : all;
  const ready = eligible.filter((backend) => backend.ready);
  const usable = ready.length === 0 ? eligible : policy === "Local" ? ready : byHints(ready, place);
  const chosen = new Map<string, ChosenBackend>();
  for (const backend of usable) {
    const target = targetOf(service, backend);
    if (target === undefined) continue;
    const key = keyOf(target);
    const weight = Math.max(backend.weight ?? 1, chosen.get(key)?.weight ?? 0);
    chosen.set(key, { key, target, weight });
  }
  return limited([...chosen.values()], place.node);
}

/**
 * As kube-proxy: hints count only where every backend has them and one is for this place; those for nodes before those for
 * zones. Otherwise a mistake in them would leave clients without a backend.
 */
function byHints(
  ready: readonly BackendResource[],
  { node, zone }: Place,
): readonly BackendResource[] {
  const meant = (hint: "nodes" | "zones", value: string | undefined) => {
    const complete = ready.every((backend) => (backend[hint]?.length ?? 0) > 0);
    if (!complete || value === undefined) return [];
    return ready.filter((backend) => backend[hint]?.includes(value));
  };
  const forNode = meant("nodes", node);
  if (forNode.length > 0) return forNode;
  const forZone = meant("zones", zone);
  return forZone.length > 0 ? forZone : ready;
}

function limited(all: readonly ChosenBackend[], node: string): readonly ChosenBackend[] {
  const byKey = all.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  if (byKey.length <= groupLimit) return byKey;
  const ranked = byKey.map((backend) => ({ rank: hashOf(`${node} ${backend.key}`), backend }));
  return ranked
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, groupLimit)
    .map(({ backend }) => backend);
}
