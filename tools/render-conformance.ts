// Renders the lists of docs/conformance.md from the cases: `node tools/render-conformance.ts`. A test compares the file with
// what this renders.
import { readFileSync, writeFileSync } from "node:fs";
import { type ConformanceCase, families } from "../test/conformance/case.ts";
import { cyclonusCases } from "../test/conformance/cyclonus.ts";
import { dnsCases } from "../test/conformance/dns.ts";
import { netpolCases } from "../test/conformance/netpol.ts";
import type { ProfileCase, ProfileFeature } from "../test/conformance/profile-parts.ts";
import { profileCases } from "../test/conformance/profile.ts";
import { type ServiceCase, serviceCases } from "../test/conformance/services.ts";
import { renderParts } from "./rendered-parts.ts";

/** The page, as a URL of the file. */
export const conformancePage = new URL("../docs/conformance.md", import.meta.url);

/** A case that did not hold would fail its test. */
const result = "holds";

function renderRows(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, at) =>
    Math.max(...[header, ...rows].map((row) => row[at]?.length ?? 0)),
  );
  const lines = [header, widths.map((width) => "-".repeat(width)), ...rows];
  const renderLine = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return lines.map(renderLine).join("\n");
}

function connections({ steps }: ConformanceCase): number {
  const cells = steps.reduce((sum, { expected }) => sum + (expected?.length ?? 0), 0);
  return cells * families.length;
}

function renderNetpol(): string {
  return renderRows(
    ["upstream's case", "connections", "result"],
    netpolCases().map((each) => [each.upstream, String(connections(each)), result]),
  );
}

function renderCyclonus(): string {
  return Object.entries(cyclonusCases())
    .map(([group, cases]) => {
      const rows = cases.map(({ upstream, steps }) => [upstream, String(steps.length), result]);
      return `### ${group}\n\n${renderRows(["upstream's case", "steps", "result"], rows)}`;
    })
    .join("\n\n");
}

const features: Readonly<Record<ProfileFeature, string>> = {
  standard: "Standard features",
  "named ports": "Experimental: named ports",
  "nodes as peers": "Experimental: nodes as peers",
};

function renderProfileRows(cases: readonly ProfileCase[]): string {
  const rows = cases.flatMap(({ upstream, steps }) =>
    steps.map((step) => {
      const count = connections({ upstream, steps: [step] });
      return [upstream, step.name, String(count), result];
    }),
  );
  return renderRows(["upstream's test", "step", "connections", "result"], rows);
}

function renderProfile(): string {
  const cases = profileCases();
  return Object.entries(features)
    .map(([feature, title]) => {
      const own = cases.filter((each) => each.feature === feature);
      return `### ${title}\n\n${renderProfileRows(own)}`;
    })
    .join("\n\n");
}

function renderDns(): string {
  const rows = dnsCases.map(({ upstream, steps, elsewhere }) => {
    const questions = steps.flatMap((step) => step.questions).length;
    return [upstream, questions === 0 ? "" : String(questions), elsewhere ?? result];
  });
  return renderRows(["upstream's case", "questions", "result"], rows);
}

const serviceResults: Readonly<Record<ServiceCase["result"], string>> = {
  packets: result,
  elsewhere: result,
  none: "not run",
};

function renderServices(): string {
  return Object.entries(serviceCases)
    .map(([group, cases]) => {
      const rows = cases.map(({ upstream, result: kind, note = "on real packets" }) => [
        upstream,
        serviceResults[kind],
        note,
      ]);
      return `### ${group}\n\n${renderRows(["upstream's case", "result", "where, or why not"], rows)}`;
    })
    .join("\n\n");
}

const parts: Readonly<Record<string, () => string>> = {
  netpol: renderNetpol,
  cyclonus: renderCyclonus,
  profile: renderProfile,
  dns: renderDns,
  services: renderServices,
};

/** The page with everything between its markers rendered again. @throws {Error} when a marker names no part */
export function renderConformancePage(page: string): string {
  return renderParts(page, parts);
}

if (import.meta.main) {
  const page = readFileSync(conformancePage, "utf8");
  writeFileSync(conformancePage, renderConformancePage(page));
}
