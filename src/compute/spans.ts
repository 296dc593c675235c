import { EncodedDelta } from "../southbound/encoded.ts";
import type { GroupChanges } from "./groups.ts";
import type { Identities, IdentityChanges } from "./identities.ts";
import type { Group, Identity } from "./membership.ts";
import { Multimap } from "./multimap.ts";
import { NodeDeltas } from "./node-delta.ts";
import type { Postures } from "./postures.ts";
import { RuleSet } from "./rule-set.ts";
import type { RuleChanges } from "./rules.ts";

export interface SpanInputs {
  readonly rules: RuleChanges;
  readonly groups: GroupChanges;
  readonly identities: IdentityChanges;
  /** Identities with another posture than before. */
  readonly postures: ReadonlySet<Identity>;
}

/**
 * Decides which node gets what: the postures of the identities that it hosts, the rules that have one of them as a
 * subject, and the groups that these rules name. Gives what changed for each node. Whether a node is in a span is
 * looked up anew where something changed, not counted, so there is no count that could drift.
 */
export class Spans {
  readonly #identities: Identities;
  readonly #postures: Postures;
  /** By subject. Empty sets are dropped. */
  readonly #ruleSets = new Map<Group, RuleSet>();
  readonly #namedBy = new Multimap<Group, RuleSet>();
  /** Nodes that have the group. */
  readonly #groupNodes = new Multimap<Group, string>();

  constructor(identities: Identities, postures: Postures) {
    this.#identities = identities;
    this.#postures = postures;
  }

