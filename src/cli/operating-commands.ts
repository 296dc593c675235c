// Commands for those who run a cluster: is it sound, how does it do, and what to send to those who help.
import { type Command, InvalidArgumentError, Option } from "commander";
import { defaultConfigPath } from "../client/in-cluster.ts";
import { labOption, requireRoot } from "./options.ts";
import { outputOption } from "./output.ts";

function parseSize(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("expected a number of MiB");
  return Number(text);
}

function parsePortNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError("expected a port, 1 to 65535");
  }
  return port;
}

function kubeconfigOption(): Option {
  const description = "how to reach the API server; in-cluster for the pod's service account";
  return new Option("--kubeconfig <file>", description).default(
    defaultConfigPath(),
    "$KUBECONFIG, else the service account, else ~/.kube/config",
  );
}

function namespaceOption(): Option {
  return new Option("-n, --namespace <name>", "where Isobar is installed").default("isobar-system");
}

function addChecks(program: Command): void {
  const check = program
    .command("check")
    .description("say whether Isobar can run, or runs as it should, and what to do where not");
  check
    .command("cluster", { isDefault: true })
    .description("a cluster, through its API server")
    .addOption(kubeconfigOption())
    .addOption(namespaceOption())
    .option("--before", "only what must hold before Isobar is installed", false)
    .addOption(outputOption())
    .action(async (options) => (await import("./check.ts")).checkCluster(options));
  check
    .command("node")
    .description("this machine, as a node: kernel, Open vSwitch, MTU, ports, other networks")
    .option("--cni-conf-dir <dir>", "the runtime's configurations", "/etc/cni/net.d")
    .option("--cni-bin-dir <dir>", "the runtime's plugins", "/opt/cni/bin")
    .option("--cni-conf-file <name>", "Isobar's own configuration", "10-isobar.conflist")
    .option("--run-dir <dir>", "Open vSwitch's run directory", "/run/openvswitch")
    .option("--agent-socket <path>", "the agent's socket", "/run/isobar/agent.sock")
    .option("--tunnel-udp-port <port>", "UDP port of VXLAN", parsePortNumber, 4789)
    .addOption(outputOption())
    .action(async (options) => (await import("./check.ts")).checkNode(options));
  check
    .command("lab")
    .description("a lab on this machine")
    .addOption(labOption())
    .addOption(outputOption())
    .hook("preAction", requireRoot)
    .action(async (options) => (await import("./check.ts")).checkLab(options));
}

function addSupportBundle(program: Command): void {
  const bundle = program
    .command("support-bundle")
    .description("collect in one archive what others need to see what is wrong; no Secrets");
  const add = (name: string, description: string): Command =>
    bundle
      .command(name, { isDefault: name === "cluster" })
      .description(description)
      .option("-f, --file <path>", "where to write it; - for standard output")
      .option(
        "--max-size-mib <number>",
        "most that is collected, before compression",
        parseSize,
        256,
      );
  add("cluster", "objects, logs and metrics, through the API server")
    .addOption(kubeconfigOption())
    .addOption(namespaceOption())
    .action(async (options) => (await import("./support-bundle.ts")).bundleCluster(options));
  add("node", "flows, database and network of this node")
    .option("--run-dir <dir>", "Open vSwitch's run directory", "/run/openvswitch")
    .option("--bridge <name>", "Isobar's bridge", "br-int")
    .action(async (options) => (await import("./support-bundle.ts")).bundleNode(options));
  add("lab", "all of a lab on this machine")
    .addOption(labOption())
    .hook("preAction", requireRoot)
    .action(async (options) => (await import("./support-bundle.ts")).bundleLab(options));
}

/** Adds check, status and support-bundle. */
export function addOperatingCommands(program: Command): void {
  addChecks(program);
  program
    .command("status")
    .description("show the controller and the agents of a cluster, and what is in force")
    .addOption(kubeconfigOption())
    .addOption(namespaceOption())
    .addOption(outputOption())
    .action(async (options) => (await import("./status.ts")).status(options));
  addSupportBundle(program);
}
