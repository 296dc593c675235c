import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { allMetrics, metricsPage, renderMetricsPage } from "../tools/render-metrics-docs.ts";

test("docs/metrics.md is what `node tools/render-metrics-docs.ts` renders", () => {
  const page = readFileSync(metricsPage, "utf8");
  assert.equal(page, renderMetricsPage(page));
});

test("metrics are named as Prometheus asks for", () => {
  for (const { name, type, help } of allMetrics()) {
    assert.match(name, /^isobar_(agent|controller|apiserver)_[a-z][a-z_]*[a-z]$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    if (type === "histogram") assert.match(name, /_seconds$/);
    assert.match(help, /^[A-Z1].*\.$/, name);
  }
});

test("the dashboard and the alerts ask only for metrics and labels that there are", () => {
  const known = new Map(allMetrics().map((metric) => [metric.name, metric]));
  const files = join(import.meta.dirname, "../deploy/chart/files");
  let asked = 0;
  for (const file of ["grafana-dashboard.json", "alerts.yaml"]) {
    const text = readFileSync(join(files, file), "utf8");
    for (const [whole, full = "", labels = ""] of text.matchAll(
      /\b(isobar_(?:agent|controller|apiserver)_[a-z_]+)(?:\{([^}]*)\})?/g,
    )) {
      const name = known.has(full) ? full : full.replace(/_(bucket|sum|count)$/, "");
      const metric = known.get(name);
      assert.ok(metric !== undefined, `${file}: ${whole}`);
      if (name !== full) assert.equal(metric.type, "histogram", `${file}: ${whole}`);
      for (const [, label = ""] of labels.matchAll(/([a-z]+) *[=!]/g)) {
        assert.ok(metric.labels.includes(label), `${file}: ${whole}`);
      }
      asked += 1;
    }
  }
  assert.ok(asked > 30, `only ${asked} found`);
});
