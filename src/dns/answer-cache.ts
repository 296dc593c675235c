// Answers of other servers, kept for as long as they may be believed, and after that for the time when nobody gives a newer
// one: RFC 2308, RFC 8767.
import type { AgedAnswer, ForwardAnswer } from "./forwarded.ts";

export interface CacheLimits {
  /** Of all answers together. */
  readonly sizeBytes: number;
  readonly positiveSeconds: number;
  readonly negativeSeconds: number;
  /** How long an answer is kept behind its time. */
  readonly staleSeconds: number;
  /** How long nobody is asked again after nobody has answered. */
  readonly retrySeconds: number;
}

const defaultCacheLimits: CacheLimits = {
  sizeBytes: 8 << 20,
  positiveSeconds: 3_600,
  negativeSeconds: 300,
  staleSeconds: 86_400,
  retrySeconds: 5,
};

interface Entry {
  readonly answer: ForwardAnswer;
  readonly storedMs: number;
  readonly freshUntilMs: number;
  readonly size: number;
  retryMs: number;
}

export interface Found extends AgedAnswer {
  /** Whether a newer answer is to be asked for. */
  readonly due: boolean;
}

/** What an entry costs beside its bytes. */
const overheadBytes = 300;

/** Times are milliseconds of any one clock. The answer used longest ago goes first. */
export class AnswerCache {
  readonly #limits: CacheLimits;
  readonly #entries = new Map<string, Entry>();
  #size = 0;

  constructor(limits: CacheLimits = defaultCacheLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#entries.size;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  find(key: string, nowMs: number): Found | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (nowMs > entry.freshUntilMs + this.#limits.staleSeconds * 1_000) {
      this.#remove(key, entry);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const stale = nowMs >= entry.freshUntilMs;
    const ageSeconds = Math.floor((nowMs - entry.storedMs) / 1_000);
    return { answer: entry.answer, ageSeconds, stale, due: stale && nowMs >= entry.retryMs };
  }

  /** An answer that may not be believed for any time is not kept. */
  put(key: string, answer: ForwardAnswer, nowMs: number): void {
    const { positiveSeconds, negativeSeconds, sizeBytes } = this.#limits;
    if (answer.lifetimeSeconds === undefined || answer.lifetimeSeconds === 0) return;
    const most = isPositive(answer) ? positiveSeconds : negativeSeconds;
    const seconds = Math.min(answer.lifetimeSeconds, most);
    const before = this.#entries.get(key);
    if (before !== undefined) this.#remove(key, before);
    const size = answer.bytes.length + 2 * key.length + overheadBytes;
    const freshUntilMs = nowMs + seconds * 1_000;
    this.#entries.set(key, { answer, storedMs: nowMs, freshUntilMs, size, retryMs: 0 });
    this.#size += size;
    for (const [oldest, entry] of this.#entries) {
      if (this.#size <= sizeBytes) break;
      this.#remove(oldest, entry);
    }
  }

  /** Nobody has given a newer answer. */
  fail(key: string, nowMs: number): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.retryMs = nowMs + this.#limits.retrySeconds * 1_000;
  }

  clear(): void {
    this.#entries.clear();
    this.#size = 0;
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#size -= entry.size;
  }
}

function isPositive({ rcode, bytes }: ForwardAnswer): boolean {
  const answers = ((bytes[6] ?? 0) << 8) | (bytes[7] ?? 0);
  return rcode === 0 && answers > 0;
}
