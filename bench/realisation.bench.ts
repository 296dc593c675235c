// B3, realisation: how long from the API call to the switch's confirmation, beside OVN on the same Open vSwitch.
//
//   node bench/realisation.bench.ts [--quick] [CASE ...]
//
// Isobar: from the HTTP request that creates NetworkPolicies to the controller's receipt of the agent's confirmation.
// OVN: from the transaction in the northbound database to `hv_cfg`. Both have a dummy datapath with a port for every
// endpoint, the same groups, and are otherwise idle while the other is measured. Isobar isolates by the policies themselves;
// OVN's rule that drops by default is in force beforehand. CPU is the median processor time of all processes of either
// contender, which says more than the clock on a busy machine.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { Isobar, type IsobarOptions } from "./realisation-isobar.ts";
import { installOvn } from "./ovn.ts";
import { Ovn } from "./realisation-ovn.ts";
import { childProcesses, processorMs } from "./realisation-switch.ts";
import { type Contender, type Shape, extraRule, shapesOf } from "./realisation-workload.ts";

const steps = [
  "realise",
  "+1 rule",
  "-1 rule",
  "+1 endpoint",
  "-1 endpoint",
  "remove all",
] as const;
type Step = (typeof steps)[number];

/** In ms. */
const targets: Partial<Record<Step, number>> = {
  realise: 120,
  "+1 rule": 5,
  "+1 endpoint": 8,
  "remove all": 200,
};

interface Case {
  readonly shape: Shape;
  readonly isobar?: Pick<IsobarOptions, "identityPerEndpoint" | "policyPerRule">;
  /** Rounds of OVN; without it those of the same shape before are shown again. */
  readonly ovnRounds?: number;
}

interface Measured {
  readonly times: Record<Step, number[]>;
  /** The part of them until the change was stored. */
  readonly storing: Record<Step, number[]>;
  /** Processor time of all of the contender's processes meanwhile. */
  readonly processor: Record<Step, number[]>;
  readonly flows: number[];
}

interface Turn {
  readonly contender: Contender;
  readonly processes: ReadonlySet<string>;
  readonly measured: Measured;
}

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [perSide, ruleCount, rounds] = values.quick ? [50, 20, 5] : [500, 100, 5];
/** Single changes in each round. */
const singles = 3;

const shapes = shapesOf(ruleCount);
const cases: Readonly<Record<string, Case>> = {
  // A round of this shape takes OVN half a minute.
  separate: { shape: shapes.separate, ovnRounds: values.quick ? 5 : 3 },
  merged: { shape: shapes.merged, ovnRounds: 5 },
  pairs: { shape: shapes.pairs, ovnRounds: 5 },
  "policy-per-rule": { shape: shapes.separate, isobar: { policyPerRule: true } },
  "identity-per-endpoint": { shape: shapes.separate, isobar: { identityPerEndpoint: true } },
};

async function time(
  { contender, processes, measured }: Turn,
  step: Step,
  run: () => Promise<void>,
): Promise<void> {
  const processorBefore = processorMs(processes);
  const begun = performance.now();
  await run();
  measured.times[step].push(performance.now() - begun);
  measured.storing[step].push(contender.storedAtMs - begun);
  measured.processor[step].push(processorMs(processes) - processorBefore);
}

async function runRound(turn: Turn, shape: Shape): Promise<void> {
  const { contender, measured } = turn;
  const before = contender.flowCount();
  await time(turn, "realise", () => contender.applyRules(shape.rules));
  measured.flows.push(contender.flowCount() - before);
  for (let n = 0; n < singles; n++) {
    await time(turn, "+1 rule", () => contender.addRule(extraRule));
    await time(turn, "-1 rule", () => contender.removeRule());
    await time(turn, "+1 endpoint", () => contender.addEndpoint());
    await time(turn, "-1 endpoint", () => contender.removeEndpoint());
  }
  await time(turn, "remove all", () => contender.removeRules());
  const after = contender.flowCount();
  if (after !== before) {
    throw new Error(`${contender.name}: expected ${before} flows without rules, got ${after}`);
  }
}

