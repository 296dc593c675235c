// What packets pay on their way between two hosts on one node and on two: Isobar with a policy of 1,000 rules, bridges of the
// same switches with one NORMAL flow, OVN with as many ACLs, and the kernel alone. They take turns, measure by measure.
//
//   node bench/forwarding.bench.ts [--quick]
import { createIsobarPaths } from "./forwarding-isobar.ts";
import { createKernelPaths } from "./forwarding-kernel.ts";
import { createOvnPaths } from "./forwarding-ovn.ts";
import { type Path, type Place, places } from "./forwarding-path.ts";
import { type Measure, installTraffic, measures, startServers } from "./forwarding-traffic.ts";

const quick = process.argv.includes("--quick");
const rounds = quick ? 2 : 5;
const seconds = quick ? 1 : 2;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = 0, high = 0] = [
    sorted[sorted.length % 2 === 0 ? middle - 1 : middle],
    sorted[middle],
  ];
  return (low + high) / 2;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Pair by pair, so that what others do on the machine in between counts for both. */
function ratioOf(ours: readonly number[], theirs: readonly number[]): string {
  return format(median(ours.map((value, round) => value / (theirs[round] ?? Number.NaN))));
}

async function measurePaths(
  measure: Measure,
  paths: readonly Path[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const results = new Map(paths.map(({ name }) => [name, Array<number>()]));
  for (const path of paths) await measure.run(path, 1);
  for (let round = 0; round < rounds; round++) {
    for (const path of paths) results.get(path.name)?.push(await measure.run(path, seconds));
  }
  return results;
}

function print(
  place: Place,
  { name, unit }: Measure,
  results: ReadonlyMap<string, readonly number[]>,
): void {
  const ours = results.get("Isobar") ?? [];
  for (const [path, values] of results) {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const range = `${format(median(values))} (${format(least)}-${format(most)}) ${unit}`;
    const ratio = path === "Isobar" ? "" : `Isobar ${ratioOf(ours, values)} times`;
    console.log(
      `${place.padEnd(10)} ${name.padEnd(14)} ${path.padEnd(14)} ${range.padEnd(34)} ${ratio}`,
    );
  }
}

await using stack = new AsyncDisposableStack();
installTraffic();
const contenders = [
  await createIsobarPaths(stack),
  await createOvnPaths(stack),
  createKernelPaths(stack),
];
const byPlace = places.map((place) => [place, contenders.flatMap((each) => each[place])] as const);
await startServers(
  byPlace.flatMap(([, paths]) => paths),
  stack,
);
for (const [place, paths] of byPlace) {
  for (const measure of measures) print(place, measure, await measurePaths(measure, paths));
}
