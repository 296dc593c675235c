import { EncodedResource } from "../southbound/encoded.ts";
import type { PortMatch, RuleResource } from "../southbound/resources.ts";
import {
  type CompiledPolicy,
  type CompiledRule,
  type NamedService,
  domainAttribute,
  namedNetworksOf,
  networksOf,
  splitsOf,
} from "./compile.ts";
import { everyEndpoint } from "./definition.ts";
import type { GraphRule, Group } from "./entities.ts";
import type { GroupChanges, Groups } from "./groups.ts";
import { Multimap } from "./multimap.ts";
import { type NamedHostChanges, type NamedHosts, hostListId } from "./named-hosts.ts";
import type { PolicyChange } from "./policies.ts";
import { word } from "./words.ts";
import type { Work } from "./work.ts";

export interface RuleChanges {
  readonly added: readonly GraphRule[];
  /** A rule that became another under the same id and subject is in `added` and here. */
  readonly removed: readonly GraphRule[];
}

/** What varies between the resources of one rule. */
interface Variant {
  readonly suffix: string;
  readonly subject: Group;
  readonly peers: readonly Group[] | "any";
  readonly ports: readonly PortMatch[] | "any";
}

/**
 * Turns policies into rule resources. A rule whose services are named becomes one resource for each number that a
 * destination gives the name; these follow the parts of the groups. It knows nothing of identities or nodes.
 */
export class Rules {
  readonly #groups: Groups;
  readonly #hosts: NamedHosts;
  readonly #work: Work;
  readonly #rules = new Map<string, readonly GraphRule[]>();
  /** Policies with named ports. */
  readonly #named = new Map<string, CompiledPolicy>();
  /** Their ids by the groups and host lists whose parts they name. */
  readonly #splitting = new Multimap<string, string>();

  constructor(groups: Groups, hosts: NamedHosts, work: Work) {
    this.#work = work;
    this.#groups = groups;
    this.#hosts = hosts;
  }

  get size(): number {
    return this.#rules.size + this.#named.size + this.#splitting.size;
  }

  /** The resources of a policy at the moment. */
  of(policy: string): readonly GraphRule[] {
    return this.#rules.get(policy) ?? noRules;
  }

  update(
    policies: readonly PolicyChange[],
    groups: GroupChanges,
    hosts: NamedHostChanges,
  ): RuleChanges {
    const changes = { added: [] as GraphRule[], removed: [] as GraphRule[] };
    for (const { before } of policies) if (before !== undefined) this.#unfile(before);
    for (const { id, before, after } of policies) {
      if (after !== undefined) this.#file(after);
      this.#replace(id, before === undefined ? noRules : this.of(id), after, changes);
    }
    const repartitioned = Array.from(groups.repartitioned, ({ id }) => id);
    for (const id of [...repartitioned, ...hosts.repartitioned]) {
      for (const policy of this.#splitting.get(id)) {
        this.#replace(policy, this.of(policy), this.#named.get(policy), changes);
      }
    }
    return changes;
  }

