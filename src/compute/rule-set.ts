import { EncodedDelta, type EncodedResource } from "../southbound/encoded.ts";
import type { ResourceKey } from "../southbound/resources.ts";
import { CompactMap } from "./compact-map.ts";
import { CompactSet } from "./compact-set.ts";
import { Counter } from "./counter.ts";
import type { Group } from "./membership.ts";
import type { GraphRule } from "./rules.ts";

/** What happened to one rule since it was last announced. */
interface RuleChange {
  /** `undefined` where the rule is gone. */
  readonly encoded: EncodedResource | undefined;
  readonly announced: boolean;
}

/** The rules of one subject, with what changed since they were last announced: nodes get all of them or none. */
export class RuleSet {
  readonly subject: Group;
  /** Nodes that have the rules. Written by Spans. */
  readonly nodes = new CompactSet<string>();
  /** Groups that the rules name, the subject included. */
  readonly groups = new Counter<Group>();
  readonly #rules = new CompactMap<string, EncodedResource>();
  /** `undefined` while nothing changed. */
  #changes: Map<string, RuleChange> | undefined;
  #all: EncodedDelta | undefined;

  constructor(subject: Group) {
    this.subject = subject;
  }

  get isEmpty(): boolean {
    return this.#rules.size === 0;
  }

  get size(): number {
    return this.#rules.size + this.groups.size + this.nodes.size;
  }

  /** Adds the rule or puts it in the place of the one with its id. Gives the groups that no rule named before. */
  add(rule: GraphRule): readonly Group[] {
    const { id } = rule.encoded;
    this.#note(id, rule.encoded);
    this.#rules.set(id, rule.encoded);
    return rule.groups.filter((group) => this.groups.add(group));
  }

  /** Removes the rule unless another took its place already. Gives the groups that no rule names any more. */
  remove(rule: GraphRule): readonly Group[] {
    const { id } = rule.encoded;
    if (this.#rules.get(id) === rule.encoded) {
      this.#note(id, undefined);
      this.#rules.delete(id);
    }
    return rule.groups.filter((group) => this.groups.remove(group));
  }

  /** For nodes that have none of the rules. */
  get all(): EncodedDelta {
    this.#all ??= EncodedDelta.of([...this.#rules.values()], noKeys);
    return this.#all;
  }

  /** For nodes that have the rules as they were before the changes. */
  get changes(): EncodedDelta {
    const upserts: EncodedResource[] = [];
    const deletes: ResourceKey[] = [];
    for (const [id, { encoded }] of this.#changes ?? []) {
      if (encoded !== undefined) upserts.push(encoded);
      else deletes.push({ kind: "rule", id });
    }
    return EncodedDelta.of(upserts, deletes);
  }

  /** For nodes that have the rules as they were before the changes and are to have none. */
  get withdrawal(): EncodedDelta {
    const announced = new Set(this.#rules.keys());
    for (const [id, change] of this.#changes ?? []) {
      if (change.announced) announced.add(id);
      else announced.delete(id);
    }
    const deletes = Array.from(announced, (id): ResourceKey => ({ kind: "rule", id }));
    return EncodedDelta.of(noUpserts, deletes);
  }

  /** The changes have been announced. */
  settle(): void {
    this.#changes = undefined;
  }

  #note(id: string, encoded: EncodedResource | undefined): void {
    this.#all = undefined;
    // While no node has the rules there is nobody to whom a change would have to be told.
    if (this.nodes.size === 0) return;
    this.#changes ??= new Map();
    const announced = this.#changes.get(id)?.announced ?? this.#rules.has(id);
    this.#changes.set(id, { encoded, announced });
  }
}

const noUpserts: readonly EncodedResource[] = [];
const noKeys: readonly ResourceKey[] = [];
