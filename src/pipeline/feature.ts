// A feature owns some of the flows. It is told every change, says which of its units the change concerns, and renders a
// unit from the facts that hold now, never from how they came to be.
import type { Flow } from "../openflow/flow.ts";
import type { Group } from "../openflow/group.ts";
import type { ResourceKey } from "../southbound/resources.ts";
import type { FactKind, FactOf } from "./fact.ts";
import type { NumberKind } from "./numbers.ts";

/** Something that cannot be put into flows; what it would have allowed is dropped. */
export interface Problem {
  readonly resource: ResourceKey;
  readonly message: string;
}

/** What a rendering may ask for. Numbers live as long as some unit's latest rendering asked for them. */
export interface RenderContext {
  number(kind: NumberKind, key: string): number;
  report(problem: Problem): void;
  /** Wants a group, for as long as the unit's latest rendering does. */
  group(group: Group): void;
}

export type Render = (context: RenderContext) => readonly Flow[];

/** Asks for a unit to be rendered again, once, after all changes; no flows mean that it is gone. */
export type Mark = (unit: string, render: Render) => void;

/** One fact that came, changed or went; at least one side is there. */
export interface Change<Kind extends FactKind> {
  readonly id: string;
  readonly before: FactOf<Kind> | undefined;
  readonly after: FactOf<Kind> | undefined;
}

/** Whether the fact is there now and was not before, or the other way round: all that matters to some units. */
export function comesOrGoes<Kind extends FactKind>({ before, after }: Change<Kind>): boolean {
  return (before === undefined) !== (after === undefined);
}

export interface Feature {
  /** Called after all changes that belong together, before anything is rendered. */
  settle?(mark: Mark): void;
  /** For the kinds that concern it; called after the facts hold the change. No two features have a unit of one name. */
  readonly on: { readonly [Kind in FactKind]?: (change: Change<Kind>, mark: Mark) => void };
}

const nothing: ReadonlySet<never> = new Set();

/** Sets of values by key; a key without values is not there. */
export class SetMap<Key, Value> {
  readonly #sets = new Map<Key, Set<Value>>();

  get(key: Key): ReadonlySet<Value> {
    return this.#sets.get(key) ?? nothing;
  }

  keys(): Iterable<Key> {
    return this.#sets.keys();
  }

  add(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    set?.delete(value);
    if (set?.size === 0) this.#sets.delete(key);
  }
}
