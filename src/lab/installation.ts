// Isobar as it would be installed: an API server, a controller, an agent on every node, all as processes of their own.
import { existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ApiClient } from "../client/api-client.ts";
import { applyManifest } from "../client/apply-manifest.ts";
import { loadKubeconfig } from "../client/kubeconfig.ts";
import { domainKind } from "../kinds/domain.ts";
import { nodeKind } from "../kinds/node.ts";
import { connectStream } from "../runtime/message-stream.ts";
import { CniRuntime, buildCniExecutable } from "./cni-runtime.ts";
import { LabError } from "./errors.ts";
import { openFront } from "./network/front.ts";
import type { LabNetwork } from "./network/lab-network.ts";
import type { LabNode } from "./network/lab-node.ts";
import { recordProcess } from "./network/processes.ts";
import type { LabPaths } from "./paths.ts";
import { type ProcessStatus, Supervisor } from "./supervisor.ts";
import type { SeenByKind } from "./api-state.ts";

export interface InstallationOptions {
  readonly paths: LabPaths;
  readonly network: LabNetwork;
  readonly onProgress: (text: string) => void;
}

/** The part of the controller's status that the lab reads. */
export interface ControllerView {
  readonly seen: SeenByKind;
  readonly pendingAddresses: number;
  readonly undecided: number;
  readonly agents: readonly { node: string; revision: number; confirmed: number }[];
}

/** The domain of the lab's pods. */
const defaultDomain = {
  apiVersion: "isobar.io/v1alpha1",
  kind: "Domain",
  metadata: { name: "default" },
  spec: {
    vni: 1,
    pools: ["10.128.0.0/14", "fd00:10:128::/48"],
    serviceCidrs: ["10.96.0.0/16", "fd00:10:96::/112"],
    // Answered once there is such a Service.
    dns: { service: "kube-system/kube-dns" },
  },
};

/** Where each node's agent answers with its metrics. */
export const agentMetricsPort = 10722;

const limits = { maxMessageSize: 4 << 20, maxQueuedSize: 1 << 20 } as const;
const startTimeoutMs = 20_000;
/** A controller that hangs is one that does not answer. */
const statusTimeoutMs = 2_000;

export class Installation implements AsyncDisposable {
  readonly #paths: LabPaths;
  readonly #network: LabNetwork;
  readonly #supervisor = new Supervisor();
  /** By which pods reach the API server. */
  #front: Disposable | undefined;
  readonly #runtimes: ReadonlyMap<string, CniRuntime>;

