import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { tableNames } from "../src/pipeline/tables.ts";
import { pipelinePage, renderPipelinePage } from "../tools/render-pipeline-docs.ts";

test("docs/ovs-pipeline.md is what `node tools/render-pipeline-docs.ts` renders", () => {
  const page = readFileSync(pipelinePage, "utf8");
  assert.equal(page, renderPipelinePage(page));
  for (const name of tableNames) assert.ok(page.includes(`\`${name}\``), name);
});
