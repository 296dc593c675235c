import assert from "node:assert/strict";
import { test } from "node:test";
import { renderAnnotations } from "./policy-annotations.ts";

const annotation = (name: string): string => `isobar.io/${name}`;

test("a policy that is in force everywhere has no problems", () => {
  const rendered = renderAnnotations(
    { generation: 7 },
    { realised: 3, nodes: 3, refusals: [] },
    [],
  );
  assert.deepEqual(rendered, {
    [annotation("realised")]: "3/3",
    [annotation("realised-generation")]: "7",
    [annotation("problems")]: null,
  });
});

test("invalid parts and refusals are named with their places, and cut where they are many", () => {
  const problems = [{ field: "spec.ingress[0].from[1].moons", message: "unknown field" }];
  const refusals = [{ node: "n2", message: "the table is full" }];
  const status = { realised: 1, nodes: 2, refusals };
  const rendered = renderAnnotations({ generation: undefined }, status, problems);
  assert.equal(
    rendered[annotation("problems")],
    "spec.ingress[0].from[1].moons: unknown field, so this part matches nothing; node n2: the table is full",
  );
  const many = Array.from({ length: 1_000 }, () => problems).flat();
  const cut = renderAnnotations({ generation: 1 }, status, many)[annotation("problems")] ?? "";
  assert.equal(cut.length, 2_048);
  assert.match(cut, /\.\.\.$/);
});