  private constructor(paths: LabPaths, network: LabNetwork) {
    this.#paths = paths;
    this.#network = network;
    const runtimes = network.nodes.map(({ name, netns }) => {
      return [name, new CniRuntime({ ...this.#cniFolders(name), nodeNetns: netns })] as const;
    });
    this.#runtimes = new Map(runtimes);
  }

  static async start({ paths, network, onProgress }: InstallationOptions): Promise<Installation> {
    await buildCniExecutable();
    const installation = new Installation(paths, network);
    try {
      onProgress("starting the API server, the controller and the agents");
      await installation.#startApiServer();
      await installation.#createNodes(network.nodes);
      installation.#startController();
      for (const node of network.nodes) installation.#startAgent(node);
      return installation;
    } catch (error) {
      await installation[Symbol.asyncDispose]();
      throw error;
    }
  }

  client(userAgent: string): ApiClient {
    return new ApiClient(loadKubeconfig(this.#paths.kubeconfig), userAgent);
  }

  agentSocket(node: string): string {
    return join(this.#paths.directory, "nodes", node, "agent.sock");
  }

  /** Attaches containers to the node. @throws {LabError} for a node that there is not */
  cniRuntime(node: string): CniRuntime {
    const runtime = this.#runtimes.get(node);
    if (runtime === undefined) throw new LabError(`no node ${node}`);
    return runtime;
  }

  processes(): ProcessStatus[] {
    return this.#supervisor.status();
  }

  /** `undefined` while the controller is down, hangs, or has not yet read the API. */
  async controllerStatus(): Promise<ControllerView | undefined> {
    const path = join(this.#paths.directory, "controller-status.sock");
    try {
      const address = { kind: "unix", path } as const;
      const stream = await connectStream({ ...limits, address, timeoutMs: statusTimeoutMs });
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      stream.start({
        onMessage: resolve,
        onClose: () => reject(new LabError("the controller closed the connection")),
      });
      const timer = setTimeout(() => reject(new LabError("no answer in time")), statusTimeoutMs);
      stream.send({});
      try {
        const status = await promise;
        return isControllerView(status) ? status : undefined;
      } finally {
        clearTimeout(timer);
        stream.close();
      }
    } catch {
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#front?.[Symbol.dispose]();
    await this.#supervisor.stop();
  }

  async #startApiServer(): Promise<void> {
    const { directory, kubeconfig } = this.#paths;
    // One port for the lab's life, so that the kubeconfig stays right when the server is started again.
    const port = await freePort();
    this.#start("apiserver", {
      data: join(directory, "objects.db"),
      listen: `127.0.0.1:${port}`,
      "advertise-address": this.#network.router,
      "cert-dir": join(directory, "certificates"),
      "kubeconfig-out": kubeconfig,
      name: `isobar-${this.#paths.name}`,
    });
    this.#front = openFront({ netns: this.#network.fabricNetns, port, toPort: port });
    const deadline = performance.now() + startTimeoutMs;
    while (!existsSync(kubeconfig)) {
      if (performance.now() > deadline) {
        throw new LabError(`the API server did not start; its log is ${this.#log("apiserver")}`);
      }
      await sleep(20);
    }
  }

  async #createNodes(nodes: readonly LabNode[]): Promise<void> {
    const client = this.client("isobar-lab");
    try {
      await applyManifest(client, [domainKind], defaultDomain);
      for (const node of nodes) await createNode(client, node);
    } finally {
      await client.close();
    }
  }

  #startController(): void {
    const { directory, kubeconfig } = this.#paths;
    this.#start("controller", {
      kubeconfig,
      listen: this.#controllerSocket,
      "status-socket": join(directory, "controller-status.sock"),
    });
  }

  #startAgent(node: LabNode): void {
    const stateDir = join(this.#paths.directory, "nodes", node.name, "agent");
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const { binDir, confDir } = this.#cniFolders(node.name);
    const flags = {
      node: node.name,
      "cni-bin-dir": binDir,
      "cni-conf-dir": confDir,
      controller: this.#controllerSocket,
      rundir: node.rundir,
      ovsdb: node.databaseSocket,
      "datapath-type": node.datapathType,
      "state-dir": stateDir,
      socket: this.agentSocket(node.name),
      "underlay-address": node.addresses.join(","),
      // In the node's own network namespace.
      "metrics-listen": `127.0.0.1:${agentMetricsPort}`,
      "node-ports": "",
    };
    this.#start("agent", flags, node);
  }

  #cniFolders(node: string): { readonly binDir: string; readonly confDir: string } {
    const folder = join(this.#paths.directory, "nodes", node, "cni");
    return { binDir: join(folder, "bin"), confDir: join(folder, "net.d") };
  }

  get #controllerSocket(): string {
    return join(this.#paths.directory, "controller.sock");
  }

  #log(name: string): string {
    return join(this.#paths.directory, `${name}.log`);
  }

  #start(program: string, flags: Readonly<Record<string, string>>, node?: LabNode): void {
    const args = Object.entries(flags).flatMap(([flag, value]) =>
      value === "" ? [`--${flag}`] : [`--${flag}`, value],
    );
    const file = fileURLToPath(new URL(`../main/${program}.ts`, import.meta.url));
    const run = [process.execPath, "--disable-warning=ExperimentalWarning", file, ...args] as const;
    const name = node === undefined ? program : `${program}-${node.name}`;
    this.#supervisor.start({
      name,
      command: node === undefined ? [...run] : ["nsenter", `--net=${node.netns}`, "--", ...run],
      logFile: this.#log(name),
      onStart: (pid) => recordProcess(this.#paths.directory, pid),
    });
  }
}

function isControllerView(value: unknown): value is ControllerView {
  return typeof value === "object" && value !== null && "seen" in value && "agents" in value;
}

/** Two zones, in turns by the numbers that the nodes' names end with. */
function zoneOf(node: string): string {
  return Number(/\d+$/.exec(node)?.[0] ?? 0) % 2 === 1 ? "zone-1" : "zone-2";
}

async function createNode(client: ApiClient, { name, addresses }: LabNode): Promise<void> {
  const meta = { apiVersion: "v1", kind: "Node" } as const;
  const labels = {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    "topology.kubernetes.io/zone": zoneOf(name),
  };
  await applyManifest(client, [nodeKind], { ...meta, metadata: { name, labels } });
  const node = await client.get(nodeKind, { name });
  const time = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const ready = { type: "Ready", status: "True", reason: "LabNodeReady", message: "in the lab" };
  const status = {
    ...node.status,
    addresses: [
      ...addresses.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: name },
    ],
    conditions: [{ ...ready, lastHeartbeatTime: time, lastTransitionTime: time }],
  };
  await client.updateStatus(nodeKind, { ...node, status });
}

/** A TCP port that was free on loopback a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new LabError("no free port");
  return address.port;
}
