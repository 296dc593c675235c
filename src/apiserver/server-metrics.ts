// What an API server counts. docs/metrics.md is rendered from this list.
import type { Counter, Histogram } from "prom-client";
import { Metrics } from "../runtime/metrics.ts";

interface ServerReadings {
  readonly watches: number;
}

interface ObservedRequest {
  /** HTTP's method, or `WATCH`. */
  readonly verb: string;
  /** Plural of a kind that is served, or `other`. */
  readonly resource: string;
  readonly code: number;
  readonly durationMs: number;
}

const verbs = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "WATCH"]);

export class ServerMetrics {
  readonly metrics = new Metrics("apiserver");
  readonly #requests: Counter<"verb" | "resource" | "code">;
  readonly #duration: Histogram<"verb">;

  constructor(read: () => ServerReadings) {
    const { metrics } = this;
    this.#requests = metrics.counter({
      name: "requests_total",
      help: "Requests that were answered.",
      labels: ["verb", "resource", "code"],
    });
    this.#duration = metrics.histogram({
      name: "request_duration_seconds",
      help: "Time to answer a request; watches are not in it.",
      labels: ["verb"],
    });
    metrics.gauge({ name: "watches", help: "Watches that are open." }, () => read().watches);
  }

  observe({ verb: method, resource, code, durationMs }: ObservedRequest): void {
    const verb = verbs.has(method) ? method : "other";
    this.#requests.inc({ verb, resource, code: String(code) });
    if (verb !== "WATCH") this.#duration.observe({ verb }, durationMs / 1000);
  }
}
