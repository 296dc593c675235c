// Which of its backends a service's clients on one node are spread over.
import type { TrafficPolicy } from "../model/service.ts";
import { type Place, usableBackends } from "../model/service-choice.ts";
import { hashOf } from "../southbound/digest.ts";
import type { BackendResource, ServiceResource } from "../southbound/resources.ts";
import { type Target, keyOf, targetOf } from "./service-target.ts";

export interface ChosenBackend {
  readonly key: string;
  readonly target: Target;
  readonly weight: number;
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
  place: Place & { readonly node: string },
): readonly ChosenBackend[] {
  const chosen = new Map<string, ChosenBackend>();
  for (const backend of usableBackends(all, policy, place)) {
    const target = targetOf(service, backend);
    if (target === undefined) continue;
    const key = keyOf(target);
    const weight = Math.max(backend.weight ?? 1, chosen.get(key)?.weight ?? 0);
    chosen.set(key, { key, target, weight });
  }
  return limited([...chosen.values()], place.node);
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
