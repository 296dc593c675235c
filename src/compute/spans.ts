import type { EncodedDelta } from "../southbound/encoded.ts";
import { type Group, type Identity, RuleSet } from "./entities.ts";
import type { GroupChanges } from "./groups.ts";
import type { Identities, IdentityChanges } from "./identities.ts";
import { Multimap } from "./multimap.ts";
import type { NamedHostChanges } from "./named-hosts.ts";
import { NodeDelta, NodeDeltas } from "./node-delta.ts";
import type { RuleChanges } from "./rules.ts";
import type { Work } from "./work.ts";

export interface SpanInputs {
  readonly rules: RuleChanges;
  readonly groups: GroupChanges;
  readonly hosts: NamedHostChanges;
  /** Groups of nodes with other addresses than before. */
  readonly nodeGroups: ReadonlySet<Group>;
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
  readonly #work: Work;

  constructor(identities: Identities, work: Work) {
    this.#work = work;
    this.#identities = identities;
  }

  update(inputs: SpanInputs): ReadonlyMap<string, EncodedDelta> {
    const deltas = new NodeDeltas();
    const recheck = new Multimap<Group, string>();
    const changed = this.#applyRules(inputs.rules, recheck);
    this.#moveRuleSets(inputs, changed, recheck, deltas);
    this.#tellRuleChanges(changed, deltas);
    this.#moveGroups(inputs, recheck, deltas);
    this.#movePostures(inputs, deltas);
    return deltas.build();
  }

  /** Everything that is limited to nodes and that this node has. */
  stateOf(node: string): EncodedDelta {
    const state = new NodeDelta();
    for (const identity of this.#identities.localTo(node)) {
      state.postures.add(identity);
      for (const { ruleSet } of identity.groups) {
        if (ruleSet === undefined) continue;
        state.ruleSets.add(ruleSet);
        for (const group of ruleSet.groups.keys()) state.groups.add(group);
      }
    }
    return state.build();
  }

  /** Gives the sets that changed. Where a set names other groups than before, its nodes are to be looked at again. */
  #applyRules({ added, removed }: RuleChanges, recheck: Multimap<Group, string>): Set<RuleSet> {
    const changed = new Set<RuleSet>();
    const look = (group: Group, set: RuleSet) => {
      for (const node of set.nodes) recheck.add(group, node);
    };
    for (const rule of added) {
      const set = (rule.subject.ruleSet ??= new RuleSet(rule.subject));
      changed.add(set);
      for (const group of set.add(rule)) {
        group.namedBy.add(set);
        look(group, set);
      }
    }
    for (const rule of removed) {
      const set = rule.subject.ruleSet;
      if (set === undefined) continue;
      changed.add(set);
      for (const group of set.remove(rule)) {
        group.namedBy.delete(set);
        look(group, set);
      }
    }
    return changed;
  }

  /** Looks at every rule set and node between which something changed. */
  #moveRuleSets(
    { groups, identities }: SpanInputs,
    changed: ReadonlySet<RuleSet>,
    recheck: Multimap<Group, string>,
    deltas: NodeDeltas,
  ): void {
    const settle = (set: RuleSet, node: string, hosted: boolean) => {
      this.#work.settled++;
      if (hosted) this.#enter(set, node, deltas);
      else if (set.isEmpty || !this.#hosts(node, set.subject)) {
        this.#leave(set, node, recheck, deltas);
      }
    };
    for (const set of changed) {
      if (set.isEmpty) {
        for (const node of Array.from(set.nodes)) settle(set, node, false);
        set.subject.ruleSet = undefined;
      } else if (set.nodes.size === 0) {
        for (const identity of set.subject.identities) {
          for (const node of identity.nodes.keys()) settle(set, node, true);
        }
      }
    }
    const formerNodes = new Multimap<Identity, string>();
    for (const { identity, node, hosted } of identities.hostings) {
      if (!hosted) formerNodes.add(identity, node);
      for (const { ruleSet } of identity.groups) {
        if (ruleSet !== undefined) settle(ruleSet, node, hosted);
      }
    }
    for (const { group, identity } of groups.joined) {
      if (group.ruleSet === undefined) continue;
      for (const node of identity.nodes.keys()) settle(group.ruleSet, node, true);
    }
    for (const { group, identity } of groups.left) {
      if (group.ruleSet === undefined) continue;
      for (const node of identity.nodes.keys()) settle(group.ruleSet, node, false);
      for (const node of formerNodes.get(identity)) settle(group.ruleSet, node, false);
    }
  }

  #enter(set: RuleSet, node: string, deltas: NodeDeltas): void {
    if (set.nodes.has(node)) return;
    set.nodes.add(node);
    const delta = deltas.of(node);
    delta.ruleSets.add(set);
    for (const group of set.groups.keys()) {
      if (group.nodes.has(node)) continue;
      group.nodes.add(node);
      delta.groups.add(group);
    }
  }

  #leave(set: RuleSet, node: string, recheck: Multimap<Group, string>, deltas: NodeDeltas): void {
    if (!set.nodes.has(node)) return;
    set.nodes.delete(node);
    deltas.of(node).ruleChanges.push(set.withdrawal);
    for (const group of set.groups.keys()) recheck.add(group, node);
  }

  #tellRuleChanges(changed: ReadonlySet<RuleSet>, deltas: NodeDeltas): void {
    for (const set of changed) {
      const { changes } = set;
      if (!changes.isEmpty) {
        for (const node of set.nodes) {
          const delta = deltas.of(node);
          if (!delta.ruleSets.has(set)) delta.ruleChanges.push(changes);
        }
      }
      set.settle();
    }
  }

  #moveGroups(
    { groups, hosts, nodeGroups }: SpanInputs,
    recheck: Multimap<Group, string>,
    deltas: NodeDeltas,
  ): void {
    for (const group of recheck.keys()) {
      for (const node of recheck.get(group)) {
        const needed = this.#needs(node, group);
        if (needed === group.nodes.has(node)) continue;
        if (needed) {
          group.nodes.add(node);
          deltas.of(node).groups.add(group);
        } else {
          group.nodes.delete(node);
          deltas.of(node).lostGroups.push({ kind: "group", id: group.id });
        }
      }
    }
    for (const changed of [groups.changed, hosts.changed, nodeGroups]) {
      for (const group of changed) {
        for (const node of group.nodes) deltas.of(node).groups.add(group);
      }
    }
  }

  #movePostures({ identities, postures }: SpanInputs, deltas: NodeDeltas): void {
    for (const { identity, node, hosted } of identities.hostings) {
      const delta = deltas.of(node);
      if (hosted) delta.postures.add(identity);
      else delta.lostPostures.push({ kind: "posture", id: identity.id });
    }
    for (const identity of postures) {
      for (const node of identity.nodes.keys()) deltas.of(node).postures.add(identity);
    }
  }

  #hosts(node: string, group: Group): boolean {
    for (const identity of this.#identities.localTo(node)) {
      if (group.identities.has(identity)) return true;
    }
    return false;
  }

  #needs(node: string, group: Group): boolean {
    for (const set of group.namedBy) {
      if (set.nodes.has(node)) return true;
    }
    return false;
  }
}
