// What other servers know: asked once for all who want the same, kept, and given out of date when nobody answers.
import { AnswerCache } from "../../dns/answer-cache.ts";
import {
  type AgedAnswer,
  type ForwardAnswer,
  type ForwardQuery,
  failureFor,
  keyOf,
} from "../../dns/forwarded.ts";
import { rcodes } from "../../dns/wire.ts";
import type { SocketAddress } from "../../net/socket-address.ts";
import type { Upstreams } from "./upstream.ts";

export type AnswerSource = "cache" | "stale" | "upstream" | "failure";

export interface Resolved extends AgedAnswer {
  readonly source: AnswerSource;
}

export interface ResolverOptions {
  readonly upstreams: Pick<Upstreams, "ask">;
  /** Who is asked for a name. */
  readonly serversFor: (name: string) => readonly SocketAddress[];
  readonly now: () => number;
}

/** RFC 8767 section 5: after this an answer out of date is better than none. */
const patienceMs = 1_800;
/** RFC 9520 section 3.2: for so long nobody is asked again what nobody has answered. */
const failureMs = 1_000;
const keptFailures = 10_000;

export class Resolver {
  readonly cache = new AnswerCache();
  readonly #options: ResolverOptions;
  /** Questions under way. */
  readonly #asked = new Map<string, Promise<ForwardAnswer | undefined>>();
  /** Questions that nobody has answered, of which nothing is known: until when. */
  readonly #failures = new Map<string, number>();

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** What can be answered at once. */
  find(query: ForwardQuery): Resolved | undefined {
    const found = this.cache.find(keyOf(query), this.#options.now());
    if (found === undefined || found.due) return undefined;
    return { ...found, source: found.stale ? "stale" : "cache" };
  }

  async resolve(query: ForwardQuery): Promise<Resolved> {
    const key = keyOf(query);
    const found = this.cache.find(key, this.#options.now());
    if (found !== undefined && !found.due) {
      return { ...found, source: found.stale ? "stale" : "cache" };
    }
    if (found === undefined && (this.#failures.get(key) ?? 0) > this.#options.now()) {
      return { answer: failureFor(query), ageSeconds: 0, stale: false, source: "failure" };
    }
    const asked = this.#ask(key, query);
    const answer = found === undefined ? await asked : await inTime(asked);
    if (answer !== undefined && isKnown(answer)) {
      return { answer, ageSeconds: 0, stale: false, source: "upstream" };
    }
    if (found !== undefined) return { ...found, source: "stale" };
    const failure = answer ?? failureFor(query);
    return { answer: failure, ageSeconds: 0, stale: false, source: "failure" };
  }

  /** Other servers are asked from now on. */
  forget(): void {
    this.cache.clear();
    this.#failures.clear();
  }

  async #ask(key: string, query: ForwardQuery): Promise<ForwardAnswer | undefined> {
    const before = this.#asked.get(key);
    if (before !== undefined) return await before;
    const asking = this.#askUpstream(key, query);
    this.#asked.set(key, asking);
    try {
      return await asking;
    } finally {
      this.#asked.delete(key);
    }
  }

  async #askUpstream(key: string, query: ForwardQuery): Promise<ForwardAnswer | undefined> {
    const { upstreams, serversFor, now } = this.#options;
    const answer = await upstreams.ask(query, serversFor(query.name));
    if (answer !== undefined && isKnown(answer)) {
      this.#failures.delete(key);
      this.cache.put(key, answer, now());
      return answer;
    }
    this.cache.fail(key, now());
    if (this.#failures.size >= keptFailures) this.#failures.clear();
    this.#failures.set(key, now() + failureMs);
    return answer;
  }
}

function isKnown({ rcode }: ForwardAnswer): boolean {
  return rcode === rcodes.noError || rcode === rcodes.nameError;
}

async function inTime<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), patienceMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
