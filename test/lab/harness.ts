// A lab of a test's own: a name and a folder that nobody else has, and gone when the test is, whatever it died of.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { KindDefinition } from "../../src/apimachinery/kind.ts";
import { runProbes } from "../../src/cli/lab-probe.ts";
import { fetchPolicyObjects } from "../../src/cli/policy-objects.ts";
import { ApiClient } from "../../src/client/api-client.ts";
import { applyManifest } from "../../src/client/apply-manifest.ts";
import { loadKubeconfig } from "../../src/client/kubeconfig.ts";
import { type Manifest, parseManifests } from "../../src/client/manifest.ts";
import type { ObjectPlace } from "../../src/client/object-path.ts";
import { kinds } from "../../src/kinds/kinds.ts";
import { askAgent } from "../../src/lab/agent-client.ts";
import { request, requestStatus } from "../../src/lab/lab-client.ts";
import { Expectation, endsOf, formatPort, probesBetween } from "../../src/lab/matrix.ts";
import { netnsPath } from "../../src/lab/network/command.ts";
import { podNetns } from "../../src/lab/network/plan.ts";
import { processesIn, readProcess } from "../../src/lab/network/processes.ts";
import { type LabPaths, labPaths } from "../../src/lab/paths.ts";
import type { LabStatus, ProbeResult, ProbeSpec } from "../../src/lab/protocol.ts";
import { startLab } from "../../src/lab/start.ts";
import type { FlowEntry } from "../../src/openflow/flow-entry.ts";
import { runCommand } from "../../src/runtime/command.ts";
import type { AgentStatus } from "../../src/southbound/attachment.ts";
import { OpenFlowClient } from "../../src/switch/openflow-client.ts";
import { forgetLogs, watchLogs } from "./kept-logs.ts";

const stopProgram = join(import.meta.dirname, "stop-lab.ts");
/** The agents' bridge. */
const bridge = "br-int";

let labs = 0;

/** Tears the lab down when its standard input ends, which it does when this process dies. */
function guard(paths: LabPaths): ChildProcess {
  const script = 'cat >/dev/null; exec "$@"';
  const stop = [process.execPath, stopProgram, paths.name, paths.root];
  // A process group of its own: Ctrl-C at the tests' terminal is not for it.
  return spawn("sh", ["-c", script, "sh", ...stop], {
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
  });
}

