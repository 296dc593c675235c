// Numbers given out at random of a range whose first part is left to those who ask for a certain one, as upstream does
// (KEP-3070, KEP-3668): what is asked for in a manifest is seldom taken by then.

/** How large the part is that is left alone as long as there is another. */
interface StaticBand {
  readonly minimum: number;
  readonly maximum: number;
  /** One in so many. */
  readonly share: number;
}

export interface NumberRangeOptions {
  /** Numbers are 0 to below it. */
  readonly size: number;
  readonly band: StaticBand;
  /** An integer from 0 to below `limit`. */
  readonly random: (limit: number) => number;
}

/** Tries at random before the whole range is looked at. */
const tries = 16;

function bandOf(size: number, { minimum, maximum, share }: StaticBand): number {
  if (size <= minimum) return 0;
  return Math.min(Math.max(Math.floor(size / share), minimum), maximum);
}

export class NumberRange {
  readonly #size: number;
  readonly #band: number;
  readonly #random: (limit: number) => number;

  constructor({ size, band, random }: NumberRangeOptions) {
    this.#size = size;
    this.#band = bandOf(size, band);
    this.#random = random;
  }

  /**
   * A number that is not taken; `undefined` when all are. O(1) while most are free.
   * @param allTaken every number that is taken; asked only when many are
   */
  async pick(
    isTaken: (number: number) => Promise<boolean>,
    allTaken: () => Promise<ReadonlySet<number>>,
  ): Promise<number | undefined> {
    const upper = this.#size - this.#band;
    for (let index = 0; index < tries; index++) {
      const number = this.#band + this.#random(upper);
      if (!(await isTaken(number))) return number;
    }
    const taken = await allTaken();
    return this.#first(taken, this.#band, this.#size) ?? this.#first(taken, 0, this.#band);
  }

  /** From a random place on, so that several servers seldom meet. */
  #first(taken: ReadonlySet<number>, from: number, to: number): number | undefined {
    const length = to - from;
    if (length <= 0) return undefined;
    const start = this.#random(length);
    for (let index = 0; index < length; index++) {
      const number = from + ((start + index) % length);
      if (!taken.has(number)) return number;
    }
    return undefined;
  }
}
