// Metrics of one process in the Prometheus text format. Names are `isobar_<component>_…` with the unit last and `_total` on
// counters; labels have few values each (a kind, a reason, a verb), never a pod, an address or a policy.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { readVersion } from "./version.ts";

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
}

export interface MetricOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[];
}

/** A value with the labels that it is for. */
export type Sample<Label extends string> = readonly [
  labels: Readonly<Record<Label, string>>,
  value: number,
];

/** From a flow's confirmation (1 ms) to an attachment that waits for its controller (30 s). */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #registry = new Registry();
  readonly #prefix: string;
  readonly #descriptions: MetricDescription[] = [];

  /** `component` is `agent`, `controller` or `apiserver`. */
  constructor(component: string) {
    this.#prefix = `isobar_${component}_`;
    this.gauge(
      {
        name: "build_info",
        help: "Always 1; the label says which version runs.",
        labels: ["version"],
      },
      () => [[{ version: readVersion() }, 1]],
    );
  }

  /** What the process is made of besides: processor time, memory, open files, event loop (`process_…`, `nodejs_…`). */
  includeProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label> {
    return new Counter(this.#describe("counter", options));
  }

  histogram<Label extends string = never>(options: MetricOptions<Label>): Histogram<Label> {
    return new Histogram({ ...this.#describe("histogram", options), buckets });
  }

  /** A value that is read when somebody asks. */
  gauge<Label extends string = never>(
    options: MetricOptions<Label>,
    read: () => number | readonly Sample<Label>[] | Promise<readonly Sample<Label>[]>,
  ): void {
    const gauge: Gauge<Label> = new Gauge({
      ...this.#describe("gauge", options),
      collect: async () => setSamples(gauge, await read()),
    });
  }

  /** A count that is kept elsewhere and read when somebody asks. It may begin anew at 0, as after a restart. */
  readCounter<Label extends string = never>(
    options: MetricOptions<Label>,
    read: () => number | readonly Sample<Label>[] | Promise<readonly Sample<Label>[]>,
  ): void {
    const counter: Counter<Label> = new Counter({
      ...this.#describe("counter", options),
      collect: async () => {
        const value = await read();
        counter.reset();
        if (typeof value === "number") counter.inc(value);
        else for (const [labels, count] of value) counter.inc(labels, count);
      },
    });
  }

  /** All values. @throws whatever a reader throws */
  async render(): Promise<string> {
    return await this.#registry.metrics();
  }

  /** Every metric of this component, by name. */
  describe(): readonly MetricDescription[] {
    return this.#descriptions.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #describe<Label extends string>(
    type: MetricDescription["type"],
    { name, help, labels = [] }: MetricOptions<Label>,
  ): { name: string; help: string; labelNames: Label[]; registers: [Registry] } {
    const full = this.#prefix + name;
    this.#descriptions.push({ name: full, help, type, labels });
    return { name: full, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

function setSamples<Label extends string>(
  gauge: Gauge<Label>,
  value: number | readonly Sample<Label>[],
): void {
  gauge.reset();
  if (typeof value === "number") gauge.set(value);
  else for (const [labels, number] of value) gauge.set(labels, number);
}
