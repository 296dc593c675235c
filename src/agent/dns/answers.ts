// One answer for each query: from the cluster's names, or from other servers.
import { type Answer, decode } from "dns-packet";
import type { Authority, Verdict } from "../../dns/authority.ts";
import { encodeForwardAnswer, forwardQueryOf } from "../../dns/forwarded.ts";
import { type Query, decodeQuery } from "../../dns/query.ts";
import { type Reply, datagramSize, encodeError, encodeReply } from "../../dns/reply.ts";
import { rcodes, types } from "../../dns/wire.ts";
import type { DnsMetrics, DnsTransport } from "./metrics.ts";
import type { Resolver, Resolved } from "./resolver.ts";

export interface DnsAnswersOptions {
  /** What the node knows itself. */
  readonly authority: () => Authority;
  readonly resolver: Pick<Resolver, "find" | "resolve">;
  readonly metrics: DnsMetrics;
}

const largestMessage = 65_535;
/** Queries whose answers are kept as they were sent, until a name changes. */
const keptAnswers = 16_384;
/** The longest query that is kept so: name, type, class and EDNS. */
const longestKey = 320;

export class DnsAnswers {
  readonly #options: DnsAnswersOptions;
  /** Transport and query without its id → answer. Resolvers repeat the same bytes. */
  readonly #kept = new Map<string, { readonly bytes: Uint8Array; readonly type: number }>();

  constructor(options: DnsAnswersOptions) {
    this.#options = options;
  }

  /** The node knows other names than before. */
  forget(): void {
    this.#kept.clear();
  }

  /** At once where nobody else is to be asked; `undefined` for what gets no answer. Never throws. */
  answer(
    bytes: Buffer,
    transport: DnsTransport,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const { metrics } = this.#options;
    const key = `${transport}${bytes.toString("latin1", 2)}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      metrics.count({ transport, type: kept.type, rcode: kept.bytes[3] ?? 0, source: "local" });
      const answer = Uint8Array.from(kept.bytes);
      answer[0] = bytes[0] ?? 0;
      answer[1] = bytes[1] ?? 0;
      return answer;
    }
    const decoded = decodeQuery(bytes);
    if (decoded === undefined) {
      metrics.dropped();
      return undefined;
    }
    if (decoded.kind === "bad") {
      metrics.count({ transport, type: 0, rcode: decoded.rcode, source: "local" });
      return encodeError(decoded);
    }
    return this.#answerQuery(decoded.query, transport, key);
  }

  #answerQuery(
    query: Query,
    transport: DnsTransport,
    key: string,
  ): Uint8Array | Promise<Uint8Array> {
    const { authority, metrics, resolver } = this.#options;
    const limit = transport === "tcp" ? largestMessage : datagramSize(query.edns);
    const verdict = authority().answer(query);
    switch (verdict.kind) {
      case "reply": {
        const { reply } = verdict;
        metrics.count({ transport, type: query.type, rcode: reply.rcode, source: "local" });
        const bytes = encodeReply(query, reply, limit);
        // Where there are several records, they are to begin with another one each time.
        if (reply.answers.length <= 1 && key.length <= longestKey)
          this.#keep(key, bytes, query.type);
        return bytes;
      }
      case "alias":
        return this.#follow(query, verdict, { transport, limit });
      case "elsewhere": {
        const found = resolver.find(forwardQueryOf(query));
        const pass = (resolved: Resolved): Uint8Array => {
          const { answer, source } = resolved;
          metrics.count({ transport, type: query.type, rcode: answer.rcode, source });
          return encodeForwardAnswer(resolved, query, limit);
        };
        if (found !== undefined) return pass(found);
        return resolver.resolve(forwardQueryOf(query)).then(pass);
      }
    }
  }

  #keep(key: string, bytes: Uint8Array, type: number): void {
    this.#kept.set(key, { bytes, type });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > keptAnswers && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** Clients take it that an alias comes with what it leads to. */
  async #follow(
    query: Query,
    { reply, target }: Extract<Verdict, { kind: "alias" }>,
    { transport, limit }: { readonly transport: DnsTransport; readonly limit: number },
  ): Promise<Uint8Array> {
    const { metrics, resolver } = this.#options;
    const question = questionFor(target, query.type);
    const resolved = await resolver.resolve({
      ...forwardQueryOf({ ...query, edns: undefined }),
      name: target,
      question,
    });
    const own: Query = { ...query, id: 0, name: target, question, edns: undefined };
    const message = decode(Buffer.from(encodeForwardAnswer(resolved, own, largestMessage)));
    const { rcode } = resolved.answer;
    metrics.count({ transport, type: query.type, rcode, source: resolved.source });
    const more = (message.answers ?? []).filter(isKnown);
    const joined: Reply = { ...reply, rcode, answers: [...reply.answers, ...more] };
    // What the alias leads to is not there: the client has the alias, and knows that.
    const authorities = more.length === 0 && rcode !== rcodes.serverFailure ? soasOf(message) : [];
    return encodeReply(query, { ...joined, authorities }, limit);
  }
}

/** What the library writes as it has read it. */
function isKnown({ type }: Answer): boolean {
  return type !== "OPT" && Object.hasOwn(types, type);
}

function soasOf({ authorities = [] }: { readonly authorities?: readonly Answer[] | undefined }) {
  return authorities.filter(({ type }) => type === "SOA");
}

/** Bytes of a question in the class IN. */
function questionFor(name: string, type: number): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Uint8Array.from([...labels, 0, type >> 8, type & 0xff, 0, 1]);
}
