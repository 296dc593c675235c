import { SetMap } from "./feature.ts";

/** Who says that something is theirs. What several claim belongs to nobody, so a conflict can only drop. */
export class Claims<Key> {
  readonly #claimants = new SetMap<Key, string>();

  /** Replaces what a claimant claims. @returns the keys whose claimants changed. */
  replace(claimant: string, before: readonly Key[], after: readonly Key[]): readonly Key[] {
    const gone = before.filter((key) => !after.includes(key));
    const come = after.filter((key) => !before.includes(key));
    for (const key of gone) this.#claimants.delete(key, claimant);
    for (const key of come) this.#claimants.add(key, claimant);
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
