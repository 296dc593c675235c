// Which labels and named ports decide something, and where: only these tell identities apart.
import type { Endpoint } from "../model/endpoint.ts";
import { type Use, portAttribute, usesOf } from "./compile.ts";
import { Counter } from "./counter.ts";
import type { PolicyChange } from "./policies.ts";

/**
 * Label keys that are always relevant: the usual ones of low cardinality. Because of them a new policy with usual
 * selectors changes no identity, and so tells nothing to nodes without a subject of it.
 */
export const alwaysRelevantKeys: ReadonlySet<string> = new Set([
  "app",
  "app.kubernetes.io/component",
  "app.kubernetes.io/instance",
  "app.kubernetes.io/name",
  "component",
  "k8s-app",
  "role",
  "tier",
]);

/** What became relevant or irrelevant in one zone, or in all. */
export interface RelevanceChange {
  readonly labels: Set<string>;
  readonly ports: Set<string>;
}

export type RelevanceChanges = ReadonlyMap<string | undefined, RelevanceChange>;

type Scoped = Map<string | undefined, Counter<string>>;

/** What decides something in a zone. */
export interface Relevant {
  hasLabel(zone: string, key: string): boolean;
  /** `attribute` as `portAttribute` gives it. */
  hasPort(zone: string, attribute: string): boolean;
}

/** Counts uses by zone. */
export class Relevance implements Relevant {
  readonly #labels: Scoped = new Map();
  readonly #ports: Scoped = new Map();

  /** Zones with counters; 0 when nothing is in use. */
  get size(): number {
    return this.#labels.size + this.#ports.size;
  }

  /** Additions are counted first, so that what is given back and taken again is no change. */
  update(policies: readonly PolicyChange[]): RelevanceChanges {
    const changes = new Map<string | undefined, RelevanceChange>();
    const note = ({ kind, name, zone }: Use) => {
      if (kind === "label" && alwaysRelevantKeys.has(name)) return;
      const change = changes.get(zone) ?? { labels: new Set(), ports: new Set() };
      changes.set(zone, change);
      (kind === "label" ? change.labels : change.ports).add(name);
    };
    for (const { after } of policies) {
      for (const use of after === undefined ? [] : usesOf(after)) if (this.#add(use)) note(use);
    }
    for (const { before } of policies) {
      for (const use of before === undefined ? [] : usesOf(before))
        if (this.#remove(use)) note(use);
    }
    return changes;
  }

  hasLabel(zone: string, key: string): boolean {
    return (
      alwaysRelevantKeys.has(key) ||
      this.#labels.get(undefined)?.has(key) === true ||
      this.#labels.get(zone)?.has(key) === true
    );
  }

  hasPort(zone: string, attribute: string): boolean {
    return (
      this.#ports.get(undefined)?.has(attribute) === true ||
      this.#ports.get(zone)?.has(attribute) === true
    );
  }

  #add(use: Use): boolean {
    const scoped = this.#scopedOf(use);
    let counter = scoped.get(use.zone);
    if (counter === undefined) scoped.set(use.zone, (counter = new Counter()));
    return counter.add(use.name);
  }

  #remove(use: Use): boolean {
    const scoped = this.#scopedOf(use);
    const counter = scoped.get(use.zone);
    const last = counter?.remove(use.name) ?? false;
    if (counter?.isEmpty === true) scoped.delete(use.zone);
    return last;
  }

  #scopedOf(use: Use): Scoped {
    return use.kind === "label" ? this.#labels : this.#ports;
  }
}

/** Whether the endpoint has a label or a named port that the change is about. */
export function isTouched(endpoint: Endpoint, change: RelevanceChange): boolean {
  // Few keys change at once, mostly one.
  for (const key of change.labels) {
    if (Object.hasOwn(endpoint.labels, key)) return true;
  }
  if (change.ports.size === 0) return false;
  return endpoint.namedPorts.some(({ protocol, name }) =>
    change.ports.has(portAttribute(protocol, name)),
  );
}
