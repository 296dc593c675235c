// B4, tenants arriving: how long until a new namespace's pods and policies are in force, while there are more and more, beside OVN
// on the same Open vSwitch.
//
//   node bench/tenants.bench.ts [--quick]
//
// The shape is that of ovn-heater's netpol_multitenant: a namespace with five pods, closed by default and open within itself, and
// then open to 3 and to 20 external addresses. Isobar: from the first HTTP request to the controller's receipt of the agent's
// confirmation; OVN: from the first transaction in the northbound database to `hv_cfg`. Then the switch is asked what it does with
// a packet between two of the pods, and with one from another namespace, until it does what it should; that time counts. Both
// have a dummy datapath with a port for every pod, and take turns namespace by namespace. CPU is the median processor time of all
// processes of either, which says more than the clock on a busy machine.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { installOvn } from "./ovn.ts";
import { childProcesses, processorMs, until } from "./realisation-switch.ts";
import { IsobarLandlord } from "./tenants-isobar.ts";
import { OvnLandlord } from "./tenants-ovn.ts";
import { type Landlord, type Tenant, tenantsOf } from "./tenants-workload.ts";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const count = values.quick ? 20 : 100;
/** Tenants at either end whose times are compared: growth shows there. */
const part = count / 2;
const warmUp = 3;
const targets = { p50: 12, p99: 40, growth: 1.15 };

/** Milliseconds until the tenant is in force and the switch shows it. */
async function admit(
  landlord: Landlord,
  tenant: Tenant,
  neighbour: Tenant | undefined,
): Promise<number> {
  const begun = performance.now();
  await landlord.admit(tenant);
  const confirmedMs = performance.now() - begun;
  const [one, other] = tenant.pods;
  const stranger = neighbour?.pods[0];
  if (one === undefined || other === undefined) throw new Error("expected two pods");
  // Whoever sends knows the addresses.
  const [from, to] = [await landlord.endOf(one), await landlord.endOf(other)];
  const foreign = stranger && (await landlord.endOf(stranger));
  const asked = performance.now();
  await until(`${landlord.name}: packets within ${tenant.name}`, async () => {
    return (await landlord.passes(from, to)) || undefined;
  });
  if (foreign !== undefined) {
    await until(`${landlord.name}: no packets from ${stranger?.namespace}`, async () => {
      return !(await landlord.passes(foreign, to)) || undefined;
    });
  }
  return confirmedMs + performance.now() - asked;
}

function quantile(times: readonly number[], part_: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part_))] ?? Number.NaN;
}

interface Turn {
  readonly landlord: Landlord;
  readonly processes: ReadonlySet<string>;
  readonly times: number[];
  readonly storing: number[];
  readonly processor: number[];
}

async function startTurn(start: () => Promise<Landlord>): Promise<Turn> {
  const others = childProcesses();
  const landlord = await start();
  const processes = new Set([...childProcesses()].filter((pid) => !others.has(pid)));
  return { landlord, processes, times: [], storing: [], processor: [] };
}

function report({ landlord, times, storing, processor }: Turn): readonly [number, number, number] {
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  const growth = quantile(times.slice(-part), 0.5) / quantile(times.slice(0, part), 0.5);
  const all = [p50, p99, quantile(times, 0), quantile(times, 1)];
  const cells = [...all, quantile(storing, 0.5), quantile(processor, 0.5)].map((ms) =>
    ms.toFixed(1).padStart(9),
  );
  const flows = String(landlord.flowCount()).padStart(9);
  console.log(
    `  ${landlord.name.padEnd(8)}${cells.join("")}${growth.toFixed(2).padStart(9)}${flows}`,
  );
  return [p50, p99, growth];
}

installOvn();
for (const program of ["ovs-vswitchd", "ovn-controller"]) {
  console.log(execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n")[0]);
}
const tenants = tenantsOf(count + warmUp);
await using stack = new AsyncDisposableStack();
const isobar = await startTurn(async () => stack.use(await IsobarLandlord.start(tenants)));
const ovn = await startTurn(async () => stack.use(await OvnLandlord.start(tenants)));
for (const [index, tenant] of tenants.entries()) {
  for (const turn of index % 2 === 0 ? [isobar, ovn] : [ovn, isobar]) {
    const before = processorMs(turn.processes);
    const ms = await admit(turn.landlord, tenant, tenants[index - 1]);
    if (index < warmUp) continue;
    turn.times.push(ms);
    turn.storing.push(turn.landlord.storingMs);
    turn.processor.push(processorMs(turn.processes) - before);
  }
}
console.log(`\n${count} namespaces of 5 pods, one after the other: ms for each`);
console.log("               p50      p99    least     most  storing      CPU   growth    flows");
const [p50, p99, growth] = report(isobar);
const [ovnP50, ovnP99] = report(ovn);
console.log(
  `  OVN's time by Isobar's: ${(ovnP50 / p50).toFixed(2)} at p50, ${(ovnP99 / p99).toFixed(2)} at p99`,
);
const met = (isMet: boolean): string => (isMet ? "met" : "MISSED");
console.log(
  `  targets p50 ${targets.p50} ${met(p50 <= targets.p50)}, p99 ${targets.p99} ${met(p99 <= targets.p99)}, growth ${targets.growth} ${met(growth <= targets.growth)}`,
);
