// A real Kubernetes on this machine: a control plane and nodes, each in namespaces of its own, and Isobar as its network.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import { ClusterNode } from "./cluster-node.ts";
import { ControlPlane } from "./control-plane.ts";
import { writeImage } from "./image.ts";
import { isobarSpec, workloadSpec } from "./images.ts";
import { Kubectl } from "./kubectl.ts";
import { type Programs, findPrograms } from "./programs.ts";
import { removeCluster } from "./remove-cluster.ts";
import { until } from "./until.ts";

/** Folder of all clusters. Not of the labs: the nodes have another /run/isobar. */
export const clustersRoot = "/run/isobar-cluster";

const externalHosts = [
  { name: "control-plane", addresses: ["192.0.2.20/24", "2001:db8:20::20/48"] },
  { name: "internet", addresses: ["198.51.100.10/24", "2001:db8:1::10/48"] },
];
const stopProgram = join(import.meta.dirname, "stop-cluster.ts");

/** Removes the cluster when its standard input ends, which it does when this process dies. */
function guard(name: string): ChildProcess {
  const script = 'cat >/dev/null; exec "$@"';
  // A process group of its own: Ctrl-C at the tests' terminal is not for it.
  return spawn("sh", ["-c", script, "sh", process.execPath, stopProgram, name], {
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
  });
}

export class Cluster implements AsyncDisposable {
  readonly name: string;
  readonly network: LabNetwork;
  readonly plane: ControlPlane;
  readonly nodes: readonly ClusterNode[];
  readonly kubectl: Kubectl;
  readonly programs: Programs;
  readonly #guard: ChildProcess;

  private constructor(parts: {
    readonly name: string;
    readonly network: LabNetwork;
    readonly plane: ControlPlane;
    readonly nodes: readonly ClusterNode[];
    readonly programs: Programs;
    readonly guard: ChildProcess;
  }) {
    this.name = parts.name;
    this.network = parts.network;
    this.plane = parts.plane;
    this.nodes = parts.nodes;
    this.programs = parts.programs;
    this.#guard = parts.guard;
    const { netns, kubeconfig } = parts.plane;
    this.kubectl = new Kubectl({ netns, kubeconfig, kubernetes: parts.programs.kubernetes });
  }

  /** Brings the cluster up without a network plugin: its nodes have registered, and are not ready. */
  static async start(name: string, nodeNames: readonly string[]): Promise<Cluster> {
    const programs = findPrograms();
    await removeCluster(name, clustersRoot);
    const guarding = guard(name);
    try {
      const parts = await startParts(name, nodeNames, programs);
      const cluster = new Cluster({ ...parts, name, programs, guard: guarding });
      await cluster.#comeUp();
      return cluster;
    } catch (error) {
      await endOf(guarding);
      throw error;
    }
  }

  async #comeUp(): Promise<void> {
    const { kubectl, nodes } = this;
    const ready = async (): Promise<boolean> =>
      (await kubectl.run("get", "--raw", "/readyz")) === "ok";
    await until("the API server", ready, 120_000);
    await Promise.all(nodes.map(async (node) => await node.start()));
    for (const { name } of nodes) {
      const registered = async (): Promise<boolean> =>
        (await kubectl.get("{.metadata.name}", "node", name)) === name;
      await until(`node ${name}`, registered);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node.stop();
    await this.plane.stop();
    await Promise.all(this.network.nodes.map(async (node) => await node.stop()));
    await endOf(this.#guard);
  }
}

/** Lets the guard do its work. */
async function endOf(guarding: ChildProcess): Promise<void> {
  const end = once(guarding, "exit");
  guarding.stdin?.end();
  await end;
}

interface Parts {
  readonly network: LabNetwork;
  readonly plane: ControlPlane;
  readonly nodes: readonly ClusterNode[];
}

async function startParts(
  name: string,
  nodeNames: readonly string[],
  programs: Programs,
): Promise<Parts> {
  const options = { name, nodes: nodeNames, externalHosts, root: clustersRoot };
  const network = await LabNetwork.create(options);
  const { directory } = network;
  const host = network.externalHosts[0]!;
  const plane = await ControlPlane.start({
    host,
    programs,
    directory: join(directory, "control-plane"),
  });
  const images = nodeNames.length === 0 ? [] : await writeImages(programs, directory);
  const nodes = network.nodes.map((one) => {
    const own = join(directory, "cluster-nodes", one.name);
    mkdirSync(own, { recursive: true });
    return new ClusterNode({ cluster: name, host: one, programs, plane, directory: own, images });
  });
  return { network, plane, nodes };
}

/** One after the other: what they are made of is large. */
async function writeImages(programs: Programs, directory: string): Promise<string[]> {
  const archives: string[] = [];
  for (const spec of [workloadSpec(programs), isobarSpec()]) {
    const archive = join(directory, `image-${archives.length}.tar`);
    await writeImage(spec, archive, join(directory, "image"));
    archives.push(archive);
  }
  return archives;
}
