import { EncodedDelta } from "../southbound/encoded.ts";
import type { ResourceKey } from "../southbound/resources.ts";
import type { Group, Identity, RuleSet } from "./entities.ts";

/** Collects what one node is to be told. */
export class NodeDelta {
  readonly groups = new Set<Group>();
  readonly lostGroups: ResourceKey[] = [];
  /** Rule sets of which the node had nothing. */
  readonly ruleSets = new Set<RuleSet>();
  /** Changes to the others. */
  readonly ruleChanges: EncodedDelta[] = [];
  readonly postures = new Set<Identity>();
  readonly lostPostures: ResourceKey[] = [];

  /** In the order of `resourceKinds`. */
  build(): EncodedDelta {
    const groups = Array.from(this.groups, (group) => group.encoded);
    const postures = Array.from(this.postures, ({ posture }) => posture).filter(
      (posture) => posture !== undefined,
    );
    const rules = Array.from(this.ruleSets, (set) => set.all);
    return EncodedDelta.join([
      EncodedDelta.of(groups, this.lostGroups),
      EncodedDelta.join([...rules, ...this.ruleChanges]),
      EncodedDelta.of(postures, this.lostPostures),
    ]);
  }
}

/** What each node is to be told; only nodes that something was collected for are in it. */
export class NodeDeltas {
  readonly #nodes = new Map<string, NodeDelta>();

  of(node: string): NodeDelta {
    let delta = this.#nodes.get(node);
    if (delta === undefined) this.#nodes.set(node, (delta = new NodeDelta()));
    return delta;
  }

  build(): ReadonlyMap<string, EncodedDelta> {
    const deltas = Array.from(this.#nodes, ([node, delta]) => [node, delta.build()] as const);
    return new Map(deltas.filter(([, delta]) => !delta.isEmpty));
  }
}
