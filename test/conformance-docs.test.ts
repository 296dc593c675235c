import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conformancePage, renderConformancePage } from "../tools/render-conformance.ts";
import { cyclonusCases } from "./conformance/cyclonus.ts";
import { netpolCases } from "./conformance/netpol.ts";
import { profileCases } from "./conformance/profile.ts";

test("docs/conformance.md is what `node tools/render-conformance.ts` renders", () => {
  const page = readFileSync(conformancePage, "utf8");
  assert.equal(page, renderConformancePage(page));
});

test("no two cases have the same name", () => {
  const names = [netpolCases(), profileCases(), ...Object.values(cyclonusCases())].map((cases) =>
    cases.map(({ upstream }) => upstream),
  );
  for (const list of names) assert.equal(new Set(list).size, list.length);
});