  get size(): number {
    let size = this.#ruleSets.size + this.#namedBy.size + this.#groupNodes.size;
    for (const set of this.#ruleSets.values()) size += set.size;
    return size;
  }

  update(inputs: SpanInputs): ReadonlyMap<string, EncodedDelta> {
    const deltas = new NodeDeltas();
    const recheck = new Multimap<Group, string>();
    const changed = this.#applyRules(inputs.rules, recheck);
    this.#moveRuleSets(inputs, changed, recheck, deltas);
    this.#moveGroups(inputs.groups, recheck, deltas);
    this.#movePostures(inputs, deltas);
    return deltas.build();
  }

  /** Nodes that have the rules of the subject. */
  nodesOf(subject: Group): ReadonlySet<string> {
    return this.#ruleSets.get(subject)?.nodes ?? new Set();
  }

  /** Everything that is limited to nodes and that this node has. */
  stateOf(node: string): EncodedDelta {
    const sets = new Set<RuleSet>();
    const postures = [];
    for (const identity of this.#identities.localTo(node)) {
      postures.push(this.#postures.of(identity));
      for (const group of identity.groups) {
        const set = this.#ruleSets.get(group);
        if (set !== undefined) sets.add(set);
      }
    }
    const groups = new Set<Group>();
    for (const set of sets) for (const group of set.groups.keys()) groups.add(group);
    return EncodedDelta.join([
      EncodedDelta.of(
        Array.from(groups, (group) => group.encoded),
        [],
      ),
      EncodedDelta.join(Array.from(sets, (set) => set.all)),
      EncodedDelta.of(postures, []),
    ]);
  }

  /** Gives the sets that changed. Where a set names other groups than before, its nodes are to be looked at again. */
  #applyRules({ added, removed }: RuleChanges, recheck: Multimap<Group, string>): Set<RuleSet> {
    const changed = new Set<RuleSet>();
    const look = (group: Group, set: RuleSet) => {
      for (const node of set.nodes) recheck.add(group, node);
    };
    for (const rule of added) {
      let set = this.#ruleSets.get(rule.subject);
      if (set === undefined) this.#ruleSets.set(rule.subject, (set = new RuleSet(rule.subject)));
      changed.add(set);
      for (const group of set.add(rule)) {
        this.#namedBy.add(group, set);
        look(group, set);
      }
    }
    for (const rule of removed) {
      const set = this.#ruleSets.get(rule.subject);
      if (set === undefined) continue;
      changed.add(set);
      for (const group of set.remove(rule)) {
        this.#namedBy.delete(group, set);
        look(group, set);
      }
    }
    return changed;
  }

  #moveRuleSets(
    { identities, groups }: SpanInputs,
    changed: ReadonlySet<RuleSet>,
    recheck: Multimap<Group, string>,
    deltas: NodeDeltas,
  ): void {
    const arrivals = new Multimap<RuleSet, string>();
    const settle = (set: RuleSet, node: string, hosted: boolean) => {
      if (hosted === set.nodes.has(node)) return;
      if (hosted) {
        set.nodes.add(node);
        arrivals.add(set, node);
        deltas.of(node).rules.push(set.all);
      } else {
        set.nodes.delete(node);
        deltas.of(node).rules.push(set.withdrawal);
      }
      for (const group of set.groups.keys()) recheck.add(group, node);
    };
    const settleMember = (group: Group, identity: Identity, node: string) => {
      const set = this.#ruleSets.get(group);
      if (set === undefined || set.isEmpty) return;
      const evident = identity.endpointsByNode.has(node) && group.identities.has(identity);
      settle(set, node, evident || this.#hosts(node, group));
    };
    for (const set of changed) {
      if (set.isEmpty) {
        for (const node of set.nodes) settle(set, node, false);
        this.#ruleSets.delete(set.subject);
      } else if (set.nodes.size === 0) {
        for (const identity of set.subject.identities) {
          for (const node of identity.endpointsByNode.keys()) settle(set, node, true);
        }
      }
    }
    for (const { group, identity } of [...groups.joined, ...groups.left]) {
      if (!this.#ruleSets.has(group)) continue;
      for (const node of identity.endpointsByNode.keys()) settleMember(group, identity, node);
      for (const node of identities.touched.get(identity)?.keys() ?? []) {
        settleMember(group, identity, node);
      }
    }
    for (const [identity, nodes] of identities.touched) {
      for (const group of identity.groups) {
        if (!this.#ruleSets.has(group)) continue;
        for (const node of nodes.keys()) settleMember(group, identity, node);
      }
    }
    for (const set of changed) {
      const { changes } = set;
      for (const node of set.nodes) {
        if (!arrivals.has(set, node)) deltas.of(node).rules.push(changes);
      }
      set.settle();
    }
  }

  #moveGroups(groups: GroupChanges, recheck: Multimap<Group, string>, deltas: NodeDeltas): void {
    const arrivals = new Multimap<Group, string>();
    for (const [group, nodes] of recheck.entries()) {
      for (const node of nodes) {
        const needed = this.#needs(node, group);
        if (needed === this.#groupNodes.has(group, node)) continue;
        if (needed) {
          this.#groupNodes.add(group, node);
          arrivals.add(group, node);
          deltas.of(node).groups.push(group.encoded);
        } else {
          this.#groupNodes.delete(group, node);
          deltas.of(node).groupDeletes.push({ kind: "group", id: group.id });
        }
      }
    }
    for (const group of groups.changed) {
      for (const node of this.#groupNodes.get(group)) {
        if (!arrivals.has(group, node)) deltas.of(node).groups.push(group.encoded);
      }
    }
  }

  #movePostures({ identities, postures }: SpanInputs, deltas: NodeDeltas): void {
    for (const [identity, nodes] of identities.touched) {
      for (const [node, wasThere] of nodes) {
        const isThere = identity.endpointsByNode.has(node);
        if (isThere && !wasThere) deltas.of(node).postures.push(this.#postures.of(identity));
        if (wasThere && !isThere) {
          deltas.of(node).postureDeletes.push({ kind: "posture", id: identity.id });
        }
      }
    }
    for (const identity of postures) {
      const touched = identities.touched.get(identity);
      for (const node of identity.endpointsByNode.keys()) {
        if (touched?.get(node) === false) continue;
        deltas.of(node).postures.push(this.#postures.of(identity));
      }
    }
  }

  #hosts(node: string, group: Group): boolean {
    for (const identity of this.#identities.localTo(node)) {
      if (group.identities.has(identity)) return true;
    }
    return false;
  }

  #needs(node: string, group: Group): boolean {
    for (const set of this.#namedBy.get(group)) {
      if (set.nodes.has(node)) return true;
    }
    return false;
  }
}
