// What commands print: tables for people, JSON and YAML for programs.
import Table from "cli-table3";
import { Option } from "commander";
import { stringify } from "yaml";

const outputFormats = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export function outputOption(): Option {
  return new Option("-o, --output <format>", "how to print")
    .choices(outputFormats)
    .default("table");
}

const frameParts = (
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right " +
  "left left-mid mid mid-mid right right-mid middle"
).split(" ");

/** Rows without frames, columns two spaces apart, as kubectl prints them. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = Object.fromEntries(frameParts.map((part) => [part, ""]));
  const style = { head: [], border: [], "padding-left": 0, "padding-right": 2 };
  const table = new Table({ chars: none, style });
  table.push([...head], ...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** JSON is one value a line for lists, so that it can be read while it comes. */
export function print(format: OutputFormat, value: unknown, table: () => string): void {
  switch (format) {
    case "json": {
      const items: readonly unknown[] = Array.isArray(value) ? value : [value];
      for (const item of items) console.log(JSON.stringify(item));
      return;
    }
    case "yaml":
      process.stdout.write(stringify(value));
      return;
    case "table":
      console.log(table());
      return;
  }
}
