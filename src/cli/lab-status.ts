import { existsSync } from "node:fs";
import { labPaths } from "../lab/paths.ts";
import type { LabStatus } from "../lab/protocol.ts";
import { notUp, requireLab } from "../lab/start.ts";
import { type OutputFormat, formatTable, print } from "./output.ts";

function yesNo(yes: boolean): string {
  return yes ? "yes" : "no";
}

function formatStatus(status: LabStatus): string {
  const nodes = status.nodes.map((node) => [
    node.name,
    node.address,
    String(node.pods),
    String(node.flows),
    yesNo(node.controllerConnected),
    yesNo(node.inForce),
  ]);
  const hosts = status.externalHosts.map(({ name, addresses, ports }) => [
    name,
    addresses.join(", "),
    ports.join(" "),
  ]);
  const processes = status.processes.map(({ name, pid, restarts }) => [
    name,
    pid === undefined ? "down" : String(pid),
    String(restarts),
  ]);
  const pods = Object.entries(status.pods).map(([phase, count]) => `${count} ${phase}`);
  return [
    `lab ${status.name}: ${status.server}, pods: ${pods.join(", ") || "none"}`,
    "",
    formatTable(["NODE", "ADDRESS", "PODS", "FLOWS", "CONTROLLER", "IN FORCE"], nodes),
    "",
    formatTable(["EXTERNAL HOST", "ADDRESSES", "PORTS"], hosts),
    "",
    formatTable(["PROCESS", "PID", "RESTARTS"], processes),
  ].join("\n");
}

export async function labStatus(options: {
  readonly lab: string;
  readonly output: OutputFormat;
}): Promise<void> {
  const status = await requireLab(labPaths(options.lab));
  print(options.output, status, () => formatStatus(status));
}

export function labKubeconfig({ lab }: { readonly lab: string }): void {
  const { kubeconfig } = labPaths(lab);
  if (!existsSync(kubeconfig)) {
    throw notUp(lab);
  }
  console.log(kubeconfig);
}
