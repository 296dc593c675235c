import { EncodedDelta, type EncodedResource } from "../southbound/encoded.ts";
import type { ResourceKey } from "../southbound/resources.ts";
import { CompactSet } from "./compact-set.ts";
import { Counter } from "./counter.ts";
import type { Group } from "./membership.ts";
import type { GraphRule } from "./rules.ts";

/** The rules of one subject, with what changed since they were last announced: nodes get all of them or none. */
export class RuleSet {
  readonly subject: Group;
  /** Nodes that have the rules. Written by Spans. */
  readonly nodes = new CompactSet<string>();
  /** Groups that the rules name, the subject included, by the number of rules. */
  readonly groups = new Counter<Group>();
  readonly #rules = new CompactSet<EncodedResource>();
  #added: EncodedResource[] | undefined;
  #removed: EncodedResource[] | undefined;
  #all: EncodedDelta | undefined;

  constructor(subject: Group) {
    this.subject = subject;
  }

  get isEmpty(): boolean {
    return this.#rules.size === 0;
  }

  /** Gives the groups that no rule named before. */
  add({ encoded, groups }: GraphRule): readonly Group[] {
    this.#rules.add(encoded);
    this.#all = undefined;
    // While no node has the rules there is nobody to whom a change would have to be told.
    if (this.nodes.size > 0) (this.#added ??= []).push(encoded);
    return groups.filter((group) => this.groups.add(group));
  }

  /** Gives the groups that no rule names any more. */
  remove({ encoded, groups }: GraphRule): readonly Group[] {
    this.#rules.delete(encoded);
    this.#all = undefined;
    if (this.nodes.size > 0) (this.#removed ??= []).push(encoded);
    return groups.filter((group) => this.groups.remove(group));
  }

  /** For nodes that have none of the rules. */
  get all(): EncodedDelta {
    this.#all ??= EncodedDelta.of([...this.#rules], []);
    return this.#all;
  }

  /** For nodes that have the rules as they were before the changes. */
  get changes(): EncodedDelta {
    const added = this.#added ?? [];
    const ids = new Set(added.map(({ id }) => id));
    const gone = (this.#removed ?? []).filter(({ id }) => !ids.has(id));
    return EncodedDelta.of(added, gone.map(keyOf));
  }

  /** For nodes that have the rules as they were before the changes and are to have none. */
  get withdrawal(): EncodedDelta {
    const added = new Set(this.#added);
    const kept = [...this.#rules].filter((encoded) => !added.has(encoded));
    return EncodedDelta.of([], [...kept, ...(this.#removed ?? [])].map(keyOf));
  }

  /** The changes have been announced. */
  settle(): void {
    this.#added = undefined;
    this.#removed = undefined;
  }
}

function keyOf({ kind, id }: EncodedResource): ResourceKey {
  return { kind, id };
}
