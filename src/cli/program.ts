// The command tree. Each command's work is loaded when it is called, so that --help and completion stay quick.
import { Command, InvalidArgumentError, Option } from "commander";
import { readVersion } from "../runtime/version.ts";
import { addOperatingCommands } from "./operating-commands.ts";
import { labOption, requireRoot } from "./options.ts";
import { outputOption } from "./output.ts";

function parseCount(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError("expected a number from 1 to 99");
  return Number(text);
}

function parseSeed(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError("expected a number");
  return Number(text);
}

function parseFamily(text: string): 4 | 6 {
  if (text !== "4" && text !== "6") throw new InvalidArgumentError("expected 4 or 6");
  return text === "4" ? 4 : 6;
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function filesOption(): Option {
  const description = "manifests, or folders of manifests, to apply; repeatable";
  return new Option("-f, --filename <path...>", description).default([], "none");
}

function addLabUpAndDown(lab: Command): void {
  lab
    .command("up")
    .description("bring up a lab, or add to one that is up")
    .addOption(labOption())
    .addOption(filesOption())
    .option("-n, --nodes <count>", "nodes of a new lab", parseCount, 3)
    .action(async (options) => (await import("./lab-up.ts")).labUp(options));
  lab
    .command("down")
    .description("tear a lab down, also one that has crashed")
    .addOption(labOption())
    .action(async (options) => (await import("./lab-down.ts")).labDown(options));
}

function addLab(program: Command): void {
  const lab = program
    .command("lab")
    .description("several nodes and their pods on this machine")
    .hook("preAction", requireRoot);
  addLabUpAndDown(lab);
  lab
    .command("status")
    .description("show nodes, pods, external hosts and processes")
    .addOption(labOption())
    .addOption(outputOption())
    .action(async (options) => (await import("./lab-status.ts")).labStatus(options));
  lab
    .command("kubeconfig")
    .description(
      "print the path of the kubeconfig: KUBECONFIG=$(isobar lab kubeconfig) kubectl get pods",
    )
    .addOption(labOption())
    .action(async (options) => (await import("./lab-status.ts")).labKubeconfig(options));
  lab
    .command("exec")
    .description("run a command in a pod's or an external host's network namespace")
    .addOption(labOption())
    .argument("<pod>", "NAMESPACE/POD, or the name of an external host")
    .argument("<command...>", "the command and its arguments, after --")
    .action(async (pod, command, options) =>
      (await import("./lab-exec.ts")).labExec(pod, command, options),
    );
  lab
    .command("probe")
    .description("open real connections and say which got through")
    .addOption(labOption())
    .option("--from <pod>", "NAMESPACE/POD, NAMESPACE or external host; repeatable", collect, [])
    .option("--to <pod>", "as --from, or an address; repeatable", collect, [])
    .option("--port <port>", "such as tcp/80; repeatable; declared ports when absent", collect, [])
    .option("--family <4|6>", "IPv4 or IPv6", parseFamily, 4)
    .addOption(outputOption())
    .action(async (options) => (await import("./lab-probe.ts")).labProbe(options));
}

function parseSeconds(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError("expected seconds, 0 to 9999");
  return Number(text);
}

function kubeconfigOption(): Option {
  const description = "ask this API server instead of the lab's";
  return new Option("--kubeconfig <file>", description).env("KUBECONFIG");
}

function addIpam(program: Command): void {
  const ipam = program
    .command("ipam")
    .description("addresses: who has which, and whether all is right");
  ipam
    .command("check")
    .description("prove that no address is given out twice or lost; exit code 1 if one is")
    .option("--repair", "put right what can be, and say what was done", false)
    .option(
      "--settle <seconds>",
      "how long something must look wrong to count; changes under way do for a moment",
      parseSeconds,
      5,
    )
    .addOption(labOption())
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .action(async (options) => (await import("./ipam-check.ts")).ipamCheck(options));
  ipam
    .command("show")
    .description("pools, networks and their usage, or who has an address")
    .argument("[what]", "an address, a namespace or NAMESPACE/POD; everything when absent")
    .addOption(labOption())
    .addOption(kubeconfigOption())
    .addOption(outputOption())
    .action(async (what, options) =>
      (await import("./ipam-show.ts")).ipamShow({ ...options, what }),
    );
}

export function createProgram(): Command {
  const program = new Command("isobar")
    .description("Policy-based networking for pods, virtual machines and servers, on Open vSwitch.")
    .version(readVersion())
    .showHelpAfterError("(isobar --help shows what there is)")
    .configureHelp({ showGlobalOptions: true });
  program
    .command("demo")
    .description("bring up the shop on three nodes and check every verdict with real connections")
    .addOption(labOption())
    .option("--once", "tear everything down at the end", false)
    .hook("preAction", requireRoot)
    .action(async (options) => (await import("./demo.ts")).demo(options));
  addLab(program);
  addOperatingCommands(program);
  program
    .command("explain")
    .description("say which policy and rule decide whether a connection opens, and what is missing")
    .argument("<source>", "NAMESPACE/POD, an address or an external host")
    .argument("<destination>", "as the source, or svc/NAMESPACE/NAME")
    .argument("<port>", "such as tcp/80, udp/53 or icmp")
    .addOption(labOption())
    .option("--kubeconfig <file>", "ask this API server instead of the lab's")
    .addOption(outputOption())
    .action(async (source, destination, port, options) =>
      (await import("./explain.ts")).explain({ source, destination, port, ...options }),
    );
  addIpam(program);
  program
    .command("test")
    .description(
      "run all tests but those on a real Kubernetes, or the stages named: unit, ovs, lab, chart",
    )
    .argument("[stage...]")
    .option("--cluster", "the tests on a real Kubernetes, which is built the first time", false)
    .option("--conformance", "every connection of upstream's conformance cases", false)
    .option("--chaos", "changes and kills at random, with connections tried all the time", false)
    .option("--minutes <count>", "how long the chaos lasts; 10 by default", parseCount)
    .option("--seed <number>", "what the random tests begin with, to repeat one", parseSeed)
    .action(async (stages, { cluster, conformance, chaos, minutes, seed }) => {
      if (minutes !== undefined) process.env["ISOBAR_TEST_MINUTES"] = String(minutes);
      if (seed !== undefined) process.env["ISOBAR_TEST_SEED"] = String(seed);
      const { runTool } = await import("./run-tool.ts");
      return runTool("tools/test.ts", [
        ...stages,
        ...(cluster ? ["cluster"] : []),
        ...(conformance ? ["conformance"] : []),
        ...(chaos ? ["chaos"] : []),
      ]);
    });
  program
    .command("bench")
    .description("run the benchmarks, or those named; --quick for a short run")
    .argument("[name...]")
    .option("--quick", "smaller sizes and fewer rounds", false)
    .action(async (names, { quick }) =>
      (await import("./run-tool.ts")).runTool("bench/main.ts", [
        ...names,
        ...(quick ? ["--quick"] : []),
      ]),
    );
  return program;
}
