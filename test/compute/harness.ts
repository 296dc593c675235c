import assert from "node:assert/strict";
import { Compute } from "../../src/compute/graph.ts";
import type { PolicyReach } from "../../src/compute/subjects.ts";
import { type EncodedDelta, keyText } from "../../src/southbound/encoded.ts";
import type { Resource } from "../../src/southbound/resources.ts";
import { type Change, nodeNames } from "./arbitrary.ts";
import { Reference } from "./reference.ts";
import { type NodeState, World, applyTo, stateFrom } from "./world.ts";

/** Applies a delta as an agent would, and refuses what is no change. */
function update(state: NodeState, delta: EncodedDelta): NodeState {
  const next = new Map(state);
  const named = new Set<string>();
  for (const key of delta.deletes()) {
    assert.ok(next.delete(keyText(key)), `${keyText(key)} is deleted and was not there`);
    named.add(keyText(key));
  }
  for (const { resource } of delta.upserts()) {
    const key = keyText(resource);
    assert.ok(!named.has(key), `${key} is in the delta twice`);
    named.add(key);
    assert.notDeepEqual(resource, next.get(key), `${key} is sent and did not change`);
    next.set(key, resource);
  }
  return next;
}

function sorted(state: NodeState): readonly Resource[] {
  const byKey = [...state].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return byKey.map(([, resource]) => normal(resource));
}

/** Peers are a set: their order says nothing. */
function normal(resource: Resource): Resource {
  if (resource.kind !== "rule" || resource.peers === "any") return resource;
  return { ...resource, peers: resource.peers.toSorted() };
}

/** Drives a graph and three agents, one a node, and checks all that must hold after each flush. */
export class Harness {
  readonly compute = new Compute();
  readonly world = new World();
  #nodesOf: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #agents: ReadonlyMap<string, NodeState> = new Map(nodeNames.map((node) => [node, new Map()]));

  apply(changes: Iterable<Change>): void {
    for (const each of changes) {
      this.world.apply(each);
      applyTo(this.compute, each);
    }
  }

  flush(): void {
    const delta = this.compute.flush();
    for (const node of delta.byNode.keys()) assert.ok(this.#agents.has(node), `who is ${node}?`);
    this.#agents = new Map(
      Array.from(this.#agents, ([node, state]) => [node, update(state, delta.of(node))]),
    );
    const reference = new Reference(this.world);
    for (const [node, state] of this.#agents) {
      assert.deepEqual(sorted(state), sorted(reference.stateOf(node)), `${node} as defined`);
      const full = stateFrom(this.compute.stateOf(node));
      assert.deepEqual(sorted(full), sorted(state), `stateOf(${node}) as told by deltas`);
    }
    this.#checkReach(reference, delta.reach);
  }

  /** Every policy's nodes are as defined, and each that came or went was told. */
  #checkReach(reference: Reference, reach: PolicyReach): void {
    const ids = [...this.world.policies.keys()];
    const nodesOf = new Map(ids.map((id) => [id, this.compute.nodesOf(id)]));
    for (const [id, nodes] of nodesOf) {
      assert.deepEqual(
        [...nodes].toSorted(),
        [...reference.nodesOf(id)].toSorted(),
        `nodes of ${id}`,
      );
      const told = reach.get(id);
      if (told === "all") continue;
      const before = this.#nodesOf.get(id) ?? new Set();
      const moved = [...nodes, ...before].filter((node) => nodes.has(node) !== before.has(node));
      for (const node of moved) assert.ok(told?.has(node), `${id} reaches ${node}`);
    }
    for (const id of this.#nodesOf.keys()) if (!nodesOf.has(id)) assert.ok(reach.has(id));
    this.#nodesOf = nodesOf;
  }

  clear(): void {
    const deletions = [...this.world.changes()].map((each) => ({ ...each, value: undefined }));
    this.apply(deletions);
    this.flush();
    assert.equal(this.compute.size, 0, "entries left in the graph's indexes");
  }
}
