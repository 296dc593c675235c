// Renders the mechanical parts of docs/ovs-pipeline.md from the lists and from the example's flows:
// `node tools/render-pipeline-docs.ts`. A test compares the file with what this renders.
import { readFileSync, writeFileSync } from "node:fs";
import { formatFlow } from "../src/openflow/format.ts";
import type { Flow } from "../src/openflow/flow.ts";
import { decodeCookie, features } from "../src/pipeline/cookie.ts";
import { describeCookie } from "../src/pipeline/describe.ts";
import { namesOf } from "../src/pipeline/names.ts";
import { LocalNumbers, type NumberKind } from "../src/pipeline/numbers.ts";
import { type Register, registerNames, registers } from "../src/pipeline/registers.ts";
import { type Table, type TableName, tableNames, tables } from "../src/pipeline/tables.ts";
import { examplePipeline } from "./pipeline-example.ts";
import { renderParts } from "./rendered-parts.ts";

/** The page, as a URL of the file. */
export const pipelinePage = new URL("../docs/ovs-pipeline.md", import.meta.url);

function renderRows(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, at) =>
    Math.max(...[header, ...rows].map((row) => row[at]?.length ?? 0)),
  );
  const lines = [header, widths.map((width) => "-".repeat(width)), ...rows];
  const renderLine = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return lines.map(renderLine).join("\n");
}

function missOf({ miss, reserved }: Table): string {
  if (reserved === true) return "reserved";
  return miss;
}

function renderTables(): string {
  return renderRows(
    ["number", "table", "no match", "purpose"],
    tableNames.map((name) => {
      const table: Table = tables[name];
      return [String(table.number), `\`${name}\``, missOf(table), table.purpose];
    }),
  );
}

function renderRegisters(): string {
  return renderRows(
    ["register", "bits", "alive", "holds"],
    registerNames.map((name) => {
      const { field, offset, bits, live, purpose }: Register = registers[name];
      const last = offset + bits - 1;
      const lives = live.map(([from, to]) => (from === to ? from : `${from} to ${to}`));
      return [`\`${name}\``, `\`${field}[${offset}..${last}]\``, lives.join(", "), purpose];
    }),
  );
}

function renderCookies(): string {
  return renderRows(
    ["code", "feature", "number is that of a"],
    namesOf(features).map((name) => {
      const { code, counts } = features[name];
      return [`0x${code.toString(16).padStart(2, "0")}`, `\`${name}\``, counts];
    }),
  );
}

const exampleNumbers = new LocalNumbers();
const exampleFlows = [...examplePipeline(exampleNumbers).flows()];

function keyOf(kind: NumberKind, number: number): string | undefined {
  const entries = [...exampleNumbers.entries()];
  return entries.find((entry) => entry.kind === kind && entry.number === number)?.key;
}

/** The flow, and before it what its cookie says. */
function renderFlow(flow: Flow): string {
  const { cookie: number, ...rest } = flow;
  const cookie = decodeCookie(number);
  const words = cookie === undefined ? "not ours" : describeCookie(cookie, keyOf);
  return `# ${words}\n${formatFlow({ ...rest, cookie: 0n })}`;
}

/** The flows of those tables but for their misses, in the order in which the switch tries them. */
function renderFlows(...names: readonly TableName[]): string {
  const numbers = names.map((name) => tables[name].number);
  const flows = exampleFlows
    .filter(({ table }) => numbers.some((number) => number === table))
    .filter(({ cookie }) => decodeCookie(cookie)?.feature !== "miss")
    .toSorted((a, b) => a.table - b.table || b.priority - a.priority);
  return ["```", ...flows.map(renderFlow), "```"].join("\n");
}

const parts: Readonly<Record<string, () => string>> = {
  tables: renderTables,
  registers: renderRegisters,
  cookies: renderCookies,
  entry: () => renderFlows("Classify", "TunnelDomain", "SpoofGuard"),
  lookups: () => renderFlows("Endpoint", "Region"),
  egress: () => renderFlows("EgressRule", "EgressPosture"),
  ingress: () => renderFlows("IngressGate", "IngressRule", "IngressPosture"),
  exit: () => renderFlows("Commit", "Forward", "Output", "TunnelOutput"),
};

/** The page with everything between its markers rendered again. @throws {Error} when a marker names no part */
export function renderPipelinePage(page: string): string {
  return renderParts(page, parts);
}

if (import.meta.main) {
  const page = readFileSync(pipelinePage, "utf8");
  writeFileSync(pipelinePage, renderPipelinePage(page));
}
