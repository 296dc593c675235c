// What rules mean that name nodes: the addresses by which the selected nodes are known. A node is no endpoint and has no
// identity, so such a group is a list of hosts.
import type { Node } from "../model/endpoint.ts";
import { matchesSelector } from "../model/selector.ts";
import { formatPrefix, prefixOf, tryParseAddress, widthOf } from "../net/address.ts";
import { groupsOf } from "./compile.ts";
import { Counter } from "./counter.ts";
import type { NodesDefinition } from "./definition.ts";
import type { Group } from "./entities.ts";
import type { Groups } from "./groups.ts";
import type { InputEntry } from "./inputs.ts";
import type { PolicyChange } from "./policies.ts";

interface Filed {
  readonly group: Group;
  readonly definition: NodesDefinition;
}

interface KnownNode {
  readonly labels: Node["labels"];
  /** Host prefixes. */
  readonly cidrs: readonly string[];
}

/** Keeps the groups of nodes filled. Cost of a change: the nodes that changed times the distinct selectors of nodes. */
export class NodeAddresses {
  readonly #groups: Groups;
  readonly #nodes = new Map<string, KnownNode>();
  readonly #filed = new Map<string, Filed>();

  constructor(groups: Groups) {
    this.#groups = groups;
  }

  get size(): number {
    return this.#nodes.size + this.#filed.size;
  }

  /** After the groups. Gives the groups with other addresses than the nodes know that have them. */
  update(
    policies: readonly PolicyChange[],
    nodes: readonly InputEntry<Node>[],
  ): ReadonlySet<Group> {
    const changed = new Set<Group>();
    for (const { id, after } of nodes) this.#replace(id, after && knownNode(after), changed);
    for (const { before } of policies) {
      if (before === undefined) continue;
      for (const { id } of groupsOf(before)) {
        if (this.#groups.get(id) === undefined) this.#filed.delete(id);
      }
    }
    for (const { after } of policies) {
      if (after === undefined) continue;
      for (const definition of groupsOf(after)) {
        if (definition.kind === "nodes") this.#file(definition);
      }
    }
    return changed;
  }

  #file(definition: NodesDefinition): void {
    const group = this.#groups.get(definition.id);
    if (group === undefined || this.#filed.get(definition.id)?.group === group) return;
    this.#filed.set(definition.id, { group, definition });
    group.hosts = new Counter();
    for (const { labels, cidrs } of this.#nodes.values()) {
      if (!matchesSelector(definition.selector, labels)) continue;
      for (const cidr of cidrs) group.hosts.add(cidr);
    }
    group.forgetEncoded();
  }

  #replace(name: string, after: KnownNode | undefined, changed: Set<Group>): void {
    const before = this.#nodes.get(name);
    if (after === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, after);
    for (const { group, definition } of this.#filed.values()) {
      const { hosts } = group;
      if (hosts === undefined) continue;
      const selects = (node: KnownNode | undefined): readonly string[] =>
        node !== undefined && matchesSelector(definition.selector, node.labels) ? node.cidrs : [];
      let differs = false;
      for (const cidr of selects(after)) differs = hosts.add(cidr) || differs;
      for (const cidr of selects(before)) differs = hosts.remove(cidr) || differs;
      if (!differs) continue;
      group.forgetEncoded();
      if (group.nodes.size > 0) changed.add(group);
    }
  }
}

function knownNode({ labels, knownAddresses }: Node): KnownNode {
  const cidrs = knownAddresses
    .map(tryParseAddress)
    .filter((address) => address !== undefined)
    .map((address) => formatPrefix(prefixOf(address, widthOf(address.family))));
  return { labels, cidrs: [...new Set(cidrs)] };
}
