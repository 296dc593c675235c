import type { Labels, Zone } from "../model/endpoint.ts";
import type { LabelSelector } from "../model/policy.ts";
import { matchesSelector } from "../model/selector.ts";
import { type SplitDefinition, domainAttribute, groupsOf, splitsOf } from "./compile.ts";
import type { GroupDefinition } from "./definition.ts";
import { Group, type Identity } from "./entities.ts";
import type { IdentityChanges } from "./identities.ts";
import type { InputEntry } from "./inputs.ts";
import { Multimap } from "./multimap.ts";
import type { PolicyChange } from "./policies.ts";
import { Scopes, type SelectorGroup, selectsEndpoints } from "./scopes.ts";
import { pairAnchorsOf, pairsOf } from "./token-index.ts";
import { word } from "./words.ts";
import type { Work } from "./work.ts";

/** An identity that joined or left a group. */
export interface MembershipChange {
  readonly group: Group;
  readonly identity: Identity;
}

export interface GroupChanges {
  /** Without identities that appeared: they were in no group before. */
  readonly joined: readonly MembershipChange[];
  readonly left: readonly MembershipChange[];
  /** Groups with other members than the nodes know that have them. */
  readonly changed: ReadonlySet<Group>;
  /** Groups with other parts than before. */
  readonly repartitioned: ReadonlySet<Group>;
}

/**
 * Holds every group that a policy names, once, with its members. Takes policies, zones and identities; gives who joined
 * and left which group. Each distinct selector is tried on each distinct identity at most once, and only where they
 * share a token. It knows nothing of rules or nodes.
 */
export class Groups {
  readonly #groups = new Map<string, Group>();
  readonly #work: Work;
  readonly #scopes: Scopes;
  readonly #identitiesByZone = new Multimap<string, Identity>();
  readonly #identitiesByPair = new Multimap<string, Identity>();
  #joined: MembershipChange[] = [];
  #left: MembershipChange[] = [];
  #changed = new Set<Group>();
  #repartitioned = new Set<Group>();

  constructor(work: Work) {
    this.#work = work;
    this.#scopes = new Scopes(work);
  }

  get size(): number {
    return (
      this.#groups.size +
      this.#scopes.size +
      this.#identitiesByZone.size +
      this.#identitiesByPair.size
    );
  }

  /** The group of a definition that some policy names. */
  get(id: string): Group | undefined {
    return this.#groups.get(id);
  }

  /**
   * Groups that stay in use keep their members: policies as they are now are counted before those of before. Who vanished
   * leaves first and who appeared joins last, so each meets only groups and zones as they are now.
   */
  update(
    policies: readonly PolicyChange[],
    zones: readonly InputEntry<Zone>[],
    identities: IdentityChanges,
  ): GroupChanges {
    for (const identity of identities.vanished) this.#forget(identity);
    for (const { id, after } of zones) this.#rescope(id, after?.labels);
    for (const { after } of policies) {
      if (after === undefined) continue;
      for (const definition of groupsOf(after)) this.#use(definition);
      for (const split of splitsOf(after)) this.#useSplit(split);
    }
    for (const { before } of policies) {
      if (before === undefined) continue;
      // Before the groups, which must still be there.
      for (const split of splitsOf(before)) this.#dropSplit(split);
      for (const definition of groupsOf(before)) this.#drop(definition);
    }
    for (const identity of identities.appeared) this.#learn(identity);
    return this.#takeChanges();
  }

  #learn(identity: Identity): void {
    const { zone, labels } = identity.definition;
    this.#identitiesByZone.add(zone, identity);
    for (const pair of pairsOf(labels)) this.#identitiesByPair.add(pair, identity);
    for (const group of this.#scopes.selecting(identity)) this.#join(group, identity, undefined);
  }

