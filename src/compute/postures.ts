import type { Direction } from "../model/policy.ts";
import { EncodedResource } from "../southbound/encoded.ts";
import { CompactSet } from "./compact-set.ts";
import type { Group, Identity } from "./entities.ts";
import type { GroupChanges, Groups } from "./groups.ts";
import type { IdentityChanges } from "./identities.ts";
import type { PolicyChange } from "./policies.ts";
import { byCodeUnits } from "./words.ts";
import type { Work } from "./work.ts";

/** Which policies isolate each identity. Takes policies and memberships; gives the postures that changed. */
export class Postures {
  readonly #groups: Groups;
  readonly #work: Work;

  constructor(groups: Groups, work: Work) {
    this.#work = work;
    this.#groups = groups;
  }

  /** Gives the identities whose posture is another than before; not those that appeared or vanished. */
  update(
    policies: readonly PolicyChange[],
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
    for (const identity of identities.vanished) dirty.delete(identity);
    this.#work.judged += dirty.size;
    const changed = new Set<Identity>();
    for (const identity of dirty) {
      const posture = computePosture(identity);
      if (posture.text === identity.posture?.text) continue;
      if (identity.posture !== undefined) changed.add(identity);
      identity.posture = posture;
    }
    return changed;
  }

  /** Gives the groups that other policies isolate than before. A group that is gone took its members with it. */
  #isolate(policies: readonly PolicyChange[]): ReadonlySet<Group> {
    const changed = new Set<Group>();
    for (const { before } of policies) {
      if (before === undefined || before.isolates.length === 0) continue;
      const group = this.#groups.get(before.subject.id);
      if (group?.isolating === undefined) continue;
      group.isolating.delete(before.policy);
      changed.add(group);
    }
    for (const { after } of policies) {
      if (after === undefined || after.isolates.length === 0) continue;
      const group = this.#groups.get(after.subject.id);
      if (group === undefined) continue;
      group.isolating ??= new CompactSet();
      group.isolating.add(after.policy);
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
    for (const { id, isolates } of group.isolating ?? []) {
      for (const direction of isolates) isolating[direction].push(id);
    }
  }
  return new EncodedResource({
    kind: "posture",
    id: identity.id,
    ingress: isolating.ingress.toSorted(byCodeUnits),
    egress: isolating.egress.toSorted(byCodeUnits),
  });
}
