// Runs every test, in stages: what needs nothing but Node first, then what needs Open vSwitch, then what needs network
// namespaces (one file at a time: they measure real packets). Some stages run only when they are named: chart and cluster need
// Helm and a Kubernetes, which are built once; conformance and chaos are tests of the lab's that take longer here. Ends with one
// line that counts them all.
import { globSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";

interface Stage {
  readonly name: string;
  readonly files: readonly string[];
  readonly concurrency: number;
  /** It needs network namespaces. */
  readonly root?: boolean;
  /** Only when it is named. */
  readonly onDemand?: boolean;
  /** Longest that one of its files may take. */
  readonly timeoutMinutes?: number;
  /** Makes its tests thorough. */
  readonly environment?: Readonly<Record<string, string>>;
}

const stages: readonly Stage[] = [
  {
    name: "unit",
    files: ["src/**/*.test.ts", "test/*.test.ts", "test/controller/*.test.ts"],
    concurrency: 2,
  },
  { name: "ovs", files: ["test/ovs/*.test.ts"], concurrency: 2 },
  { name: "lab", files: ["test/lab/*.test.ts"], concurrency: 1, root: true },
  // Needs Go, to build Helm once.
  { name: "chart", files: ["test/chart/*.test.ts"], concurrency: 2, onDemand: true },
  {
    name: "cluster",
    files: ["test/cluster/*.test.ts"],
    concurrency: 1,
    root: true,
    onDemand: true,
  },
  {
    name: "conformance",
    files: ["test/lab/conformance.test.ts"],
    concurrency: 1,
    root: true,
    onDemand: true,
    timeoutMinutes: 600,
    environment: { ISOBAR_TEST_CONFORMANCE: "all" },
  },
  {
    name: "chaos",
    files: ["test/lab/chaos.test.ts"],
    concurrency: 1,
    root: true,
    onDemand: true,
    timeoutMinutes: 600,
    environment: { ISOBAR_TEST_MINUTES: process.env["ISOBAR_TEST_MINUTES"] ?? "10" },
  },
];

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

async function runStage(stage: Stage, count: Count): Promise<void> {
  const files = stage.files.flatMap((pattern) => globSync(pattern)).toSorted();
  process.stdout.write(`\n== ${stage.name}: ${files.length} files\n`);
  // A failed test may leave something open: then its file ends here. Node's own forced exit would lose what files have told
  // last.
  const limits = { timeout: (stage.timeoutMinutes ?? 10) * 60_000 };
  Object.assign(process.env, stage.environment);
  const stream = run({ files, concurrency: stage.concurrency, ...limits });
  // A file's own entry repeats what its tests said; it counts only when the file itself broke.
  stream.on("test:pass", ({ details, skip, todo }) => {
    if (details.type === "suite") return;
    if (skip !== undefined || todo !== undefined) count.skipped += 1;
    else count.passed += 1;
  });
  stream.on("test:fail", ({ details }) => {
    if (details.type !== "suite") count.failed += 1;
  });
  for await (const text of stream.compose<NodeJS.ReadableStream>(new spec()))
    process.stdout.write(text);
}

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  const names = stages.map((stage) => stage.name).join(", ");
  process.stderr.write(`expected stages out of ${names}, got ${unknown.join(", ")}\n`);
  process.exit(2);
}
const wanted = stages.filter(({ name, onDemand = false }) =>
  chosen.length === 0 ? !onDemand : chosen.includes(name),
);
const needRoot = wanted.filter(({ root = false }) => root).map(({ name }) => name);
if (needRoot.length > 0 && process.geteuid?.() !== 0) {
  process.stderr.write(
    `the tests of ${needRoot.join(" and ")} need root; without it: ./isobar test unit ovs\n`,
  );
  process.exit(2);
}
const count: Count = { passed: 0, failed: 0, skipped: 0 };
for (const stage of wanted) await runStage(stage, count);
const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
process.stdout.write(`\n${count.passed} passed, ${count.failed} failed${skipped}\n`);
// Tests may leave sockets behind; the verdict is known.
process.exit(count.failed > 0 || count.passed === 0 ? 1 : 0);
