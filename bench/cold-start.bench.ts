// B1, cold start: how long from all inputs in memory to one serialised message for each of 1,000 nodes.
//
//   node bench/cold-start.bench.ts [--quick] [WORKLOAD ...]
//
// Contenders take turns, each round in a fresh process: the first run of a process is cold, as a controller's start is;
// the second is warm. RSS is the process's after the cold run, inputs included.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { type WorkloadKind, workloads } from "./antrea-workloads.ts";
import { runIsobar, runProbe } from "./contenders.ts";

const contenders = { isobar: runIsobar, probe: runProbe };
type Contender = keyof typeof contenders;

interface Round {
  readonly coldMs: number;
  readonly warmMs: number;
  /** Processor time of the cold run, all threads: what is left of it on a busy machine. */
  readonly coldCpuMs: number;
  /** Before the run, with the inputs in memory. */
  readonly inputsMegabytes: number;
  readonly afterMegabytes: number;
  readonly characters: number;
  readonly messages: number;
}

function isWorkload(name: string): name is keyof typeof workloads {
  return Object.hasOwn(workloads, name);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

/** In the child process. */
function runRound(contender: Contender, kind: WorkloadKind, scale: number): Round {
  const workload = kind.build(scale);
  // What the generator threw away is not the contender's.
  globalThis.gc?.();
  const inputsMegabytes = megabytes(process.memoryUsage.rss());
  const run = contenders[contender];
  const cpu = process.cpuUsage();
  const start = performance.now();
  const { characters, messages } = run(workload);
  const coldMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const afterMegabytes = megabytes(process.memoryUsage.rss());
  const again = performance.now();
  run(workload);
  const warmMs = performance.now() - again;
  const coldCpuMs = (user + system) / 1000;
  return { coldMs, warmMs, coldCpuMs, inputsMegabytes, afterMegabytes, characters, messages };
}

function spawnRound(contender: Contender, workload: string, scale: number): Round {
  const round = ["--round", contender, "--scale", String(scale), workload];
  const text = execFileSync(process.execPath, ["--expose-gc", import.meta.filename, ...round], {
    encoding: "utf8",
  });
  const result: Round = JSON.parse(text);
  return result;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  const low = Math.round(Math.min(...values));
  return `${Math.round(median(values))} ms (${low}–${Math.round(Math.max(...values))})`;
}

function report(
  name: string,
  kind: WorkloadKind,
  rounds: Record<Contender, readonly Round[]>,
): void {
  console.log(`\n${name}`);
  for (const contender of ["isobar", "probe"] as const) {
    const of = rounds[contender];
    const [first] = of;
    console.log(
      [
        `  ${contender.padEnd(7)} cold ${spread(of.map((round) => round.coldMs))}`,
        `CPU ${spread(of.map((round) => round.coldCpuMs))}`,
        `warm ${spread(of.map((round) => round.warmMs))}`,
        `RSS ${median(of.map((round) => round.afterMegabytes))} MB (inputs ${first?.inputsMegabytes})`,
        `${first?.messages} messages, ${megabytes(first?.characters ?? 0)} MB`,
      ].join("; "),
    );
  }
  const ratio = (pick: (round: Round) => number) =>
    (median(rounds.isobar.map(pick)) / median(rounds.probe.map(pick))).toFixed(2);
  console.log(
    `  isobar / probe: cold ${ratio((round) => round.coldMs)}, CPU ${ratio((round) => round.coldCpuMs)}, warm ${ratio((round) => round.warmMs)}`,
  );
  if (kind.antrea !== undefined) {
    const { seconds, megabytes: heap } = kind.antrea;
    console.log(`  Antrea publishes: ${seconds} s, ${heap} MB of heap`);
  }
}

const { values, positionals } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    round: { type: "string" },
    scale: { type: "string" },
  },
  allowPositionals: true,
});
const chosen = positionals.length > 0 ? positionals : Object.keys(workloads);
const scale = values.scale === undefined ? (values.quick ? 0.1 : 1) : Number(values.scale);
const roundCount = values.quick ? 2 : 5;
for (const name of chosen) {
  if (!isWorkload(name)) {
    console.error(`expected workloads out of ${Object.keys(workloads).join(", ")}, got ${name}`);
    process.exit(2);
  }
  if (values.round === "isobar" || values.round === "probe") {
    console.log(JSON.stringify(runRound(values.round, workloads[name], scale)));
    continue;
  }
  const rounds = { isobar: [] as Round[], probe: [] as Round[] };
  for (let round = 0; round < roundCount; round++) {
    for (const contender of ["isobar", "probe"] as const) {
      rounds[contender].push(spawnRound(contender, name, scale));
    }
  }
  report(name, workloads[name], rounds);
}
