// The definition that the graph is measured against: every node's resources, from the objects, by trying everything on
// everything. Only names and the reading of a single policy are taken from the graph.
import {
  type CompiledRule,
  compilePolicy,
  groupsOf,
  namedNetworksOf,
  networksOf,
  portAttribute,
  splitsOf,
} from "../../src/compute/compile.ts";
import { everyEndpoint } from "../../src/compute/definition.ts";
import { identityIdOf } from "../../src/compute/identity.ts";
import { alwaysRelevantKeys } from "../../src/compute/relevance.ts";
import { word } from "../../src/compute/words.ts";

import { type Endpoint, everyNode } from "../../src/model/endpoint.ts";
import type { Direction, EndpointSelector, LabelSelector, Policy } from "../../src/model/policy.ts";
import { matchesEndpoint, matchesSelector, selectorKeys } from "../../src/model/selector.ts";
import {
  formatAddress,
  parseAddress,
  parsePrefix,
  prefixContains,
  widthOf,
} from "../../src/net/address.ts";
import { keyText } from "../../src/southbound/encoded.ts";
import type { Resource, RuleResource } from "../../src/southbound/resources.ts";
import type { NodeState, World } from "./world.ts";

/** An endpoint that takes part, with its identity's id. */
interface Placed {
  readonly endpoint: Endpoint;
  readonly node: string;
  readonly identity: string;
}

export class Reference {
  readonly #world: World;
  readonly #placed: readonly Placed[];

