import type { Direction } from "../model/policy.ts";
import { EncodedResource } from "../southbound/encoded.ts";
import type { CompiledPolicy } from "./compile.ts";
import type { GroupChanges, Groups } from "./groups.ts";
import type { IdentityChanges } from "./identities.ts";
import type { Identity } from "./membership.ts";
import { Multimap } from "./multimap.ts";
import { byCodeUnits } from "./words.ts";

/** Which policies isolate each identity. Takes policies and memberships; gives the postures that changed. */
export class Postures {
  readonly #groups: Groups;
  /** Isolating policies by the id of their subject. */
  readonly #isolating: Readonly<Record<Direction, Multimap<string, string>>> = {
    ingress: new Multimap(),
    egress: new Multimap(),
  };
  readonly #postures = new Map<Identity, EncodedResource>();

  constructor(groups: Groups) {
    this.#groups = groups;
  }

  get size(): number {
    return this.#postures.size + this.#isolating.ingress.size + this.#isolating.egress.size;
  }

  /** @throws {Error} for an identity that does not exist. */
  of(identity: Identity): EncodedResource {
    const posture = this.#postures.get(identity);
    if (posture === undefined) throw new Error(`identity ${identity.id} has no posture`);
    return posture;
  }

  /** Gives the identities whose posture is another than before; not those that vanished. */
  update(
    came: readonly CompiledPolicy[],
    went: readonly CompiledPolicy[],
    identities: IdentityChanges,
    groups: GroupChanges,
  ): ReadonlySet<Identity> {
    const dirty = new Set(identities.appeared);
    for (const { group, identity } of [...groups.joined, ...groups.left]) {
      if (this.#isolates(group.id)) dirty.add(identity);
    }
    for (const group of this.#isolate(came, went)) {
      for (const identity of this.#groups.get(group)?.identities ?? []) dirty.add(identity);
    }
    for (const identity of identities.vanished) {
      this.#postures.delete(identity);
      dirty.delete(identity);
    }
    const changed = new Set<Identity>();
    for (const identity of dirty) {
      const posture = this.#compute(identity);
      if (posture.text === this.#postures.get(identity)?.text) continue;
      this.#postures.set(identity, posture);
      changed.add(identity);
    }
    return changed;
  }

  /** Ids of the groups that other policies isolate than before. */
  #isolate(came: readonly CompiledPolicy[], went: readonly CompiledPolicy[]): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const { policy, subject, isolates } of went) {
      for (const direction of isolates) {
        this.#isolating[direction].delete(subject.id, policy.id);
        changed.add(subject.id);
      }
    }
    for (const { policy, subject, isolates } of came) {
      for (const direction of isolates) {
        this.#isolating[direction].add(subject.id, policy.id);
        changed.add(subject.id);
      }
    }
    return changed;
  }

  #isolates(group: string): boolean {
    const { ingress, egress } = this.#isolating;
    return ingress.get(group).size + egress.get(group).size > 0;
  }

  #compute(identity: Identity): EncodedResource {
    const policies = (direction: Direction) => {
      const ids: string[] = [];
      for (const group of identity.groups) {
        for (const policy of this.#isolating[direction].get(group.id)) ids.push(policy);
      }
      return ids.length > 1 ? ids.toSorted(byCodeUnits) : ids;
    };
    return new EncodedResource({
      kind: "posture",
      id: identity.id,
      ingress: policies("ingress"),
      egress: policies("egress"),
    });
  }
}
