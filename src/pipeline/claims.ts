import type { FactKind, FactOf } from "./fact.ts";
import { type Change, SetMap } from "./feature.ts";

/** Who says that something is theirs. What several claim belongs to nobody, so a conflict can only drop. */
export class Claims<Key> {
  readonly #claimants = new SetMap<Key, string>();

  /** Takes in that a fact changed, which claims what `keysOf` says. @returns the keys whose claimants changed. */
  update<Kind extends FactKind>(
    { id, before, after }: Change<Kind>,
    keysOf: (fact: FactOf<Kind>) => readonly Key[],
  ): readonly Key[] {
    const old = before === undefined ? [] : keysOf(before);
    const now = after === undefined ? [] : keysOf(after);
    const gone = old.filter((key) => !now.includes(key));
    const come = now.filter((key) => !old.includes(key));
    for (const key of gone) this.#claimants.delete(key, id);
    for (const key of come) this.#claimants.add(key, id);
    return [...gone, ...come];
  }

  claimants(key: Key): ReadonlySet<string> {
    return this.#claimants.get(key);
  }

  /** The only claimant, if there is exactly one. */
  owner(key: Key): string | undefined {
    const claimants = this.#claimants.get(key);
    const [owner] = claimants;
    return claimants.size === 1 ? owner : undefined;
  }
}
