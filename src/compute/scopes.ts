// Which zones a selector is about. Groups are filed by the zones they select, so that a zone knows its groups.
import type { Labels } from "../model/endpoint.ts";
import type { EndpointSelector, ZoneSelector } from "../model/policy.ts";
import { matchesSelector } from "../model/selector.ts";
import { selectorText } from "./definition.ts";
import type { Group, Identity } from "./membership.ts";
import { Multimap } from "./multimap.ts";
import { anchorsOf } from "./token-index.ts";

/** A group of identities, not a part of one and not one of networks. */
export interface SelectorGroup extends Group {
  readonly selector: EndpointSelector;
}

/** Zones that equal zone selectors select, and the groups that are defined over them. */
export class Scope {
  readonly selector: ZoneSelector;
  /** By name: the zone, whether it exists or not. By labels: the zones that exist and match. */
  readonly zones = new Set<string>();
  readonly #groups = new Multimap<string, SelectorGroup>();

  constructor(selector: ZoneSelector) {
    this.selector = selector;
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  add(group: SelectorGroup): void {
    for (const token of anchorsOf(group.selector.endpoints)) this.#groups.add(token, group);
  }

  delete(group: SelectorGroup): void {
    for (const token of anchorsOf(group.selector.endpoints)) this.#groups.delete(token, group);
  }

  /** Groups that select an identity of one of the zones. `tokens` are those of its labels. */
  *selecting(identity: Identity, tokens: readonly string[]): Generator<Group, void, undefined> {
    for (const token of tokens) {
      for (const group of this.#groups.get(token)) {
        if (matchesSelector(group.selector.endpoints, identity.definition.labels)) yield group;
      }
    }
  }
}

/** A zone that came under a scope or is no longer under it. */
export interface ScopeChange {
  readonly scope: Scope;
  readonly selected: boolean;
}

/** All scopes. A scope exists while something is defined over it. */
export class Scopes {
  readonly #zones = new Map<string, Labels>();
  readonly #byName = new Map<string, Scope>();
  readonly #byLabels = new Map<string, Scope>();
  /** Scopes by labels, by the zone that they select. */
  readonly #byZone = new Multimap<string, Scope>();

  get size(): number {
    return this.#zones.size + this.#byName.size + this.#byLabels.size + this.#byZone.size;
  }

  add(group: SelectorGroup): Scope {
    const scope = this.#scopeOf(group.selector.zones);
    scope.add(group);
    return scope;
  }

  delete(group: SelectorGroup): void {
    const { zones } = group.selector;
    const scope = this.#scopeOf(zones);
    scope.delete(group);
    if (!scope.isEmpty) return;
    if (zones.kind === "name") {
      this.#byName.delete(zones.name);
      return;
    }
    this.#byLabels.delete(selectorText(zones.selector));
    for (const zone of scope.zones) this.#byZone.delete(zone, scope);
  }

  /** Scopes that select the zone. */
  *of(zone: string): Generator<Scope, void, undefined> {
    const named = this.#byName.get(zone);
    if (named !== undefined) yield named;
    yield* this.#byZone.get(zone);
  }

  /** `undefined` where the zone does not exist any more. Tells which scopes by labels changed. */
  setZone(zone: string, labels: Labels | undefined): readonly ScopeChange[] {
    if (labels === undefined) this.#zones.delete(zone);
    else this.#zones.set(zone, labels);
    const changes: ScopeChange[] = [];
    for (const scope of this.#byLabels.values()) {
      const selected = labels !== undefined && selects(scope, labels);
      if (selected === scope.zones.has(zone)) continue;
      this.#select(scope, zone, selected);
      changes.push({ scope, selected });
    }
    return changes;
  }

  #scopeOf(selector: ZoneSelector): Scope {
    return selector.kind === "name" ? this.#scopeByName(selector) : this.#scopeByLabels(selector);
  }

  #scopeByName(selector: ZoneSelector & { kind: "name" }): Scope {
    let scope = this.#byName.get(selector.name);
    if (scope === undefined) {
      scope = new Scope(selector);
      scope.zones.add(selector.name);
      this.#byName.set(selector.name, scope);
    }
    return scope;
  }

  #scopeByLabels(selector: ZoneSelector & { kind: "labels" }): Scope {
    const text = selectorText(selector.selector);
    let scope = this.#byLabels.get(text);
    if (scope === undefined) {
      scope = new Scope(selector);
      this.#byLabels.set(text, scope);
      for (const [zone, labels] of this.#zones) {
        if (selects(scope, labels)) this.#select(scope, zone, true);
      }
    }
    return scope;
  }

  #select(scope: Scope, zone: string, selected: boolean): void {
    if (selected) {
      scope.zones.add(zone);
      this.#byZone.add(zone, scope);
    } else {
      scope.zones.delete(zone);
      this.#byZone.delete(zone, scope);
    }
  }
}

function selects(scope: Scope, labels: Labels): boolean {
  return scope.selector.kind === "labels" && matchesSelector(scope.selector.selector, labels);
}
