// Renders the tables of docs/metrics.md from the lists of metrics: node tools/render-metrics-docs.ts
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AgentMetrics } from "../src/agent/agent-metrics.ts";
import { DnsMetrics } from "../src/agent/dns/metrics.ts";
import { ServerMetrics } from "../src/apiserver/server-metrics.ts";
import { ControllerMetrics } from "../src/controller/controller-metrics.ts";
import type { MetricDescription, Metrics } from "../src/runtime/metrics.ts";

export const metricsPage = fileURLToPath(new URL("../docs/metrics.md", import.meta.url));

/** Nobody reads values here. */
function unread(): never {
  throw new Error("only the descriptions are wanted");
}

const components: Readonly<Record<string, Metrics>> = {
  agent: new DnsMetrics(new AgentMetrics(unread).metrics, unread).metrics,
  controller: new ControllerMetrics(unread).metrics,
  apiserver: new ServerMetrics(unread).metrics,
};

/** Every metric of every component. */
export function allMetrics(): readonly MetricDescription[] {
  return Object.values(components).flatMap((metrics) => metrics.describe());
}

function renderTable(metrics: readonly MetricDescription[]): string {
  const rows = metrics.map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(", "),
    help,
  ]);
  const head = ["metric", "type", "labels", "meaning"];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** The page with its tables as they should be; the text around them is kept. */
export function renderMetricsPage(page: string): string {
  let rendered = page;
  for (const [name, metrics] of Object.entries(components)) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
    const from = rendered.indexOf(begin);
    const to = rendered.indexOf(end);
    if (from < 0 || to < from) throw new Error(`the page has no ${begin} … ${end}`);
    const table = renderTable(metrics.describe());
    rendered = `${rendered.slice(0, from)}${begin}\n\n${table}\n\n${rendered.slice(to)}`;
  }
  return rendered;
}

if (import.meta.main) {
  writeFileSync(metricsPage, renderMetricsPage(readFileSync(metricsPage, "utf8")));
}
