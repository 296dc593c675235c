import type { Domain, Endpoint, Node, Zone } from "../model/endpoint.ts";
import type { Policy, Tier } from "../model/policy.ts";
import { matchesEndpoint } from "../model/selector.ts";
import {
  type Address,
  type Family,
  type Prefix,
  formatAddress,
  tryParseAddress,
  tryParsePrefix,
} from "../net/address.ts";
import { type CompiledPolicy, type KnownEndpoint, RuleCompiler } from "./compiled-rule.ts";

/** Ids and names are unique within each list; of two alike the last counts. */
export interface PolicyModelObjects {
  readonly zones: readonly Zone[];
  readonly endpoints: readonly Endpoint[];
  readonly policies: readonly Policy[];
  readonly nodes: readonly Node[];
  readonly domains: readonly Domain[];
  /** What endpoints have looked up; none where it is not known. */
  readonly lookups?: readonly Lookup[];
}

/** An endpoint may take the address for one of the name's. */
export interface Lookup {
  readonly endpoint: string;
  /** In canonical form (`model/domain-name.ts`). */
  readonly name: string;
  /** In text form. */
  readonly address: string;
}

/** The policies that select one endpoint, in the order in which they are tried. */
export type SubjectPolicies = Readonly<Record<Tier, readonly CompiledPolicy[]>>;

/** One domain's address plan. */
export interface AddressPlan {
  readonly pools: readonly Prefix[];
  /** By address as one number and family; `undefined` for an address that two endpoints claim. */
  readonly owners: Readonly<Record<Family, ReadonlyMap<bigint, KnownEndpoint | undefined>>>;
}

export interface KnownNode {
  readonly name: string;
  /** The first of each family, which the node uses as a source. */
  readonly addresses: ReadonlyMap<Family, Address>;
}

/** The first address of each family; text that is no address is no address. */
function addressesByFamily(texts: readonly string[]): ReadonlyMap<Family, Address> {
  const addresses = new Map<Family, Address>();
  for (const text of texts) {
    const address = tryParseAddress(text);
    if (address !== undefined && !addresses.has(address.family)) {
      addresses.set(address.family, address);
    }
  }
  return addresses;
}

const noLookups: ReadonlyMap<string, readonly string[]> = new Map();

/** By endpoint, the names of each address, which is in canonical text. */
function namesByAddress(lookups: readonly Lookup[]) {
  const byEndpoint = new Map<string, Map<string, string[]>>();
  for (const { endpoint, name, address: text } of lookups) {
    const address = tryParseAddress(text);
    if (address === undefined) continue;
    const byAddress = byEndpoint.get(endpoint) ?? new Map<string, string[]>();
    byEndpoint.set(endpoint, byAddress);
    const key = formatAddress(address);
    byAddress.set(key, [...(byAddress.get(key) ?? []), name]);
  }
  return byEndpoint;
}

/** Lower priority first; policies of equal priority by id, compared by code units. */
function inOrderOfTrial(a: CompiledPolicy, b: CompiledPolicy): number {
  if (a.policy.priority !== b.policy.priority) return a.policy.priority - b.policy.priority;
  return a.policy.id < b.policy.id ? -1 : 1;
}

/**
 * An immutable snapshot with its indexes. Building costs one pass over the objects; which policies select an endpoint
 * is found when it is first asked and then remembered. The objects must not change afterwards.
 */
export class PolicyModel {
  readonly #endpoints: ReadonlyMap<string, KnownEndpoint>;
  readonly #plans: ReadonlyMap<string, AddressPlan>;
  /** As they were given, for rules that name nodes. */
  readonly nodes: readonly Node[];
  readonly #nodes: ReadonlyMap<string, KnownNode>;
  /** `undefined` for an address that several nodes claim. */
  readonly #nodesByAddress = new Map<string, KnownNode | undefined>();
  /** Policies whose subject names its zone, by that zone. */
  readonly #policiesByZone = new Map<string, CompiledPolicy[]>();
  readonly #policiesOfAnyZone: CompiledPolicy[] = [];
  readonly #subjects = new Map<KnownEndpoint, SubjectPolicies>();

