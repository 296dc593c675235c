import type { Direction } from "../model/policy.ts";
import { EncodedResource } from "../southbound/encoded.ts";
import { CompactMap } from "./compact-map.ts";
import type { GroupChanges, Groups } from "./groups.ts";
import type { IdentityChanges } from "./identities.ts";
import type { Group, Identity } from "./membership.ts";
import type { PolicyChanges } from "./policies.ts";
import { byCodeUnits } from "./words.ts";

/** Which policies isolate each identity. Takes policies and memberships; gives the postures that changed. */
export class Postures {
  readonly #groups: Groups;
  readonly #postures = new Map<Identity, EncodedResource>();

  constructor(groups: Groups) {
    this.#groups = groups;
  }

  get size(): number {
    return this.#postures.size;
  }

  /** @throws {Error} for an identity that does not exist. */
  of(identity: Identity): EncodedResource {
    const posture = this.#postures.get(identity);
    if (posture === undefined) throw new Error(`identity ${identity.id} has no posture`);
    return posture;
  }

  /** Gives the identities whose posture is another than before, also those that appeared; not those that vanished. */
  update(
    policies: PolicyChanges,
    identities: IdentityChanges,
    groups: GroupChanges,
  ): ReadonlySet<Identity> {
    const dirty = new Set(identities.appeared);
    // Who left goes by what isolated the group before, who joined by what isolates it now.
    for (const { group, identity } of groups.left) {
      if (group.isolating !== undefined) dirty.add(identity);
    }
    for (const group of this.#isolate(policies)) {
      for (const identity of group.identities) dirty.add(identity);
    }
    for (const { group, identity } of groups.joined) {
      if (group.isolating !== undefined) dirty.add(identity);
    }
    for (const identity of identities.vanished) {
      this.#postures.delete(identity);
      dirty.delete(identity);
    }
    const changed = new Set<Identity>();
    for (const identity of dirty) {
      const posture = computePosture(identity);
      if (posture.text === this.#postures.get(identity)?.text) continue;
      this.#postures.set(identity, posture);
      changed.add(identity);
    }
    return changed;
  }

  /** Gives the groups that other policies isolate than before. A group that is gone took its members with it. */
  #isolate({ came, went }: PolicyChanges): ReadonlySet<Group> {
    const changed = new Set<Group>();
    for (const { policy, subject, isolates } of went) {
      const group = this.#groups.get(subject.id);
      if (group?.isolating === undefined || isolates.length === 0) continue;
      group.isolating.delete(policy.id);
      changed.add(group);
    }
    for (const { policy, subject, isolates } of came) {
      const group = this.#groups.get(subject.id);
      if (group === undefined || isolates.length === 0) continue;
      group.isolating ??= new CompactMap();
      group.isolating.set(policy.id, isolates);
      changed.add(group);
    }
    for (const group of changed) {
      if (group.isolating?.size === 0) group.isolating = undefined;
    }
    return changed;
  }
}

function computePosture(identity: Identity): EncodedResource {
  const isolating: Record<Direction, string[]> = { ingress: [], egress: [] };
  for (const group of identity.groups) {
    for (const [policy, directions] of group.isolating?.entries() ?? []) {
      for (const direction of directions) isolating[direction].push(policy);
    }
  }
  return new EncodedResource({
    kind: "posture",
    id: identity.id,
    ingress: isolating.ingress.toSorted(byCodeUnits),
    egress: isolating.egress.toSorted(byCodeUnits),
  });
}