/** Settles when it holds. @throws {Error} with `what` when that takes too long. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come in ${timeoutMs} ms`);
    await sleep(10);
  }
}

export class TestLab implements AsyncDisposable {
  readonly paths: LabPaths;
  /** Talks to the lab's API server; its connections survive a restart of the server. */
  readonly client: ApiClient;
  readonly nodes: readonly string[];
  readonly #guard: ChildProcess;
  readonly #daemonPid: number;

  private constructor(paths: LabPaths, status: LabStatus, guarding: ChildProcess) {
    this.paths = paths;
    this.client = new ApiClient(loadKubeconfig(paths.kubeconfig), "isobar-test");
    this.nodes = status.nodes.map(({ name }) => name);
    this.#guard = guarding;
    this.#daemonPid = parentOf(status.processes[0]?.pid ?? 0);
  }

  /** Brings the lab up, with nothing in it. @throws {LabError} */
  static async start({ nodes = 3 }: { readonly nodes?: number } = {}): Promise<TestLab> {
    const root = mkdtempSync(join(tmpdir(), "isobar-lab-"));
    labs += 1;
    const paths = labPaths(`t${process.pid}-${labs}`, root);
    const guarding = guard(paths);
    try {
      const { signal } = new AbortController();
      const status = await startLab(paths, { nodes, onProgress: () => {}, signal });
      watchLogs(paths.name, paths.directory);
      return new TestLab(paths, status, guarding);
    } catch (error) {
      await end(guarding);
      throw error;
    }
  }

  async status(): Promise<LabStatus> {
    return await requestStatus(this.paths.socket);
  }

  /** Creates or changes what the manifests say, in their order. Text is YAML. */
  async apply(manifests: string | readonly Manifest[]): Promise<void> {
    const list =
      typeof manifests === "string" ? parseManifests(manifests, "the test's manifest") : manifests;
    for (const manifest of list) await applyManifest(this.client, kinds, manifest);
  }

  async delete(kind: KindDefinition, place: ObjectPlace): Promise<void> {
    await this.client.delete(kind, place);
  }

  /** Waits until every pod runs and every node enforces all that the API server holds. @throws {LabError} */
  async settle(timeoutMs = 90_000): Promise<void> {
    await request(this.paths.socket, { type: "settle", timeoutMs });
  }

  /** Real connections, made by the lab's daemon; results in the order of the probes. */
  async probe(probes: readonly ProbeSpec[]): Promise<ProbeResult[]> {
    return await runProbes(this.paths.socket, probes);
  }

  /** Everything that decides what packets may do, as the API server holds it. */
  async objects(): Promise<unknown[]> {
    return await fetchPolicyObjects(this.client);
  }

  /**
   * Opens a connection between every two ends on every declared port, and says which came to something else than the
   * evaluator says. To be called on a settled lab.
   */
  async compareVerdicts(family: 4 | 6 = 4): Promise<{ probes: number; mismatches: string[] }> {
    const [objects, { externalHosts }] = await Promise.all([this.objects(), this.status()]);
    const ends = endsOf(objects.filter(isPod), externalHosts);
    const expectation = new Expectation(objects, externalHosts);
    const results = await this.probe(probesBetween(ends, ends, family));
    const mismatches = results.flatMap((result) => {
      const expected = expectation.verdictOf(result);
      if (result.verdict === expected) return [];
      const { from, to, verdict, message = "" } = result;
      return [`${from} -> ${to} ${formatPort(result)}: ${verdict} ${message} not ${expected}`];
    });
    return { probes: results.length, mismatches };
  }

  /** Path of the network namespace of a pod, `namespace/name`. */
  podNetns(pod: string): string {
    return netnsPath(podNetns(this.paths.name, pod));
  }

  nodeNetns(node: string): string {
    return netnsPath(`isobar-${this.paths.name}.node.${node}`);
  }

  /** The switch's own folder on the node. */
  nodeDirectory(node: string): string {
    return join(this.paths.directory, "nodes", node);
  }

  /** A connection to the node's switch, apart from the agent's. */
  async openSwitch(node: string): Promise<OpenFlowClient> {
    const path = join(this.nodeDirectory(node), `${bridge}.mgmt`);
    return await OpenFlowClient.open({ address: { path } });
  }

  async flows(node: string): Promise<FlowEntry[]> {
    await using client = await this.openSwitch(node);
    return await client.dumpFlows();
  }

  async agentStatus(node: string): Promise<AgentStatus> {
    const socket = join(this.nodeDirectory(node), "agent.sock");
    const reply = await askAgent(socket, { type: "status" }, 5_000);
    if (reply.type !== "status") throw new Error(JSON.stringify(reply));
    return reply;
  }

  /** Of `apiserver`, `controller`, or `agent-<node>`. @throws {Error} when it does not run now */
  async pidOf(name: string): Promise<number> {
    const { processes } = await this.status();
    const pid = processes.find((process) => process.name === name)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  }

  /** Of `ovs-vswitchd` or `ovsdb-server` on the node. @throws {Error} when it does not run now */
  switchPidOf(node: string, command: string): number {
    const found = processesIn([this.nodeNetns(node)]).find((one) => one.command === command);
    if (found === undefined) throw new Error(`${command} does not run on ${node}`);
    return found.pid;
  }

  /**
   * Lets the switches and this process have a processor before everything else on the machine. On one that is busy with
   * other things they lose packets otherwise, since a full queue drops them, and nobody knows what a lost one says.
   */
  async takePrecedence(): Promise<void> {
    const pids = this.nodes.map((node) => this.switchPidOf(node, "ovs-vswitchd"));
    for (const pid of [...pids, process.pid]) {
      await runCommand(["chrt", "--all-tasks", "--rr", "--pid", "1", String(pid)]);
    }
  }

  /** Ends Isobar's processes of these names with SIGKILL, all at once, and waits until they are gone. */
  async kill(...names: readonly string[]): Promise<void> {
    await killAll(await this.#pidsOf(names));
  }

  /** Kills the processes and waits until others run in their places and all is in force again. */
  async killAndRecover(...names: readonly string[]): Promise<void> {
    const killed = await this.#pidsOf(names);
    await killAll(killed);
    await until(
      `another ${names.join(", ")}`,
      async () => {
        const { processes } = await this.status();
        const now = processes.filter(({ name, pid }) => names.includes(name) && pid !== undefined);
        return now.length === names.length && now.every(({ pid }) => !killed.includes(pid ?? 0));
      },
      180_000,
    );
    await this.recovered();
  }

  /** As `settle`, for a lab whose API server may be on its way up. */
  async recovered(timeoutMs = 180_000): Promise<void> {
    await until(
      "an installation that is whole",
      async () => {
        // An API server that is not there yet is an error, and asking it all the time would keep it from coming.
        await sleep(50);
        return await this.settle(timeoutMs).then(
          () => true,
          () => false,
        );
      },
      timeoutMs,
    );
  }

  /**
   * Kills the processes and runs `work` while nothing is started again. The lab answers no request in the meantime; its
   * listeners in pods do not answer either. Afterwards all is in force again.
   */
  async whileDown<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const pids = await this.#pidsOf(names);
    process.kill(this.#daemonPid, "SIGSTOP");
    try {
      await killAll(pids);
      return await work();
    } finally {
      process.kill(this.#daemonPid, "SIGCONT");
      await this.recovered();
    }
  }

  /** Holds the processes still, as one that hangs or is swapped out, while `work` runs. */
  async whileHeld<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const pids = await this.#pidsOf(names);
    for (const pid of pids) signalTo(pid, "SIGSTOP");
    try {
      return await work();
    } finally {
      for (const pid of pids) signalTo(pid, "SIGCONT");
    }
  }

  async #pidsOf(names: readonly string[]): Promise<number[]> {
    return await Promise.all(names.map(async (name) => await this.pidOf(name)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    forgetLogs(this.paths.name);
    await this.client.close();
    await end(this.#guard);
  }
}

/** A process that is gone is none to be told. */
function signalTo(pid: number, signal: NodeJS.Signals): void {
  if (readProcess(pid) !== undefined) process.kill(pid, signal);
}

/** SIGKILL; settles when the processes are gone. */
export async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("the end of killed processes", () =>
    pids.every((pid) => readProcess(pid) === undefined),
  );
}

async function end(guarding: ChildProcess): Promise<void> {
  if (guarding.exitCode !== null || guarding.signalCode !== null) return;
  const exit = once(guarding, "exit");
  guarding.stdin?.end();
  await exit;
}

function isPod(object: unknown): boolean {
  return typeof object === "object" && object !== null && "kind" in object && object.kind === "Pod";
}

/** proc(5): field 4 of /proc/pid/stat, the second behind the command. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}