  #forget(identity: Identity): void {
    const { zone, labels } = identity.definition;
    for (const group of Array.from(identity.groups)) this.#leave(group, identity);
    this.#identitiesByZone.delete(zone, identity);
    for (const pair of pairsOf(labels)) this.#identitiesByPair.delete(pair, identity);
  }

  #rescope(zone: string, labels: Labels | undefined): void {
    for (const { scope, selected } of this.#scopes.setZone(zone, labels)) {
      for (const identity of this.#identitiesByZone.get(zone)) {
        for (const group of this.#scopes.selectingInScope(scope, identity)) {
          if (selected) this.#join(group, identity, this.#joined);
          else this.#leave(group, identity);
        }
      }
    }
  }

  #use(definition: GroupDefinition): void {
    let group = this.#groups.get(definition.id);
    if (group === undefined) {
      group = new Group(definition.id, definition);
      this.#groups.set(group.id, group);
      if (selectsEndpoints(group)) this.#fill(group);
    }
    group.users++;
  }

  #fill(group: SelectorGroup): void {
    this.#scopes.add(group);
    if (this.#identitiesByZone.size === 0) return;
    const zones = this.#scopes.zonesOf(group);
    const { endpoints } = group.definition.selector;
    for (const identity of this.#candidates(endpoints, zones)) {
      this.#work.tried++;
      const { zone, labels } = identity.definition;
      if (zones.has(zone) && matchesSelector(endpoints, labels)) {
        this.#join(group, identity, this.#joined);
      }
    }
  }

  /** Identities among which are all that the selector matches in the zones: the shorter of two lists. */
  *#candidates(
    selector: LabelSelector,
    zones: ReadonlySet<string>,
  ): Generator<Identity, void, undefined> {
    const pairs = pairAnchorsOf(selector);
    if (pairs !== undefined) {
      const length = pairs.reduce((sum, pair) => sum + this.#identitiesByPair.count(pair), 0);
      let lengthInZones = zones.size;
      for (const zone of zones) {
        // Counting must itself stay cheaper than the other list.
        if (lengthInZones > length) break;
        lengthInZones += this.#identitiesByZone.count(zone);
      }
      if (lengthInZones > length) {
        for (const pair of pairs) yield* this.#identitiesByPair.get(pair);
        return;
      }
    }
    for (const zone of zones) yield* this.#identitiesByZone.get(zone);
  }

  #drop(definition: GroupDefinition): void {
    const group = this.#groups.get(definition.id);
    if (group === undefined) return;
    group.users--;
    if (group.users > 0) return;
    this.#groups.delete(group.id);
    if (selectsEndpoints(group)) this.#scopes.delete(group);
    for (const identity of Array.from(group.identities)) this.#leave(group, identity);
  }

  #useSplit({ group: { id }, attribute }: SplitDefinition): void {
    const group = this.#groups.get(id);
    if (group === undefined) return;
    group.splits ??= new Map();
    const split = group.splits.get(attribute);
    if (split !== undefined) {
      split.users++;
      return;
    }
    group.splits.set(attribute, { users: 1, parts: new Map() });
    for (const identity of group.identities) {
      this.#joinParts({ group, identity }, attribute, this.#joined);
    }
  }

  #dropSplit({ group: { id }, attribute }: SplitDefinition): void {
    const group = this.#groups.get(id);
    const split = group?.splits?.get(attribute);
    if (split === undefined) return;
    split.users--;
    if (split.users > 0) return;
    for (const part of split.parts.values()) {
      for (const identity of Array.from(part.identities)) this.#leave(part, identity);
    }
    group?.splits?.delete(attribute);
  }

  /** `joined` is where it is written down, if anywhere. */
  #join(group: Group, identity: Identity, joined: MembershipChange[] | undefined): void {
    group.identities.add(identity);
    group.forgetEncoded();
    identity.groups.add(group);
    if (group.nodes.size > 0) this.#changed.add(group);
    joined?.push({ group, identity });
    this.#work.moved++;
    if (group.splits === undefined) return;
    for (const attribute of group.splits.keys()) {
      this.#joinParts({ group, identity }, attribute, joined);
    }
  }

  #joinParts(
    { group, identity }: MembershipChange,
    attribute: string,
    joined: MembershipChange[] | undefined,
  ): void {
    const parts = group.splits?.get(attribute)?.parts;
    if (parts === undefined) return;
    for (const value of valuesOf(identity, attribute)) {
      let part = parts.get(value);
      if (part === undefined) {
        part = new Group(`${group.id} :${word(attribute)}=${word(value)}`);
        parts.set(value, part);
        this.#repartitioned.add(group);
      }
      this.#join(part, identity, joined);
    }
  }

  #leave(group: Group, identity: Identity): void {
    group.identities.delete(identity);
    group.forgetEncoded();
    identity.groups.delete(group);
    if (group.nodes.size > 0) this.#changed.add(group);
    this.#left.push({ group, identity });
    this.#work.moved++;
    if (group.splits === undefined) return;
    for (const [attribute, { parts }] of group.splits) {
      for (const value of valuesOf(identity, attribute)) {
        const part = parts.get(value);
        if (part === undefined) continue;
        this.#leave(part, identity);
        if (part.identities.size === 0) this.#repartitioned.add(group);
      }
    }
  }

  #takeChanges(): GroupChanges {
    // Only now, so that a part that empties and fills again stays the same part.
    for (const { splits } of this.#repartitioned) {
      for (const { parts } of splits?.values() ?? []) {
        for (const [value, part] of parts) if (part.identities.size === 0) parts.delete(value);
      }
    }
    const changes = {
      joined: this.#joined,
      left: this.#left,
      changed: this.#changed,
      repartitioned: this.#repartitioned,
    };
    this.#joined = [];
    this.#left = [];
    this.#changed = new Set();
    this.#repartitioned = new Set();
    return changes;
  }
}

function valuesOf({ definition }: Identity, attribute: string): readonly string[] {
  if (attribute === domainAttribute) return [definition.domain];
  return definition.ports
    .filter((named) => named.attribute === attribute)
    .map(({ port }) => String(port));
}