  constructor(world: World) {
    this.#world = world;
    this.#placed = [...world.endpoints.values()].flatMap((endpoint) => {
      const { node, addresses, zone } = endpoint;
      if (node === undefined || addresses.length === 0 || !world.zones.has(zone)) return [];
      return [{ endpoint, node, identity: identityIdOf(endpoint, this) }];
    });
  }

  /** Whether some selector that looks into the zone by name, or into all by labels, uses the key. */
  hasLabel(zone: string, key: string): boolean {
    return (
      alwaysRelevantKeys.has(key) ||
      this.#compiled().some((policy) =>
        [...groupsOf(policy)].some(
          (group) =>
            group.kind === "endpoints" &&
            looksInto(group.selector, zone) &&
            selectorKeys(group.selector.endpoints).includes(key),
        ),
      )
    );
  }

  hasPort(zone: string, attribute: string): boolean {
    return this.#compiled().some(
      (policy) =>
        [...namedNetworksOf(policy)].some((named) => named.attribute === attribute) ||
        [...splitsOf(policy)].some(
          (split) => split.attribute === attribute && looksInto(split.group.selector, zone),
        ),
    );
  }

  stateOf(node: string): NodeState {
    const resources: Resource[] = [...this.#shared()];
    const local = this.#placed.filter((placed) => placed.node === node);
    for (const identity of new Set(local.map((placed) => placed.identity))) {
      const { endpoint } = local.find((placed) => placed.identity === identity) ?? fail();
      resources.push({
        kind: "posture",
        id: identity,
        ingress: this.#isolating(endpoint, "ingress"),
        egress: this.#isolating(endpoint, "egress"),
      });
    }
    for (const { subject, peers, resource } of this.#rules()) {
      if (!subject.members.some((placed) => placed.node === node)) continue;
      resources.push(resource);
      for (const { id, members, networks, domainNames } of [subject, ...peers]) {
        const identities = [...new Set(members.map((placed) => placed.identity))].toSorted();
        const names = domainNames === undefined ? {} : { domainNames };
        resources.push({ kind: "group", id, identities, networks, ...names });
      }
    }
    return new Map(resources.map((resource) => [keyText(resource), resource]));
  }

  *#shared(): Generator<Resource, void, undefined> {
    for (const [id, { vni, pools }] of this.#world.domains)
      yield { kind: "domain", id, vni, pools };
    for (const [id, { addresses }] of this.#world.nodes) yield { kind: "node", id, addresses };
    for (const { endpoint, node, identity } of this.#placed) {
      const { id, domain, addresses, mac, uids } = endpoint;
      const attached = uids === undefined ? {} : { uids };
      yield { kind: "endpoint", id, domain, node, addresses, mac, ...attached, identity };
    }
    for (const [id, { backends, ...service }] of this.#world.services) {
      yield { kind: "service", ...service };
      for (const { address, port, node: place = "", ready } of backends) {
        const backend = `${id} ${address} ${port}`;
        yield { kind: "backend", id: backend, service: id, address, port, node: place, ready };
      }
    }
    for (const [record, { hosts, ...rest }] of this.#world.names) {
      yield { kind: "record", ...rest };
      for (const host of hosts) {
        yield { kind: "host", id: `${record} ${host.address}`, record, ...host };
      }
    }
  }

  #compiled() {
    return [...this.#world.policies.values()].map(compilePolicy);
  }

  #members(selector: EndpointSelector): readonly Placed[] {
    return this.#placed.filter(({ endpoint }) => {
      const zone = this.#world.zones.get(endpoint.zone);
      return zone !== undefined && matchesEndpoint(selector, zone, endpoint.labels);
    });
  }

  /** The nodes that have a subject of the policy. */
  nodesOf(policy: string): ReadonlySet<string> {
    const subject = this.#world.policies.get(policy)?.subject;
    const subjects = subject === undefined ? [] : this.#members(subject);
    return new Set(subjects.map(({ node }) => node).filter((node) => node !== everyNode));
  }

  #isolating(endpoint: Endpoint, direction: Direction): readonly string[] {
    const zone = this.#world.zones.get(endpoint.zone) ?? fail();
    return [...this.#world.policies.values()]
      .filter(
        ({ tier, isolates, subject }) =>
          tier === "networkpolicy" &&
          isolates.includes(direction) &&
          matchesEndpoint(subject, zone, endpoint.labels),
      )
      .map(({ id }) => id)
      .toSorted();
  }

  *#rules() {
    for (const compiled of this.#compiled()) {
      const subject = this.#group(compiled.subject.id, compiled.subject.selector);
      for (const rule of compiled.rules) {
        const peers = this.#peers(rule);
        if (peers.length === 0 && rule.peers !== "any") continue;
        if (rule.ports === "any" || rule.ports.length > 0) {
          yield ruleOf(compiled.policy, rule, { subject, peers, ports: rule.ports, suffix: "" });
        }
        yield* this.#named(compiled.policy, rule, subject);
      }
    }
  }

  *#named(policy: Policy, rule: CompiledRule, subject: GroupNow) {
    for (const { protocol, attribute } of rule.named) {
      for (const port of this.#numbers(attribute)) {
        const text = ` :${word(attribute)}=${port}`;
        const ports = [{ protocol, from: port, to: port }];
        const part = (group: GroupNow): GroupNow => ({
          ...group,
          id: group.id + text,
          members: group.members.filter(({ endpoint }) =>
            portsOf(endpoint, attribute).includes(port),
          ),
        });
        if (rule.direction === "ingress") {
          const peers = this.#peers(rule);
          yield ruleOf(policy, rule, { subject: part(subject), peers, ports, suffix: "" });
          continue;
        }
        const everyone = this.#group(everyEndpoint.id, everyEndpoint.selector);
        const destinations = rule.peers === "any" ? [everyone] : this.#peers(rule);
        const peers = destinations.map(part).filter(({ members }) => members.length > 0);
        const named = { ...rule, peers: "some" as const };
        if (peers.length > 0) yield ruleOf(policy, named, { subject, peers, ports, suffix: text });
        const networks = networksOf(rule);
        for (const domain of networks === undefined
          ? []
          : new Set(this.#placed.map(({ endpoint }) => endpoint.domain))) {
          const inDomain = subject.members.filter(({ endpoint }) => endpoint.domain === domain);
          const hosts = this.#hosts(domain, networks?.networks ?? [], { attribute, port });
          if (inDomain.length === 0 || hosts.length === 0) continue;
          const id = `${networks?.id}${text} :domain=${domain}`;
          yield ruleOf(policy, named, {
            subject: { ...subject, id: `${subject.id} :domain=${domain}`, members: inDomain },
            peers: [{ id, members: [], networks: hosts }],
            ports,
            suffix: ` ${id}`,
          });
        }
      }
    }
  }

  #numbers(attribute: string): ReadonlySet<number> {
    return new Set(this.#placed.flatMap(({ endpoint }) => portsOf(endpoint, attribute)));
  }

  #hosts(
    domain: string,
    networks: GroupNow["networks"],
    { attribute, port }: { attribute: string; port: number },
  ): GroupNow["networks"] {
    const texts = this.#placed
      .filter(({ endpoint }) => endpoint.domain === domain)
      .filter(({ endpoint }) => portsOf(endpoint, attribute).includes(port))
      .flatMap(({ endpoint }) => endpoint.addresses)
      .map(parseAddress)
      .filter((address) =>
        networks.some(
          ({ cidr, except }) =>
            prefixContains(parsePrefix(cidr), address) &&
            !except.some((hole) => prefixContains(parsePrefix(hole), address)),
        ),
      )
      .map((address) => `${formatAddress(address)}/${widthOf(address.family)}`);
    return texts.toSorted().map((cidr) => ({ cidr, except: [] }));
  }

  #group(id: string, selector: EndpointSelector): GroupNow {
    return { id, members: this.#members(selector), networks: [] };
  }

  #peers({ peers }: CompiledRule): readonly GroupNow[] {
    if (peers === "any") return [];
    const groups = peers.endpoints.map(({ id, selector }) => this.#group(id, selector));
    const networks = peers.networks === undefined ? [] : [peers.networks];
    return [
      ...groups,
      ...networks.map((each) => ({ id: each.id, members: [], networks: each.networks })),
      ...peers.nodes.map(({ id, selector }) => ({
        id,
        members: [],
        networks: this.#nodeHosts(selector),
      })),
      ...(peers.names === undefined
        ? []
        : [{ id: peers.names.id, members: [], networks: [], domainNames: peers.names.names }]),
    ];
  }

  #nodeHosts(selector: LabelSelector): GroupNow["networks"] {
    const hosts = [...this.#world.nodes.values()]
      .filter(({ labels }) => matchesSelector(selector, labels))
      .flatMap(({ knownAddresses }) => knownAddresses.map(parseAddress))
      .map((address) => `${formatAddress(address)}/${widthOf(address.family)}`);
    return [...new Set(hosts)].toSorted().map((cidr) => ({ cidr, except: [] }));
  }
}

