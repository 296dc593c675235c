import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** The token that a file holds (mode 0600); made when there is none. */
export function openToken(path: string, make: () => string): string {
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const token = make();
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  return token;
}
