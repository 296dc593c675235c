// The controller's core, wired: from objects to what each node must be told. docs/compute.md is its design page.
//
//   policies --> compiled --+--> relevance --+
//                           |                v
//   endpoints, zones -------|----------> identities ---> endpoint resources
//                           v                v
//                         groups <-----------+
//                           v                |
//              rules  <-----+-----> postures |
//                v                       v   v
//              spans <-----------------------+ ---> group, rule, posture resources by node
//
//   domains, nodes --> domain, node resources
import type { Domain, Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { Policy } from "../model/policy.ts";
import { EncodedDelta } from "../southbound/encoded.ts";
import { Groups } from "./groups.ts";
import { Identities } from "./identities.ts";
import { Inputs } from "./inputs.ts";
import { Policies } from "./policies.ts";
import { Postures } from "./postures.ts";
import { Relevance } from "./relevance.ts";
import { Rules } from "./rules.ts";
import { SharedResources } from "./shared-resources.ts";
import { Spans } from "./spans.ts";

/** What changed since the last flush. */
export class ComputeDelta {
  /** Domains and nodes, for every node. */
  readonly underlay: EncodedDelta;
  /** Endpoints, for every node. */
  readonly endpoints: EncodedDelta;
  /** Groups, rules and postures by node; nodes to which nothing of this is to be told are not in it. */
  readonly byNode: ReadonlyMap<string, EncodedDelta>;

  constructor(
    underlay: EncodedDelta,
    endpoints: EncodedDelta,
    byNode: ReadonlyMap<string, EncodedDelta>,
  ) {
    this.underlay = underlay;
    this.endpoints = endpoints;
    this.byNode = byNode;
  }

  /** All that the node is to be told, in the order of `resourceKinds`. */
  of(node: string): EncodedDelta {
    const own = this.byNode.get(node) ?? EncodedDelta.empty;
    return EncodedDelta.join([this.underlay, own, this.endpoints]);
  }
}

/**
 * Inputs are set by key, in any order and as often as one likes; `flush` computes. What comes out depends on the inputs
 * as they are then and not on how they came about. Values must not be changed after they were set.
 */
export class Compute {
  readonly #inputs = new Inputs();
  readonly #domains = new SharedResources("domain");
  readonly #nodes = new SharedResources("node");
  readonly #policies = new Policies(this.#inputs);
  readonly #relevance = new Relevance();
  readonly #identities = new Identities(this.#inputs, this.#relevance);
  readonly #groups = new Groups(this.#inputs);
  readonly #rules = new Rules(this.#policies, this.#groups);
  readonly #postures = new Postures(this.#groups);
  readonly #spans = new Spans(this.#identities, this.#postures);

  setZone(name: string, zone: Zone | undefined): void {
    this.#inputs.zones.set(name, zone);
  }

  setEndpoint(id: string, endpoint: Endpoint | undefined): void {
    this.#inputs.setEndpoint(id, endpoint);
  }

  setDomain(name: string, domain: Domain | undefined): void {
    this.#inputs.domains.set(name, domain);
  }

  setNode(name: string, node: Node | undefined): void {
    this.#inputs.nodes.set(name, node);
  }

  setPolicy(id: string, policy: Policy | undefined): void {
    this.#inputs.policies.set(id, policy);
  }

  /** Computes what the inputs set since the last flush change. Cost grows with these, not with what there is. */
  flush(): ComputeDelta {
    const underlay = this.#flushUnderlay();
    const zones = [...this.#inputs.zones.takeChanges().keys()];
    const endpoints = this.#inputs.endpoints.takeChanges().keys();

    const policies = this.#policies.update(this.#inputs.policies.takeChanges().keys());
    const relevance = this.#relevance.update(policies);
    const identities = this.#identities.update(endpoints, zones, relevance);
    const groups = this.#groups.update(policies, zones, identities);
    const rules = this.#rules.update(policies, groups);
    const postures = this.#postures.update(policies, identities, groups);
    const byNode = this.#spans.update({ rules, groups, identities, postures });
    return new ComputeDelta(underlay, this.#identities.takeDelta(), byNode);
  }

  /** Everything that a node must hold, as of the last flush: for an agent that connects. */
  stateOf(node: string): EncodedDelta {
    return EncodedDelta.join([
      EncodedDelta.join([this.#domains.all, this.#nodes.all]),
      this.#spans.stateOf(node),
      this.#identities.resources.all,
    ]);
  }

  /** Entries in every index of the graph; 0 once every input is removed. */
  get size(): number {
    const indexes = [
      this.#inputs,
      this.#policies,
      this.#domains,
      this.#nodes,
      this.#relevance,
      this.#identities,
      this.#groups,
      this.#rules,
      this.#postures,
      this.#spans,
    ];
    return indexes.reduce((sum, index) => sum + index.size, 0);
  }

  #flushUnderlay(): EncodedDelta {
    for (const name of this.#inputs.domains.takeChanges().keys()) {
      const domain = this.#inputs.domains.get(name);
      this.#domains.set(
        name,
        domain && { kind: "domain", id: name, vni: domain.vni, pools: domain.pools },
      );
    }
    for (const name of this.#inputs.nodes.takeChanges().keys()) {
      const node = this.#inputs.nodes.get(name);
      this.#nodes.set(name, node && { kind: "node", id: name, addresses: node.addresses });
    }
    return EncodedDelta.join([this.#domains.takeDelta(), this.#nodes.takeDelta()]);
  }
}
