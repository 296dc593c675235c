import { ApiClient } from "../client/api-client.ts";
import { loadClientConfig } from "../client/in-cluster.ts";
import { labPaths } from "../lab/paths.ts";
import type { LabStatus } from "../lab/protocol.ts";
import { requireLab } from "../lab/start.ts";
import { readClusterFacts } from "./cluster-facts.ts";
import { type Finding, bad, exitCodeOf, good } from "./finding.ts";
import { judgeAfter, judgeBefore, judgePods } from "./judge-cluster.ts";
import { judgeNode } from "./judge-node.ts";
import { type NodePlaces, readNodeFacts } from "./node-facts.ts";
import { type OutputFormat, formatTable, print } from "./output.ts";

export interface CheckOptions {
  readonly output: OutputFormat;
}

export interface NodeCheckOptions extends CheckOptions, NodePlaces {
  readonly cniConfFile: string;
  readonly tunnelUdpPort: number;
}

const marks = { ok: "ok", warning: "WARNING", error: "ERROR", unknown: "UNKNOWN" } as const;

function report(output: OutputFormat, findings: readonly Finding[]): void {
  print(output, findings, () => {
    const rows = findings.map(({ check, level, message, action }) => [
      marks[level],
      check,
      action === undefined ? message : `${message}\n-> ${action}`,
    ]);
    return formatTable(["", "CHECK", "FOUND"], rows);
  });
  process.exitCode = exitCodeOf(findings);
}

/** This machine, as a node. */
export async function checkNode(options: NodeCheckOptions): Promise<void> {
  report(options.output, judgeNode(await readNodeFacts(options), options));
}

export interface ClusterCheckOptions extends CheckOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  /** Whether Isobar is still to be installed. */
  readonly before: boolean;
}

export async function checkCluster(options: ClusterCheckOptions): Promise<void> {
  const { output, kubeconfig, namespace, before } = options;
  const client = new ApiClient(loadClientConfig(kubeconfig), "isobar-check");
  try {
    const facts = await readClusterFacts(client, namespace);
    report(output, [...judgeBefore(facts), ...(before ? [] : judgeAfter(facts))]);
  } finally {
    await client.close();
  }
}

export async function checkLab({ lab, output }: CheckOptions & { lab: string }): Promise<void> {
  const paths = labPaths(lab);
  const status = await requireLab(paths);
  const client = new ApiClient(loadClientConfig(paths.kubeconfig), "isobar-check");
  try {
    const facts = await readClusterFacts(client, "isobar-system");
    const [version, ...others] = judgeBefore(facts);
    const pools = others.filter(({ check }) => check === "pools");
    const cluster = version === undefined ? pools : [version, ...pools];
    const after = judgeAfter(facts).filter(({ check }) => check === "addresses");
    report(output, [...cluster, ...judgeLab(status), ...after, judgePods(facts)]);
  } finally {
    await client.close();
  }
}

function judgeLab({ processes, nodes, directory }: LabStatus): Finding[] {
  const down = processes.filter(({ pid }) => pid === undefined).map(({ name }) => name);
  const headless = nodes.filter(({ controllerConnected }) => !controllerConnected);
  const behind = nodes.filter(({ inForce }) => !inForce);
  const names = (list: typeof nodes): string => list.map(({ name }) => name).join(", ");
  return [
    down.length === 0
      ? good("processes", `${processes.length} run`)
      : bad("processes", `down: ${down.join(", ")}`, `their logs are in ${directory}`),
    headless.length === 0
      ? good("agents", `all of ${nodes.length} have the controller`)
      : bad(
          "agents",
          `without a controller: ${names(headless)}`,
          `look into ${directory}/agent-*.log`,
        ),
    behind.length === 0
      ? good("in-force", "every node has confirmed what concerns it")
      : bad(
          "in-force",
          `not confirmed yet: ${names(behind)}`,
          "try again; then see the nodes' logs",
        ),
  ];
}
