// Domains, of all sources, that have one VXLAN network identifier: a switch cannot tell them apart, so none of them has traffic
// between nodes (src/pipeline/domain-feature.ts), and each is told.

export class VniClaims {
  readonly #vnis = new Map<string, number>();
  readonly #claimants = new Map<number, Set<string>>();
  readonly #onChange: (id: string) => void;

  /** `onChange` is told of each domain that has others beside it now, or has none any more. */
  constructor(onChange: (id: string) => void) {
    this.#onChange = onChange;
  }

  set(id: string, vni: number | undefined): void {
    const before = this.#vnis.get(id);
    if (before === vni) return;
    if (before !== undefined) this.#leave(id, before);
    if (vni === undefined) {
      this.#vnis.delete(id);
      return;
    }
    this.#vnis.set(id, vni);
    const claimants = this.#claimants.get(vni) ?? new Set();
    this.#claimants.set(vni, claimants.add(id));
    for (const each of claimants) this.#onChange(each);
  }

  /** The other domains with its VNI, sorted. */
  othersOf(id: string): readonly string[] {
    const claimants = this.#claimants.get(this.#vnis.get(id) ?? 0) ?? new Set();
    return [...claimants].filter((each) => each !== id).toSorted();
  }

  #leave(id: string, vni: number): void {
    const claimants = this.#claimants.get(vni);
    claimants?.delete(id);
    if (claimants?.size === 0) this.#claimants.delete(vni);
    for (const each of claimants ?? []) this.#onChange(each);
  }
}