function noTimes(): Measured["times"] {
  return {
    realise: [],
    "+1 rule": [],
    "-1 rule": [],
    "+1 endpoint": [],
    "-1 endpoint": [],
    "remove all": [],
  };
}

function nothing(): Measured {
  return { times: noTimes(), storing: noTimes(), processor: noTimes(), flows: [] };
}

async function startTurn(start: () => Promise<Contender>): Promise<Turn> {
  const others = childProcesses();
  const contender = await start();
  const processes = new Set([...childProcesses()].filter((pid) => !others.has(pid)));
  return { contender, processes, measured: nothing() };
}

/** The contenders take turns; the first round of each warms up. */
async function measure({ shape, isobar = {}, ovnRounds = 0 }: Case): Promise<Measured[]> {
  const options = { perSide, pairs: shape.pairs };
  await using stack = new AsyncDisposableStack();
  const ours = await startTurn(async () =>
    stack.use(await Isobar.start({ ...options, ...isobar })),
  );
  const turns = [{ ...ours, rounds }];
  if (ovnRounds > 0) {
    const theirs = await startTurn(async () => stack.use(await Ovn.start(options)));
    turns.push({ ...theirs, rounds: ovnRounds });
  }
  for (let round = 0; round <= rounds; round++) {
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      if (round > turn.rounds) continue;
      await runRound(round === 0 ? { ...turn, measured: nothing() } : turn, shape);
    }
  }
  return turns.map(({ measured }) => measured);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

function spread(numbers: readonly number[]): string {
  const show = (ms: number): string => ms.toFixed(ms < 99.95 ? 1 : 0);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  return `${show(median(numbers))} (${show(low)}–${show(high)})`;
}

function row(...cells: readonly string[]): string {
  const [first = "", ...rest] = cells;
  return `  ${first.padEnd(14)}${rest.map((cell) => cell.padEnd(22)).join("")}`.trimEnd();
}

/** The most flows that the rules may add: endpoints of both groups, port entries, rules, and a constant. */
function flowTarget({ rules }: Shape): number {
  const ports = rules.reduce((sum, rule) => sum + rule.ports.length, 0);
  return perSide * 2 + ports + rules.length + 64;
}

function report(name: string, { shape }: Case, [ours, theirs]: readonly Measured[]): void {
  const roundCounts = `rounds: ${ours?.flows.length} and ${theirs?.flows.length}`;
  console.log(`\n${name}: ${shape.name}, ${perSide} × ${perSide} endpoints; ${roundCounts}`);
  console.log(row("ms", "Isobar", "of it storing", "OVN", "ratio", "CPU", "target"));
  for (const step of steps) {
    const [a = [], b = []] = [ours?.times[step], theirs?.times[step]];
    const storing = spread(ours?.storing[step] ?? []);
    const ratio = `${(median(b) / median(a)).toFixed(1)} x faster`;
    const [mine, other] = [ours, theirs].map((one) =>
      median(one?.processor[step] ?? []).toFixed(1),
    );
    const target = targets[step];
    const met = target === undefined ? "" : `${target} ${median(a) <= target ? "met" : "MISSED"}`;
    console.log(row(step, spread(a), storing, spread(b), ratio, `${mine} / ${other}`, met));
  }
  const [a, b] = [median(ours?.flows ?? []), median(theirs?.flows ?? [])];
  const most = flowTarget(shape);
  const met = `${most} ${a <= most ? "met" : "MISSED"}`;
  console.log(
    row("flows added", String(a), "", String(b), `${(b / a).toFixed(1)} x fewer`, "", met),
  );
}

const unknown = positionals.filter((name) => !Object.hasOwn(cases, name));
if (unknown.length > 0) {
  console.error(
    `expected cases out of ${Object.keys(cases).join(", ")}, got ${unknown.join(", ")}`,
  );
  process.exit(2);
}
installOvn();
for (const program of ["ovs-vswitchd", "ovn-controller"]) {
  console.log(execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n")[0]);
}
const ofOvn = new Map<Shape, Measured>();
for (const [name, one] of Object.entries(cases)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const [isobar = nothing(), ovn = ofOvn.get(one.shape) ?? nothing()] = await measure(one);
  ofOvn.set(one.shape, ovn);
  report(name, one, [isobar, ovn]);
}