  constructor(objects: PolicyModelObjects) {
    const zones = new Map(objects.zones.map((zone) => [zone.name, zone]));
    const lookups = namesByAddress(objects.lookups ?? []);
    const endpoints = [...new Map(objects.endpoints.map((each) => [each.id, each])).values()];
    this.#endpoints = new Map(
      endpoints.map((endpoint, index): [string, KnownEndpoint] => [
        endpoint.id,
        {
          index,
          endpoint,
          lookups: lookups.get(endpoint.id) ?? noLookups,
          zone: zones.get(endpoint.zone),
          addresses: addressesByFamily(endpoint.addresses),
        },
      ]),
    );
    this.#plans = this.#planAddresses(objects.domains);
    this.nodes = objects.nodes;
    this.#nodes = new Map(
      objects.nodes.map(({ name, addresses }) => [
        name,
        { name, addresses: addressesByFamily(addresses) },
      ]),
    );
    for (const { name, addresses } of objects.nodes) this.#fileAddresses(name, addresses);
    this.#filePolicies(objects);
  }

  endpoint(id: string): KnownEndpoint | undefined {
    return this.#endpoints.get(id);
  }

  node(name: string): KnownNode | undefined {
    return this.#nodes.get(name);
  }

  /** The node with that underlay address; `undefined` also for one that several nodes claim. */
  nodeWith(address: Address): KnownNode | undefined {
    return this.#nodesByAddress.get(formatAddress(address));
  }

  addressPlan(domain: string): AddressPlan | undefined {
    return this.#plans.get(domain);
  }

  /** The name of the only domain; `undefined` where there are none or several. */
  get onlyDomain(): string | undefined {
    return this.#plans.size === 1 ? this.#plans.keys().next().value : undefined;
  }

  policiesOf(subject: KnownEndpoint): SubjectPolicies {
    const known = this.#subjects.get(subject);
    if (known !== undefined) return known;
    const { zone, endpoint } = subject;
    const candidates = [
      ...(this.#policiesByZone.get(endpoint.zone) ?? []),
      ...this.#policiesOfAnyZone,
    ];
    const selecting = candidates
      .filter(
        ({ policy }) =>
          zone !== undefined && matchesEndpoint(policy.subject, zone, endpoint.labels),
      )
      .toSorted(inOrderOfTrial);
    const of = (tier: Tier) => selecting.filter(({ policy }) => policy.tier === tier);
    const byTier = {
      admin: of("admin"),
      isobar: of("isobar"),
      networkpolicy: of("networkpolicy"),
      baseline: of("baseline"),
    };
    this.#subjects.set(subject, byTier);
    return byTier;
  }

  #fileAddresses(node: string, texts: readonly string[]): void {
    for (const text of texts) {
      const address = tryParseAddress(text);
      if (address === undefined) continue;
      const key = formatAddress(address);
      const known = this.#nodes.get(node);
      const alone = !this.#nodesByAddress.has(key) || this.#nodesByAddress.get(key) === known;
      this.#nodesByAddress.set(key, alone ? known : undefined);
    }
  }

  #planAddresses(domains: readonly Domain[]): Map<string, AddressPlan> {
    const owners = new Map(
      domains.map(({ name }) => [
        name,
        {
          4: new Map<bigint, KnownEndpoint | undefined>(),
          6: new Map<bigint, KnownEndpoint | undefined>(),
        },
      ]),
    );
    for (const known of this.#endpoints.values()) {
      for (const address of known.addresses.values()) {
        const taken = owners.get(known.endpoint.domain)?.[address.family];
        taken?.set(address.bits, taken.has(address.bits) ? undefined : known);
      }
    }
    return new Map(
      domains.map(({ name, pools }) => [
        name,
        {
          pools: pools.map(tryParsePrefix).filter((pool) => pool !== undefined),
          owners: owners.get(name) ?? { 4: new Map(), 6: new Map() },
        },
      ]),
    );
  }

  #filePolicies({ policies, nodes }: PolicyModelObjects): void {
    const compiler = new RuleCompiler(this.#endpoints.size, nodes);
    for (const policy of new Map(policies.map((each) => [each.id, each])).values()) {
      const compiled = compiler.compile(policy);
      const { zones } = policy.subject;
      if (zones.kind === "labels") {
        this.#policiesOfAnyZone.push(compiled);
        continue;
      }
      const filed = this.#policiesByZone.get(zones.name);
      if (filed === undefined) this.#policiesByZone.set(zones.name, [compiled]);
      else filed.push(compiled);
    }
  }
}
