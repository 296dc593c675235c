import { EncodedDelta, type EncodedResource } from "../southbound/encoded.ts";
import type { ResourceKey } from "../southbound/resources.ts";
import { Counter } from "./counter.ts";
import type { Group } from "./membership.ts";
import type { GraphRule } from "./rules.ts";

/** The rules of one subject, with what changed since they were last announced: nodes get all of them or none. */
export class RuleSet {
  readonly subject: Group;
  /** Nodes that host a subject. Written by Spans. */
  readonly nodes = new Set<string>();
  /** Groups that the rules name, the subject included, by the number of rules. */
  readonly groups = new Counter<Group>();
  readonly #rules = new Map<string, EncodedResource>();
  /** Changed since the last `settle`; `undefined` for what is gone. */
  readonly #changes = new Map<string, EncodedResource | undefined>();
  /** Of these, ids that were not there before. */
  readonly #fresh = new Set<string>();
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
    const { id } = rule.encoded.resource;
    if (!this.#rules.has(id) && !this.#changes.has(id)) this.#fresh.add(id);
    this.#rules.set(id, rule.encoded);
    this.#changes.set(id, rule.encoded);
    this.#all = undefined;
    return [this.subject, ...rule.peers].filter((group) => this.groups.add(group));
  }

  /** Removes the rule unless another took its place already. Gives the groups that no rule names any more. */
  remove(rule: GraphRule): readonly Group[] {
    const { id } = rule.encoded.resource;
    if (this.#rules.get(id) === rule.encoded) {
      this.#rules.delete(id);
      this.#changes.set(id, undefined);
      this.#all = undefined;
    }
    return [this.subject, ...rule.peers].filter((group) => this.groups.remove(group));
  }

  /** For nodes that have none of the rules. */
  get all(): EncodedDelta {
    this.#all ??= EncodedDelta.of([...this.#rules.values()], []);
    return this.#all;
  }

  /** For nodes that have the rules as they were before the changes. */
  get changes(): EncodedDelta {
    const upserts: EncodedResource[] = [];
    const deletes: ResourceKey[] = [];
    for (const [id, encoded] of this.#changes) {
      if (encoded !== undefined) upserts.push(encoded);
      else deletes.push({ kind: "rule", id });
    }
    return EncodedDelta.of(upserts, deletes);
  }

  /** For nodes that have the rules as they were before the changes and are to have none. */
  get withdrawal(): EncodedDelta {
    const ids = new Set([...this.#rules.keys(), ...this.#changes.keys()]);
    const announced = [...ids].filter((id) => !this.#fresh.has(id));
    return EncodedDelta.of(
      [],
      announced.map((id) => ({ kind: "rule", id })),
    );
  }

  /** The changes have been announced. */
  settle(): void {
    this.#changes.clear();
    this.#fresh.clear();
  }
}