/** A group with its members. */
interface GroupNow {
  readonly id: string;
  readonly members: readonly Placed[];
  readonly networks: Extract<Resource, { kind: "group" }>["networks"];
  readonly domainNames?: readonly string[];
}

interface RuleHead extends Pick<CompiledRule, "direction" | "rule"> {
  readonly peers: unknown;
}

function ruleOf(
  policy: Policy,
  { direction, rule, peers: declared }: RuleHead,
  {
    subject,
    peers,
    ports,
    suffix,
  }: {
    readonly subject: GroupNow;
    readonly peers: readonly GroupNow[];
    readonly ports: RuleResource["ports"];
    readonly suffix: string;
  },
) {
  const resource: RuleResource = {
    kind: "rule",
    id: `${word(policy.id)} ${direction} ${rule.index} ${subject.id}${suffix}`,
    direction,
    tier: policy.tier,
    priority: policy.priority,
    action: rule.action,
    subjects: [subject.id],
    peers: declared === "any" ? "any" : peers.map(({ id }) => id),
    ports,
    policy: policy.id,
    ruleIndex: rule.index,
  };
  return { subject, peers, resource };
}

function looksInto({ zones }: EndpointSelector, zone: string): boolean {
  return zones.kind === "labels" || zones.name === zone;
}

function portsOf(endpoint: Endpoint, attribute: string): readonly number[] {
  return endpoint.namedPorts
    .filter(({ protocol, name }) => portAttribute(protocol, name) === attribute)
    .map(({ port }) => port);
}

function fail(): never {
  throw new Error("the reference contradicts itself");
}