  #replace(
    id: string,
    before: readonly GraphRule[],
    compiled: CompiledPolicy | undefined,
    { added, removed }: { readonly added: GraphRule[]; readonly removed: GraphRule[] },
  ): void {
    this.#work.expanded++;
    const after = this.#expand(compiled, before);
    if (after.length > 0) this.#rules.set(id, after);
    else if (before.length > 0) this.#rules.delete(id);
    for (const rule of before) if (!after.includes(rule)) removed.push(rule);
    for (const rule of after) if (!before.includes(rule)) added.push(rule);
  }

  #file(compiled: CompiledPolicy): void {
    const { id } = compiled.policy;
    for (const name of partitionsOf(compiled)) {
      this.#splitting.add(name, id);
      this.#named.set(id, compiled);
    }
  }

  #unfile(compiled: CompiledPolicy): void {
    const { id } = compiled.policy;
    this.#named.delete(id);
    for (const name of partitionsOf(compiled)) this.#splitting.delete(name, id);
  }

  /** A rule that is as it was stays the same object. */
  #expand(
    compiled: CompiledPolicy | undefined,
    before: readonly GraphRule[],
  ): readonly GraphRule[] {
    if (compiled === undefined || compiled.rules.length === 0) return noRules;
    const rules: GraphRule[] = [];
    const subject = this.#group(compiled.subject.id);
    const known = new Map(before.map((rule) => [rule.encoded.text, rule]));
    for (const rule of compiled.rules) {
      for (const variant of this.#variants(rule, subject)) {
        const encoded = new EncodedResource(renderRule(compiled, rule, variant));
        const groups = [variant.subject];
        if (variant.peers !== "any") groups.push(...variant.peers);
        rules.push(known.get(encoded.text) ?? { encoded, subject: variant.subject, groups });
      }
    }
    return rules;
  }

  /** What matches nothing for want of peers or ports is left out. */
  *#variants(rule: CompiledRule, subject: Group): Generator<Variant, void, undefined> {
    const peers = this.#peersOf(rule);
    if (peers.length === 0) return;
    if (rule.ports === "any" || rule.ports.length > 0) {
      yield { suffix: "", subject, peers, ports: rule.ports };
    }
    for (const service of rule.named) {
      yield* rule.direction === "ingress"
        ? namedIngress(service, subject, peers)
        : this.#namedEgress(service, subject, rule);
    }
  }

  *#namedEgress(
    { protocol, attribute }: NamedService,
    subject: Group,
    rule: CompiledRule,
  ): Generator<Variant, void, undefined> {
    const definitions = rule.peers === "any" ? [everyEndpoint] : rule.peers.endpoints;
    const byPort = new Multimap<string, Group>();
    for (const { id } of definitions) {
      for (const [port, part] of this.#group(id).partsBy(attribute)) byPort.add(port, part);
    }
    for (const port of byPort.keys()) {
      const suffix = ` :${word(attribute)}=${port}`;
      yield { suffix, subject, peers: [...byPort.get(port)], ports: onlyPort(protocol, port) };
    }
    const networks = networksOf(rule);
    if (networks === undefined) return;
    for (const { domain, port, group } of this.#hosts.of({ networks, attribute })) {
      const part = subject.partsBy(domainAttribute).get(domain);
      if (part === undefined) continue;
      const suffix = ` ${group.id}`;
      yield { suffix, subject: part, peers: [group], ports: onlyPort(protocol, String(port)) };
    }
  }

  #peersOf({ peers }: CompiledRule): readonly Group[] | "any" {
    if (peers === "any") return "any";
    const { endpoints, networks, nodes, names } = peers;
    return [...endpoints, networks, ...nodes, names]
      .filter((definition) => definition !== undefined)
      .map(({ id }) => this.#group(id));
  }

  #group(id: string): Group {
    const group = this.#groups.get(id);
    if (group === undefined) throw new Error(`no group ${id}, though a policy names it`);
    return group;
  }
}

const noRules: readonly GraphRule[] = [];

/** Ids of the groups and host lists whose parts decide which resources the policy becomes. */
function* partitionsOf(compiled: CompiledPolicy): Generator<string, void, undefined> {
  for (const { group } of splitsOf(compiled)) yield group.id;
  for (const list of namedNetworksOf(compiled)) yield hostListId(list);
}

function* namedIngress(
  { protocol, attribute }: NamedService,
  subject: Group,
  peers: readonly Group[] | "any",
): Generator<Variant, void, undefined> {
  for (const [port, part] of subject.partsBy(attribute)) {
    yield { suffix: "", subject: part, peers, ports: onlyPort(protocol, port) };
  }
}

function onlyPort(protocol: PortMatch["protocol"], port: string): readonly PortMatch[] {
  return [{ protocol, from: Number(port), to: Number(port) }];
}

function renderRule(
  { policy }: CompiledPolicy,
  { direction, rule }: CompiledRule,
  { suffix, subject, peers, ports }: Variant,
): RuleResource {
  return {
    kind: "rule",
    // The subject is part of the id: a rule that gets another subject is another rule, on other nodes.
    id: `${word(policy.id)} ${direction} ${rule.index} ${subject.id}${suffix}`,
    direction,
    tier: policy.tier,
    priority: policy.priority,
    action: rule.action,
    subjects: [subject.id],
    peers: peers === "any" ? "any" : peers.map((group) => group.id),
    ports,
    policy: policy.id,
    ruleIndex: rule.index,
  };
}
