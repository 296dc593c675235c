// The main job, shown: a shop on three nodes, its connections before and after its policies, each one held against what
// the evaluator says.
import { fileURLToPath } from "node:url";
import { ApiClient } from "../client/api-client.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { LabError } from "../lab/errors.ts";
import { Expectation, endsOf, formatPort, probesBetween, renderMatrix } from "../lab/matrix.ts";
import { type LabPaths, labPaths } from "../lab/paths.ts";
import type { ExternalHost, ProbeResult } from "../lab/protocol.ts";
import { findLab, stopLab } from "../lab/start.ts";
import { addressOf, explainConnection, formatExplanation } from "./explain.ts";
import { runProbes } from "./lab-probe.ts";
import { Interrupt } from "./interrupt.ts";
import { applyAll, bringUp, nextCommands, settle } from "./lab-up.ts";
import { readManifests } from "./manifest-files.ts";
import { fetchPolicyObjects } from "./policy-objects.ts";
import { Progress } from "./progress.ts";

export interface DemoOptions {
  readonly lab: string;
  readonly once: boolean;
}

const shop = fileURLToPath(new URL("../../examples/shop", import.meta.url));
const nodes = 3;

interface Round {
  readonly results: readonly ProbeResult[];
  readonly mismatches: readonly string[];
  readonly objects: readonly unknown[];
}

/** Opens every connection and compares what happened with what the evaluator says of the same objects. */
async function runRound(paths: LabPaths, hosts: readonly ExternalHost[]): Promise<Round> {
  const client = new ApiClient(loadKubeconfig(paths.kubeconfig), "isobar-demo");
  try {
    const objects = await fetchPolicyObjects(client);
    const pods = objects.filter((object) => isOfKind(object, "Pod"));
    const ends = endsOf(pods, hosts);
    const expectation = new Expectation(objects, hosts);
    const results = await runProbes(paths.socket, probesBetween(ends, ends, 4));
    const mismatches = results.flatMap((result) => {
      const expected = expectation.verdictOf(result);
      if (result.verdict === expected) return [];
      const { from, to, verdict, message = "" } = result;
      return [
        `${from} -> ${to} ${formatPort(result)}: ${verdict} ${message}, expected ${expected}`,
      ];
    });
    return { results, mismatches, objects };
  } finally {
    await client.close();
  }
}

function isOfKind(object: unknown, kind: string): boolean {
  return typeof object === "object" && object !== null && "kind" in object && object.kind === kind;
}

function summary({ results, mismatches }: Round): string {
  const allowed = results.filter(({ verdict }) => verdict === "allowed").length;
  const agreement =
    mismatches.length === 0
      ? "every one as the evaluator says"
      : `${mismatches.length} not as the evaluator says`;
  return `${results.length} connections: ${allowed} got through, ${results.length - allowed} did not; ${agreement}`;
}

/** Denials worth a look: one for each pair of applications that has a port allowed or whose ends are in one namespace. */
function interestingDenials({ results }: Round): ProbeResult[] {
  const wanted = [
    ["shop/web", "shop/cart-redis"],
    ["shop/recommendation", "shop/catalog"],
    ["monitoring/grafana", "shop/web"],
    ["shop/checkout", "payments/ledger"],
    ["payments/ledger", "bank"],
  ] as const;
  return wanted.flatMap(([from, to]) => {
    const denied = results.find(
      (result) =>
        result.verdict === "denied" && result.from.startsWith(from) && result.to.startsWith(to),
    );
    return denied === undefined ? [] : [denied];
  });
}

function explainDenials(round: Round, hosts: readonly ExternalHost[]): string {
  return interestingDenials(round)
    .map((denied) => {
      const query = {
        source: addressOf(hosts, denied.from),
        destination: addressOf(hosts, denied.to),
        port: formatPort(denied),
      };
      return formatExplanation(query, explainConnection(round.objects, query));
    })
    .join("\n\n");
}

function show(title: string, round: Round): void {
  console.log(`\n== ${title}\n\n${renderMatrix(round.results)}\n\n${summary(round)}`);
  for (const mismatch of round.mismatches) console.log(`  ${mismatch}`);
}

async function runDemo(
  paths: LabPaths,
  hosts: readonly ExternalHost[],
  progress: Progress,
): Promise<boolean> {
  const manifests = readManifests([shop]);
  const policies = manifests.filter(({ kind }) => kind === "NetworkPolicy");
  const others = manifests.filter(({ kind }) => kind !== "NetworkPolicy");
  progress.say(`applying ${others.length} objects of examples/shop, without its policies`);
  await applyAll(paths, others);
  await settle(paths, progress);
  progress.say("opening every connection, with no policy yet");
  const before = await runRound(paths, hosts);
  show("before the policies", before);
  progress.say(`applying ${policies.length} policies`);
  await applyAll(paths, policies);
  await settle(paths, progress);
  progress.say("opening every connection again");
  const after = await runRound(paths, hosts);
  show("with the policies", after);
  console.log(`\n== why some were denied\n\n${explainDenials(after, hosts)}\n`);
  return before.mismatches.length + after.mismatches.length === 0;
}

/** Sets the exit code: 0 when every verdict was as the evaluator says. */
export async function demo({ lab, once }: DemoOptions): Promise<void> {
  const paths = labPaths(lab);
  const progress = new Progress();
  if ((await findLab(paths)) !== undefined) {
    throw new LabError(
      `lab "${lab}" is up already: take it down, or give the demo another one with --lab`,
    );
  }
  using interrupt = new Interrupt();
  const { status } = await bringUp(paths, nodes, progress, interrupt.signal);
  let agreed = false;
  try {
    agreed = await interrupt.orThrow(runDemo(paths, status.externalHosts, progress));
  } finally {
    if (once || interrupt.signal.aborted) {
      progress.say("tearing everything down");
      await stopLab(paths);
    }
  }
  progress.say(agreed ? "every verdict was as the evaluator says" : "some verdicts differ");
  if (!once) console.log(nextCommands(lab));
  process.exitCode = agreed ? 0 : 1;
}
