// Which groups an address belongs to that a local endpoint has looked up. Rules name patterns of domain names; what matters of a
// lookup is the set of patterns that its names match, and there are few such sets however many lookups there are. So each set
// has a number, one flow for a lookup gives the set, and rules match the set.
import { matchesDomainName } from "../model/domain-name.ts";
import type { LookupFact } from "./fact.ts";
import { SetMap } from "./feature.ts";

/** Names hold no spaces. */
const separator = " ";

export class LookupIndex {
  readonly #patterns = new Map<string, readonly string[]>();
  /** Pattern → groups. */
  readonly #groups = new SetMap<string, string>();
  readonly #lookups = new Map<string, LookupFact>();
  /** Lookup → its set. */
  readonly #sets = new Map<string, string>();
  /** Set → lookups. */
  readonly #users = new SetMap<string, string>();

  /** `undefined` for a lookup that no pattern matches. */
  setOf(lookup: string): string | undefined {
    return this.#sets.get(lookup);
  }

  /** The groups that contain what has the set. */
  groupsOf(set: string): ReadonlySet<string> {
    const groups = new Set<string>();
    if (this.#users.get(set).size === 0) return groups;
    for (const pattern of set.split(separator)) {
      for (const group of this.#groups.get(pattern)) groups.add(group);
    }
    return groups;
  }

  /** The sets in use that have one of the group's patterns. */
  setsIn(group: string): readonly string[] {
    const patterns = this.#patterns.get(group);
    if (patterns === undefined) return [];
    return [...this.#users.keys()].filter((set) => {
      const inSet = new Set(set.split(separator));
      return patterns.some((pattern) => inSet.has(pattern));
    });
  }

  /**
   * Replaces a group's patterns; none or `undefined` removes them. @returns lookups that have another set than before, with
   * that before. O(1) when the patterns that there are stay the same, else O(lookups).
   */
  setGroup(
    group: string,
    patterns: readonly string[] = [],
  ): readonly { readonly lookup: string; readonly before: string | undefined }[] {
    const before = this.#patterns.get(group) ?? [];
    const appeared = patterns.filter((pattern) => this.#groups.get(pattern).size === 0);
    for (const pattern of patterns) this.#groups.add(pattern, group);
    const kept = new Set(patterns);
    const gone = before.filter((pattern) => !kept.has(pattern));
    for (const pattern of gone) this.#groups.delete(pattern, group);
    if (patterns.length > 0) this.#patterns.set(group, patterns);
    else this.#patterns.delete(group);
    const vanished = gone.filter((pattern) => this.#groups.get(pattern).size === 0);
    if (appeared.length + vanished.length === 0) return [];
    return [...this.#lookups.values()]
      .map((lookup) => ({ lookup, before: this.#sets.get(lookup.id) }))
      .filter(({ lookup }) => this.#place(lookup))
      .map(({ lookup: { id }, before: set }) => ({ lookup: id, before: set }));
  }

  setLookup(id: string, lookup: LookupFact | undefined): void {
    if (lookup !== undefined) {
      this.#lookups.set(id, lookup);
      this.#place(lookup);
      return;
    }
    this.#lookups.delete(id);
    this.#move(id, undefined);
  }

  /** Whether its set is another than before. */
  #place({ id, names }: LookupFact): boolean {
    const matching = [...this.#groups.keys()].filter((pattern) =>
      names.some((name) => matchesDomainName(pattern, name)),
    );
    return this.#move(id, matching.length > 0 ? matching.toSorted().join(separator) : undefined);
  }

  #move(id: string, after: string | undefined): boolean {
    const before = this.#sets.get(id);
    if (before === after) return false;
    if (before !== undefined) this.#users.delete(before, id);
    if (after === undefined) this.#sets.delete(id);
    else {
      this.#sets.set(id, after);
      this.#users.add(after, id);
    }
    return true;
  }
}
