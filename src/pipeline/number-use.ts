// Which units use which numbers, so that a number is released exactly when no flow names it.
import type { NumberKind, Numbers } from "./numbers.ts";

interface Use {
  readonly kind: NumberKind;
  readonly key: string;
  readonly number: number;
  units: number;
}

export class NumberUse {
  readonly #numbers: Numbers;
  readonly #uses: Record<NumberKind, Map<string, Use>> = {
    domain: new Map(),
    node: new Map(),
    identity: new Map(),
    region: new Map(),
    names: new Map(),
    rule: new Map(),
    service: new Map(),
    backend: new Map(),
  };
  readonly #byUnit = new Map<string, ReadonlySet<Use>>();
  readonly #unused = new Set<Use>();

  constructor(numbers: Numbers) {
    this.#numbers = numbers;
  }

  /** Runs `render` and takes note of the numbers that it asks for; they replace those of the unit's last run. */
  track<Result>(
    unit: string,
    render: (number: (kind: NumberKind, key: string) => number) => Result,
  ): Result {
    const taken = new Set<Use>();
    const result = render((kind, key) => {
      const use = this.#use(kind, key);
      taken.add(use);
      return use.number;
    });
    for (const use of taken) {
      use.units++;
      this.#unused.delete(use);
    }
    for (const use of this.#byUnit.get(unit) ?? []) {
      use.units--;
      if (use.units === 0) this.#unused.add(use);
    }
    if (taken.size > 0) this.#byUnit.set(unit, taken);
    else this.#byUnit.delete(unit);
    return result;
  }

  #use(kind: NumberKind, key: string): Use {
    const known = this.#uses[kind].get(key);
    if (known !== undefined) return known;
    const use = { kind, key, number: this.#numbers.numberOf(kind, key), units: 0 };
    this.#uses[kind].set(key, use);
    return use;
  }

  /** Gives back what no unit uses. Called between changes, when all units are rendered. */
  releaseUnused(): void {
    for (const { kind, key } of this.#unused) {
      this.#uses[kind].delete(key);
      this.#numbers.release(kind, key);
    }
    this.#unused.clear();
  }
}
