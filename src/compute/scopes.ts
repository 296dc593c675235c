// Where groups are filed, so that an identity finds the groups that select it: by the zones that a group is about, which
// are its scope, and by a token of its label selector.
import type { Labels } from "../model/endpoint.ts";
import type { LabelSelector } from "../model/policy.ts";
import { matchesSelector } from "../model/selector.ts";
import type { EndpointsDefinition } from "./definition.ts";
import type { Group, Identity } from "./entities.ts";
import { Multimap } from "./multimap.ts";
import { anchorsOf, tokensOf } from "./token-index.ts";
import { word } from "./words.ts";
import type { Work } from "./work.ts";

/** A group of identities, not a part of one and not one of networks. */
export interface SelectorGroup extends Group {
  readonly definition: EndpointsDefinition;
}

export function selectsEndpoints(group: Group): group is SelectorGroup {
  return group.definition?.kind === "endpoints";
}

/** The zones that a label selector selects. Exists while some group is filed under it. */
interface LabelScope {
  readonly text: string;
  readonly selector: LabelSelector;
  readonly zones: Set<string>;
  groups: number;
}

/** A zone that came under a scope or is no longer under it. */
export interface ScopeChange {
  readonly scope: string;
  readonly selected: boolean;
}

export class Scopes {
  readonly #work: Work;
  readonly #zones = new Map<string, Labels>();
  readonly #groups = new Multimap<string, SelectorGroup>();
  readonly #labelScopes = new Map<string, LabelScope>();
  readonly #labelScopesByZone = new Multimap<string, LabelScope>();

  constructor(work: Work) {
    this.#work = work;
  }

  get size(): number {
    return (
      this.#zones.size + this.#groups.size + this.#labelScopes.size + this.#labelScopesByZone.size
    );
  }

  add(group: SelectorGroup): void {
    const { scope, selector } = group.definition;
    const { zones, endpoints } = selector;
    for (const token of anchorsOf(endpoints)) this.#groups.add(fileName(scope, token), group);
    if (zones.kind === "labels") this.#labelScope(scope, zones.selector).groups++;
  }

  delete(group: SelectorGroup): void {
    const { scope: text, selector } = group.definition;
    for (const token of anchorsOf(selector.endpoints)) {
      this.#groups.delete(fileName(text, token), group);
    }
    const scope = this.#labelScopes.get(text);
    if (scope === undefined) return;
    scope.groups--;
    if (scope.groups > 0) return;
    this.#labelScopes.delete(text);
    for (const zone of scope.zones) this.#labelScopesByZone.delete(zone, scope);
  }

  /** The zones that a filed group is about; by name also one that does not exist. */
  zonesOf({ definition: { scope, selector } }: SelectorGroup): ReadonlySet<string> {
    if (selector.zones.kind === "name") return new Set([selector.zones.name]);
    return this.#labelScopes.get(scope)?.zones ?? new Set();
  }

  /** Every group that selects the identity. */
  *selecting(identity: Identity): Generator<Group, void, undefined> {
    const { zone, labels } = identity.definition;
    const tokens = tokensOf(labels);
    yield* this.#inScope(word(zone), identity, tokens);
    for (const { text } of this.#labelScopesByZone.get(zone)) {
      yield* this.#inScope(text, identity, tokens);
    }
  }

  /** Groups of the scope that select the identity, if its zone is in the scope. */
  selectingInScope(scope: string, identity: Identity): Iterable<Group> {
    return this.#inScope(scope, identity, tokensOf(identity.definition.labels));
  }

  /** `undefined` where the zone does not exist any more. Tells under which scopes it came and is no longer. */
  setZone(zone: string, labels: Labels | undefined): readonly ScopeChange[] {
    if (labels === undefined) this.#zones.delete(zone);
    else this.#zones.set(zone, labels);
    const changes: ScopeChange[] = [];
    for (const scope of this.#labelScopes.values()) {
      const selected = labels !== undefined && matchesSelector(scope.selector, labels);
      if (selected === scope.zones.has(zone)) continue;
      this.#select(scope, zone, selected);
      changes.push({ scope: scope.text, selected });
    }
    return changes;
  }

  *#inScope(
    scope: string,
    identity: Identity,
    tokens: readonly string[],
  ): Generator<Group, void, undefined> {
    for (const token of tokens) {
      for (const group of this.#groups.get(fileName(scope, token))) {
        this.#work.tried++;
        if (matchesSelector(group.definition.selector.endpoints, identity.definition.labels))
          yield group;
      }
    }
  }

  #labelScope(text: string, selector: LabelSelector): LabelScope {
    let scope = this.#labelScopes.get(text);
    if (scope === undefined) {
      scope = { text, selector, zones: new Set(), groups: 0 };
      this.#labelScopes.set(text, scope);
      for (const [zone, labels] of this.#zones) {
        if (matchesSelector(selector, labels)) this.#select(scope, zone, true);
      }
    }
    return scope;
  }

  #select(scope: LabelScope, zone: string, selected: boolean): void {
    if (selected) {
      scope.zones.add(zone);
      this.#labelScopesByZone.add(zone, scope);
    } else {
      scope.zones.delete(zone);
      this.#labelScopesByZone.delete(zone, scope);
    }
  }
}

/** Two files with one name would only mean that more groups are tried. */
function fileName(scope: string, token: string): string {
  return `${scope}\n${token}`;
}
