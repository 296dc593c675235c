import { readFileSync } from "node:fs";

/** Isobar's version, as package.json has it. */
export function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const parsed: unknown = JSON.parse(text);
  const found = typeof parsed === "object" && parsed !== null && "version" in parsed;
  return found ? String(parsed.version) : "unknown";
}
