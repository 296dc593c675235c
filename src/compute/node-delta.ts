import { EncodedDelta, type EncodedResource } from "../southbound/encoded.ts";
import type { ResourceKey } from "../southbound/resources.ts";

/** Collects what one node is to be told, in the order of `resourceKinds`. */
class NodeDelta {
  readonly groups: EncodedResource[] = [];
  readonly groupDeletes: ResourceKey[] = [];
  readonly rules: EncodedDelta[] = [];
  readonly postures: EncodedResource[] = [];
  readonly postureDeletes: ResourceKey[] = [];

  build(): EncodedDelta {
    return EncodedDelta.join([
      EncodedDelta.of(this.groups, this.groupDeletes),
      EncodedDelta.join(this.rules),
      EncodedDelta.of(this.postures, this.postureDeletes),
    ]);
  }
}

/** What each node is to be told; only nodes that are to be told something are in it. */
export class NodeDeltas {
  readonly #nodes = new Map<string, NodeDelta>();

  of(node: string): NodeDelta {
    let delta = this.#nodes.get(node);
    if (delta === undefined) this.#nodes.set(node, (delta = new NodeDelta()));
    return delta;
  }

  build(): ReadonlyMap<string, EncodedDelta> {
    const deltas = new Map<string, EncodedDelta>();
    for (const [node, delta] of this.#nodes) {
      const built = delta.build();
      if (!built.isEmpty) deltas.set(node, built);
    }
    return deltas;
  }
}
