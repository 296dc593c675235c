import {
  LocalNumbers,
  type NumberEntry,
  type NumberKind,
  type Numbers,
} from "../pipeline/numbers.ts";

/** A number that was given out, or with `undefined` given back. */
export interface NumberChange {
  readonly kind: NumberKind;
  readonly key: string;
  readonly number: number | undefined;
}

/** The node's numbers, and which of them changed since they were last stored. */
export class RecordedNumbers implements Numbers {
  readonly #numbers: LocalNumbers;
  readonly #stored = new Map<string, number>();
  readonly #changes = new Map<string, NumberChange>();

  constructor(entries: readonly NumberEntry[]) {
    this.#numbers = new LocalNumbers(entries);
    for (const { kind, key, number } of entries) this.#stored.set(`${kind}/${key}`, number);
  }

  numberOf(kind: NumberKind, key: string): number {
    const number = this.#numbers.numberOf(kind, key);
    this.#note({ kind, key, number });
    return number;
  }

  release(kind: NumberKind, key: string): void {
    this.#numbers.release(kind, key);
    this.#note({ kind, key, number: undefined });
  }

  entries(): readonly NumberEntry[] {
    return [...this.#numbers.entries()];
  }

  /** Whose number it is; O(all), for messages about failures. */
  keyOf(kind: NumberKind, number: number): string | undefined {
    for (const entry of this.#numbers.entries()) {
      if (entry.kind === kind && entry.number === number) return entry.key;
    }
    return undefined;
  }

  /** What differs from what is stored; from now on it counts as stored. */
  takeChanges(): readonly NumberChange[] {
    const changes = [...this.#changes.values()];
    for (const [name, { number }] of this.#changes) {
      if (number === undefined) this.#stored.delete(name);
      else this.#stored.set(name, number);
    }
    this.#changes.clear();
    return changes;
  }

  #note(change: NumberChange): void {
    const name = `${change.kind}/${change.key}`;
    if (this.#stored.get(name) === change.number) this.#changes.delete(name);
    else this.#changes.set(name, change);
  }
}
