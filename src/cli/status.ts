import { ApiClient } from "../client/api-client.ts";
import { loadClientConfig } from "../client/in-cluster.ts";
import { type ClusterFacts, type ProgramFact, readClusterFacts } from "./cluster-facts.ts";
import { versionIn } from "./metric-values.ts";
import { type OutputFormat, formatTable, print } from "./output.ts";

export interface StatusOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly output: OutputFormat;
}

type Cell = string | number | boolean | undefined;
/** Columns in their order. */
type Row = Readonly<Record<string, Cell>>;

function nodeStatus(node: string, agent: ProgramFact | undefined): Row {
  const read = (name: string): number | undefined => agent?.metrics?.get(`isobar_agent_${name}`);
  const flag = (name: string): boolean | undefined => {
    const value = read(name);
    return value === undefined ? undefined : value === 1;
  };
  return {
    node,
    agent: agent?.pod ?? "",
    version: agent?.metrics && versionIn(agent.metrics),
    ready: agent?.ready ?? false,
    controllerConnected: flag("controller_connected"),
    switchConnected: flag("switch_connected"),
    endpoints: read("attached_endpoints"),
    flows: read("flows"),
    dns: flag("dns_listening"),
  };
}

function statusOf(facts: ClusterFacts): {
  readonly controllers: readonly Row[];
  readonly nodes: readonly Row[];
} {
  const controllers = facts.controllers.map(({ pod, node, ready, metrics }) => ({
    pod,
    node,
    ready,
    version: metrics && versionIn(metrics),
    agentsConnected: metrics?.get("isobar_controller_agents_connected"),
    agentsInForce: metrics?.get("isobar_controller_agents_in_force"),
    endpoints: metrics?.get("isobar_controller_endpoints"),
    identities: metrics?.get("isobar_controller_identities"),
  }));
  const nodes = facts.nodes.map(({ name }) =>
    nodeStatus(
      name,
      facts.agents.find(({ node }) => node === name),
    ),
  );
  return { controllers, nodes };
}

function cell(value: Cell): string {
  if (value === undefined || value === "") return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

function table(head: readonly string[], rows: readonly Row[]): string {
  return formatTable(
    head,
    rows.map((row) => Object.values(row).map(cell)),
  );
}

/** How Isobar does on a cluster. What cannot be read shows as a dash. */
export async function status({ kubeconfig, namespace, output }: StatusOptions): Promise<void> {
  const client = new ApiClient(loadClientConfig(kubeconfig), "isobar-status");
  try {
    const found = statusOf(await readClusterFacts(client, namespace));
    print(output, found, () => {
      return [
        table(
          [
            "CONTROLLER",
            "NODE",
            "READY",
            "VERSION",
            "AGENTS",
            "IN FORCE",
            "ENDPOINTS",
            "IDENTITIES",
          ],
          found.controllers,
        ),
        "",
        table(
          ["NODE", "AGENT", "VERSION", "READY", "CONTROLLER", "SWITCH", "ENDPOINTS", "FLOWS"],
          found.nodes,
        ),
      ].join("\n");
    });
  } finally {
    await client.close();
  }
}
