import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
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
