// The worked examples of policies, in a lab: what their first lines expect, and that every other verdict is the evaluator's.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parsePort } from "../../src/lab/matrix.ts";
import type { ProbeSpec } from "../../src/lab/protocol.ts";
import { TestLab } from "./harness.ts";

const folder = join(import.meta.dirname, "../../examples/policies");
const stack = new AsyncDisposableStack();
let lab: TestLab;

before(async () => {
  lab = stack.use(await TestLab.start());
});
after(async () => await stack.disposeAsync());

interface Expected {
  readonly probe: ProbeSpec;
  readonly verdict: string;
}

/** Lines such as `# expect: shop/web -> shop/db tcp/5432 denied`. */
function expectedIn(text: string): readonly Expected[] {
  const lines = text.matchAll(/^# expect: (\S+) -> (\S+) (\S+) (allowed|denied)$/gm);
  return [...lines].map(([line, from = "", to = "", port = "", verdict = ""]) => {
    const parsed = parsePort(port);
    assert.ok(parsed, line);
    return { probe: { from, to, ...parsed, family: 4 }, verdict };
  });
}

// All are in force together: each has namespaces of its own, and the administrators' come last.
const files = readdirSync(folder).toSorted((a, b) => (a < b ? 1 : -1));
for (const file of files) {
  test(`${file} does what it says`, async () => {
    const text = readFileSync(join(folder, file), "utf8");
    await lab.apply(text);
    await lab.settle();
    const expected = expectedIn(text);
    assert.ok(expected.length >= 3, `${file} expects too little`);
    const results = await lab.probe(expected.map(({ probe }) => probe));
    const wrong = results
      .filter(({ verdict }, index) => verdict !== expected[index]?.verdict)
      .map(({ from, to, verdict }) => `${from} -> ${to}: ${verdict}`);
    assert.deepEqual(wrong, []);
    for (const family of [4, 6] as const) {
      assert.deepEqual((await lab.compareVerdicts(family)).mismatches, []);
    }
  });
}
