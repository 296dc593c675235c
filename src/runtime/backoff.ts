/** Delays between attempts: doubled from the shortest to the longest, each cut by up to half at random. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #nextMs: number;

  /** `random` gives numbers from 0 up to 1, as Math.random does. */
  constructor(options: { minMs: number; maxMs: number; random?: () => number }) {
    this.#minMs = options.minMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random ?? Math.random;
    this.#nextMs = options.minMs;
  }

  /** Milliseconds to wait before the next attempt. The random part keeps a thousand agents from coming back at once. */
  next(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(this.#maxMs, delayMs * 2);
    return delayMs * (1 - this.#random() / 2);
  }

  /** To be called after a success. */
  reset(): void {
    this.#nextMs = this.#minMs;
  }
}
