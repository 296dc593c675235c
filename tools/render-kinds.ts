// Writes docs/kinds/: the reference of the kinds that the API serves, from their definitions.
//
//   node tools/render-kinds.ts            writes the files
//   node tools/render-kinds.ts --check    fails when a file is another
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { KindDefinition } from "../src/apimachinery/kind.ts";
import { apiVersionOf } from "../src/apimachinery/object.ts";
import type { Schema } from "../src/apimachinery/schema.ts";
import { kinds } from "../src/kinds/kinds.ts";

const folder = new URL("../docs/kinds/", import.meta.url);

function isOwn(kind: KindDefinition): boolean {
  return kind.group === "isobar.io";
}

function fileName(kind: KindDefinition): string {
  return `${kind.singular}.md`;
}

/** A table whose columns are as wide as their widest cell. */
function renderTable(rows: readonly (readonly string[])[]): string[] {
  const [head = []] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [first = "", ...rest] = rows.map(line);
  return [first, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rest];
}

function typeName(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.join(", ");
  if (schema.type === "array") return `list of ${typeName(schema.items ?? {})}`;
  return schema.type ?? "any";
}

/** One row a field, those of inner objects after their own. */
function fieldRows(schema: Schema, path: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const field = path === "" ? name : `${path}.${name}`;
    const required = schema.required?.includes(name) === true ? "yes" : "";
    const row = [`\`${field}\``, typeName(member), required, member.description ?? ""];
    return [row, ...fieldRows(member.items ?? member, field)];
  });
}

function renderKind(kind: KindDefinition): string {
  const { spec = {}, status } = kind.schema.properties ?? {};
  const fields = [
    ...fieldRows(spec, "spec"),
    ...(status === undefined ? [] : fieldRows(status, "status")),
  ];
  const columns = kind.columns.map(({ name, priority, description }) => [
    name.toUpperCase(),
    priority === 0 ? "" : "`-o wide`",
    description,
  ]);
  const selectable = Object.keys(kind.selectableFields).map((field) => `\`${field}\``);
  return [
    `# ${kind.kind}`,
    "",
    kind.schema.description ?? "",
    "",
    `\`${apiVersionOf(kind)}\`, ${kind.namespaced ? "in a namespace" : "cluster-wide"}; kubectl: \`${[kind.plural, ...kind.shortNames].join("`, `")}\`.`,
    "",
    "## Fields",
    "",
    ...renderTable([["field", "type", "required", "meaning"], ...fields]),
    "",
    "## Columns of `kubectl get`",
    "",
    ...renderTable([["column", "shown", "meaning"], ...columns]),
    "",
    ...(selectable.length > 0 ? [`Field selectors: ${selectable.join(", ")}.`, ""] : []),
  ].join("\n");
}

function renderIndex(): string {
  const rows = kinds.map((kind) => [
    isOwn(kind) ? `[${kind.kind}](${fileName(kind)})` : kind.kind,
    `\`${apiVersionOf(kind)}\``,
    [kind.plural, ...kind.shortNames].join(", "),
    kind.namespaced ? "namespace" : "cluster",
    ["status", ...(kind.subresources ?? [])]
      .filter((name) => name !== "status" || kind.hasStatus)
      .join(", "),
  ]);
  return [
    "# Kinds",
    "",
    "What the API serves. Kinds of Kubernetes have all of its fields (release 1.36), its defaults and its columns; what is",
    "checked beyond a field's type is what decides whether Isobar can act on it. `kubectl explain KIND` says more.",
    "",
    ...renderTable([["kind", "API", "kubectl", "scope", "subresources"], ...rows]),
    "",
  ].join("\n");
}

const files = new Map([
  ["README.md", renderIndex()],
  ...kinds.filter(isOwn).map((kind) => [fileName(kind), renderKind(kind)] as const),
]);
mkdirSync(folder, { recursive: true });
for (const [name, text] of files) {
  const file = new URL(name, folder);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    throw new Error(`docs/kinds/${name} is not what the kinds say: run tools/render-kinds.ts`);
  }
}
