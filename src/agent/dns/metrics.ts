// What is counted of DNS. Labels have few values: types that nobody has named are one.
import type { Counter, Histogram } from "prom-client";
import { rcodes, types } from "../../dns/wire.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import type { AnswerSource } from "./resolver.ts";

export type DnsTransport = "udp" | "tcp";

interface DnsCount {
  readonly transport: DnsTransport;
  /** 0 where it could not be read. */
  readonly type: number;
  readonly rcode: number;
  readonly source: AnswerSource | "local";
}

interface DnsReadings {
  readonly listening: boolean;
  readonly names: number;
  readonly cachedAnswers: number;
}

const typeNames = new Map<number, string>(
  Object.entries(types).map(([name, number]) => [number, name]),
);
const codeNames = new Map<number, string>([
  [rcodes.noError, "NOERROR"],
  [rcodes.formatError, "FORMERR"],
  [rcodes.serverFailure, "SERVFAIL"],
  [rcodes.nameError, "NXDOMAIN"],
  [rcodes.notImplemented, "NOTIMP"],
  [rcodes.refused, "REFUSED"],
  [rcodes.badVersion, "BADVERS"],
]);

export class DnsMetrics {
  readonly metrics: Metrics;
  readonly #queries: Counter<"transport" | "type" | "rcode" | "source">;
  readonly #dropped: Counter;
  readonly #exchanges: Histogram<"result">;
  /** Labels are looked up by text otherwise, which costs more than an answer. */
  readonly #counts = new Map<string, { inc: () => void }>();

  constructor(metrics: Metrics, read: () => DnsReadings) {
    this.metrics = metrics;
    this.#queries = metrics.counter({
      name: "dns_queries_total",
      help: "DNS queries by transport, type, code of the answer and where it came from: the node's own knowledge (local), an earlier answer (cache), one out of date (stale), another server (upstream) or nobody (failure).",
      labels: ["transport", "type", "rcode", "source"],
    });
    this.#dropped = metrics.counter({
      name: "dns_dropped_messages_total",
      help: "Messages to the node's DNS that nobody may answer: responses, and what has no header.",
    });
    this.#exchanges = metrics.histogram({
      name: "dns_upstream_duration_seconds",
      help: "Time in which another DNS server has answered, or was given up.",
      labels: ["result"],
    });
    metrics.gauge(
      { name: "dns_listening", help: "1 while the node answers its pods' DNS queries." },
      () => Number(read().listening),
    );
    metrics.gauge(
      { name: "dns_services", help: "Services whose names the node answers for." },
      () => read().names,
    );
    metrics.gauge(
      { name: "dns_cached_answers", help: "Answers of other DNS servers that are kept." },
      () => read().cachedAnswers,
    );
  }

  count({ transport, type, rcode, source }: DnsCount): void {
    const key = `${transport} ${type} ${rcode & 0xf} ${source}`;
    let counter = this.#counts.get(key);
    if (counter === undefined) {
      const child = this.#queries.labels({
        transport,
        type: typeNames.get(type) ?? "other",
        rcode: codeNames.get(rcode) ?? "other",
        source,
      });
      counter = { inc: () => child.inc() };
      // Types are 16 bits of the client's choice.
      if (typeNames.has(type)) this.#counts.set(key, counter);
    }
    counter.inc();
  }

  dropped(): void {
    this.#dropped.inc();
  }

  exchanged(result: "answer" | "failure", durationMs: number): void {
    this.#exchanges.observe({ result }, durationMs / 1_000);
  }
}
