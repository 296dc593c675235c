import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

test("docs/node.md lists the problems that an agent reports, with their severities", async () => {
  const read = async (path: string): Promise<string> =>
    await readFile(new URL(`../${path}`, import.meta.url), "utf8");
  const listed = [...(await read("docs/node.md")).matchAll(/^\| `([a-z-]+)`\s*\| (\w+)/gm)];
  const source = await read("src/agent/node/node-report.ts");
  const made = [...source.matchAll(/code: "([a-z-]+)",\s*severity: (?:.*\? )?"(\w+)"/g)];
  const sorted = (found: readonly RegExpExecArray[]): readonly string[] =>
    found.map(([, code, severity]) => `${code} ${severity}`).toSorted();
  assert.ok(made.length > 10);
  assert.deepEqual(sorted(listed), sorted(made));
});
