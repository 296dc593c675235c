import type { Group } from "./entities.ts";
import type { GroupChanges, Groups } from "./groups.ts";
import type { IdentityChanges } from "./identities.ts";
import type { PolicyChange } from "./policies.ts";

/** The nodes on which a policy gained or lost a subject, or all of them where the policy itself changed. */
export type PolicyReach = ReadonlyMap<string, "all" | ReadonlySet<string>>;

/**
 * Knows on which nodes each policy has a subject, with rules or without: where it is to be in force. Gives the policies of which
 * that may be others than before, and those that changed themselves.
 */
export class Subjects {
  readonly #groups: Groups;
  readonly #subjects = new Map<string, Group>();

  constructor(groups: Groups) {
    this.#groups = groups;
  }

  get size(): number {
    return this.#subjects.size;
  }

  /** Cost grows with the subject's distinct identities and their nodes. */
  nodesOf(policy: string): ReadonlySet<string> {
    const nodes = new Set<string>();
    for (const identity of this.#subjects.get(policy)?.identities ?? []) {
      for (const node of identity.nodes.keys()) nodes.add(node);
    }
    return nodes;
  }

  update(
    policies: readonly PolicyChange[],
    groups: GroupChanges,
    identities: IdentityChanges,
  ): PolicyReach {
    const reach = new Map<string, "all" | Set<string>>();
    for (const { id, before, after } of policies) {
      reach.set(id, "all");
      if (before !== undefined) this.#drop(id);
      if (after !== undefined) this.#file(id, after.subject.id);
    }
    const touch = (group: Group, node: string): void => {
      for (const policy of group.subjectOf) {
        const nodes = reach.get(policy);
        if (nodes === undefined) reach.set(policy, new Set([node]));
        else if (nodes !== "all") nodes.add(node);
      }
    };
    for (const { identity, node } of identities.hostings) {
      for (const group of identity.groups) touch(group, node);
    }
    for (const { group, identity } of [...groups.joined, ...groups.left]) {
      for (const node of identity.nodes.keys()) touch(group, node);
    }
    this.#touchFormer(groups, identities, touch);
    return reach;
  }

  /** Who left a group may have left a node as well. */
  #touchFormer(
    groups: GroupChanges,
    { hostings }: IdentityChanges,
    touch: (group: Group, node: string) => void,
  ): void {
    if (groups.left.length === 0) return;
    const former = Map.groupBy(hostings, ({ identity }) => identity);
    for (const { group, identity } of groups.left) {
      for (const { node } of former.get(identity) ?? []) touch(group, node);
    }
  }

  #file(id: string, subject: string): void {
    const group = this.#groups.get(subject);
    if (group === undefined) return;
    group.subjectOf.add(id);
    this.#subjects.set(id, group);
  }

  #drop(id: string): void {
    this.#subjects.get(id)?.subjectOf.delete(id);
    this.#subjects.delete(id);
  }
}
