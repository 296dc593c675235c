// Runs the benchmarks named, or all of them, one after the other: node bench/main.ts [--quick] [name...]
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename } from "node:path";

const all = globSync("*.bench.ts", { cwd: import.meta.dirname }).toSorted();
const names = all.map((file) => basename(file, ".bench.ts"));
const options = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const chosen = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const unknown = chosen.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`expected benchmarks out of ${names.join(", ")}, got ${unknown.join(", ")}`);
  process.exit(2);
}
let failed = 0;
for (const name of chosen.length > 0 ? chosen : names) {
  console.log(`\n== ${name}`);
  const file = `${import.meta.dirname}/${name}.bench.ts`;
  const { status } = spawnSync(process.execPath, [file, ...options], { stdio: "inherit" });
  if (status !== 0) failed += 1;
}
process.exitCode = failed > 0 ? 1 : 0;
