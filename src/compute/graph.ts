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
//   services --> service, backend resources
//   names --> record, host resources
//   announcements, checks --> announcement, check resources
import type { Announcement } from "../model/announcement.ts";
import type { Domain, Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { NamedService } from "../model/named-service.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { Policy } from "../model/policy.ts";
import type { VirtualService } from "../model/service.ts";
import { EncodedDelta, EncodedResource } from "../southbound/encoded.ts";
import type { DomainResource, NodeResource } from "../southbound/resources.ts";
import { Groups } from "./groups.ts";
import { Identities } from "./identities.ts";
import { Inputs } from "./inputs.ts";
import { NamedHosts } from "./named-hosts.ts";
import { compileChanges } from "./policies.ts";
import { type RuleCost, type SpanReason, costOf, explainSpan } from "./policy-cost.ts";
import { Names } from "./names.ts";
import { NodeAddresses } from "./node-addresses.ts";
import { Postures } from "./postures.ts";
import { Relevance } from "./relevance.ts";
import { Rules } from "./rules.ts";
import { Services } from "./services.ts";
import { SharedResources } from "./shared-resources.ts";
import { Spans } from "./spans.ts";
import { type PolicyReach, Subjects } from "./subjects.ts";
import { Work } from "./work.ts";

function domainResource({ name, ...rest }: Domain): DomainResource {
  return { kind: "domain", id: name, ...rest };
}

function nodeResource({ name, addresses, zone }: Node): NodeResource {
  const place = zone === undefined ? {} : { zone };
  return { kind: "node", id: name, addresses, ...place };
}

/** What changed since the last flush. */
export class ComputeDelta {
  /** Domains and nodes, for every node. */
  readonly underlay: EncodedDelta;
  /** Endpoints, for every node. */
  readonly endpoints: EncodedDelta;
  /** Services, their backends, their names, and what nodes do for them, for every node. */
  readonly services: EncodedDelta;
  /** Groups, rules and postures by node; nodes to which nothing of this is to be told are not in it. */
  readonly byNode: ReadonlyMap<string, EncodedDelta>;
  /** Policies that changed, or that are to be in force on other nodes than before; perhaps some that are not. */
  readonly reach: PolicyReach;

  constructor(
    parts: Pick<ComputeDelta, "underlay" | "endpoints" | "services" | "byNode" | "reach">,
  ) {
    this.underlay = parts.underlay;
    this.endpoints = parts.endpoints;
    this.services = parts.services;
    this.byNode = parts.byNode;
    this.reach = parts.reach;
  }

  /** All that the node is to be told, in the order of `resourceKinds`. */
  of(node: string): EncodedDelta {
    const own = this.byNode.get(node) ?? EncodedDelta.empty;
    return EncodedDelta.join([this.underlay, own, this.endpoints, this.services]);
  }
}

/**
 * Inputs are set by key, in any order and as often as one likes; `flush` computes. What comes out depends on the inputs
 * as they are then and not on how they came about. Values must not be changed after they were set.
 */
export class Compute {
  readonly work: Readonly<Work> = new Work();
  readonly #inputs = new Inputs();
  readonly #domains = new SharedResources();
  readonly #nodes = new SharedResources();
  readonly #relevance = new Relevance();
  readonly #identities = new Identities(this.#inputs, this.#relevance, this.work);
  readonly #groups = new Groups(this.work);
  readonly #hosts = new NamedHosts(this.#identities);
  readonly #nodeAddresses = new NodeAddresses(this.#groups);
  readonly #rules = new Rules(this.#groups, this.#hosts, this.work);
  readonly #postures = new Postures(this.#groups, this.work);
  readonly #subjects = new Subjects(this.#groups);
  readonly #spans = new Spans(this.#identities, this.work);
  readonly #services = new Services();
  readonly #names = new Names();
  readonly #announcements = new SharedResources();
  readonly #checks = new SharedResources();

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

  setService(id: string, service: VirtualService | undefined): void {
    this.#inputs.services.set(id, service);
  }

  setNames(id: string, names: NamedService | undefined): void {
    this.#inputs.names.set(id, names);
  }

  setAnnouncement(id: string, announcement: Announcement | undefined): void {
    this.#inputs.announcements.set(id, announcement);
  }

  setCheck(id: string, check: HealthCheck | undefined): void {
    this.#inputs.checks.set(id, check);
  }

  /** Computes what the inputs set since the last flush change. Cost grows with these, not with what there is. */
  flush(): ComputeDelta {
    const underlay = this.#flushUnderlay();
    const zones = this.#inputs.zones.changes;
    const endpoints = this.#inputs.endpoints.changes;
    const policies = compileChanges(this.#inputs.policies.changes);

    const relevance = this.#relevance.update(policies);
    const identities = this.#identities.update(endpoints, zones, relevance);
    const groups = this.#groups.update(policies, zones, identities);
    const hosts = this.#hosts.update(policies, identities);
    const nodeGroups = this.#nodeAddresses.update(policies, this.#inputs.nodes.changes);
    const rules = this.#rules.update(policies, groups, hosts);
    const postures = this.#postures.update(policies, identities, groups);
    const byNode = this.#spans.update({ rules, groups, hosts, nodeGroups, identities, postures });
    const reach = this.#subjects.update(policies, groups, identities);
    const services = this.#flushServices();
    this.#inputs.settle();
    return new ComputeDelta({
      underlay,
      endpoints: this.#identities.takeDelta(),
      services,
      byNode,
      reach,
    });
  }

  /** Everything that a node must hold, as of the last flush: for an agent that connects. */
  stateOf(node: string): EncodedDelta {
    return EncodedDelta.join([
      EncodedDelta.join([this.#domains.all, this.#nodes.all]),
      this.#spans.stateOf(node),
      this.#identities.all,
      this.#services.all,
      this.#names.all,
      this.#announcements.all,
      this.#checks.all,
    ]);
  }

  /** The nodes on which the policy is to be in force, as of the last flush: those that have a subject of it. */
  nodesOf(policy: string): ReadonlySet<string> {
    return this.#subjects.nodesOf(policy);
  }

  /** What each of the policy's rules costs, as of the last flush; empty for a policy that enforces nothing. */
  costOf(policy: string): readonly RuleCost[] {
    return this.#rules
      .of(policy)
      .map(costOf)
      .filter((cost) => cost !== undefined);
  }

  /** Why the node has rules of the policy, as of the last flush; empty where it has none. */
  explainSpan(policy: string, node: string): readonly SpanReason[] {
    const reasons = this.#rules.of(policy).map((rule) => explainSpan(rule, node));
    return reasons.filter(({ identities }) => identities.length > 0);
  }

  /** Endpoints that take part, and the identities that they have, as of the last flush. */
  get counts(): { readonly endpoints: number; readonly identities: number } {
    return this.#identities.counts;
  }

  /** Entries in every index of the graph; 0 once every input is removed. */
  get size(): number {
    const indexes = [
      this.#inputs,
      this.#domains,
      this.#nodes,
      this.#relevance,
      this.#identities,
      this.#groups,
      this.#hosts,
      this.#nodeAddresses,
      this.#rules,
      this.#subjects,
      this.#services,
      this.#names,
      this.#announcements,
      this.#checks,
    ];
    return indexes.reduce((sum, index) => sum + index.size, 0);
  }

  #flushServices(): EncodedDelta {
    const services = this.#services.update(this.#inputs.services.changes);
    for (const { id, after } of this.#inputs.announcements.changes) {
      const resource = after && { kind: "announcement" as const, id, ...after };
      const encoded = resource && new EncodedResource(resource);
      this.#announcements.replace(this.#announcements.get(id), encoded);
    }
    for (const { id, after } of this.#inputs.checks.changes) {
      const encoded = after && new EncodedResource({ kind: "check", ...after });
      this.#checks.replace(this.#checks.get(id), encoded);
    }
    return EncodedDelta.join([
      services,
      this.#names.update(this.#inputs.names.changes),
      this.#announcements.takeDelta(),
      this.#checks.takeDelta(),
    ]);
  }

  #flushUnderlay(): EncodedDelta {
    for (const { id, after } of this.#inputs.domains.changes) {
      const resource = after && domainResource(after);
      this.#domains.replace(this.#domains.get(id), resource && new EncodedResource(resource));
    }
    for (const { id, after } of this.#inputs.nodes.changes) {
      const resource = after && new EncodedResource(nodeResource(after));
      this.#nodes.replace(this.#nodes.get(id), resource);
    }
    return EncodedDelta.join([this.#domains.takeDelta(), this.#nodes.takeDelta()]);
  }
}
