// A lab: the network of several nodes, the processes of a real installation on it, and pods without containers.
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../client/api-client.ts";
import type { Family } from "../net/address.ts";
import { tryParseAddress } from "../net/address.ts";
import type { Log } from "../runtime/log.ts";
import type { AgentStatus } from "../southbound/attachment.ts";
import { askAgent } from "./agent-client.ts";
import { behind, readApiState } from "./api-state.ts";
import type { CniAttachment } from "./cni-runtime.ts";
import { LabError } from "./errors.ts";
import { LabNetwork } from "./network/lab-network.ts";
import type { LabNode } from "./network/lab-node.ts";
import { Listeners } from "./network/listeners.ts";
import { Prober } from "./network/prober.ts";
import { Installation } from "./installation.ts";
import { parsePort } from "./matrix.ts";
import type { LabPaths } from "./paths.ts";
import type { ExternalHost, LabNodeStatus, LabStatus, ProbeResult, ProbeSpec } from "./protocol.ts";
import { parseServiceTarget, serviceAddressOf } from "./service-target.ts";
import { Cluster } from "./workload/cluster.ts";
import type { PodActions, PodIdentity } from "./workload/kubelet.ts";

export interface LabOptions {
  readonly paths: LabPaths;
  readonly nodes: number;
  readonly log: Log;
  readonly onProgress: (text: string) => void;
}

/** What every external host listens on. */
const externalPorts = ["tcp/80", "tcp/443", "tcp/5432", "udp/53"] as const;
const probeTimeoutMs = 1_000;
const startTimeoutMs = 60_000;

export class Lab implements AsyncDisposable {
  readonly #paths: LabPaths;
  readonly #network: LabNetwork;
  readonly #installation: Installation;
  readonly #client: ApiClient;
  readonly #cluster: Cluster;
  readonly #listeners = new Listeners();
  readonly #prober = new Prober();
  /** By address, the uid of the pod that has it; the pod that had it before may still be on its way out. */
  readonly #routedTo = new Map<string, string>();
  /** Rejects when following the API has failed for good. */
  readonly failed: Promise<void>;

  private constructor({ paths, log }: LabOptions, network: LabNetwork, installation: Installation) {
    this.#paths = paths;
    this.#network = network;
    this.#installation = installation;
    this.#client = installation.client("isobar-lab");
    this.#cluster = new Cluster({
      client: this.#client,
      actions: this.#podActions(),
      addressesOf: (node) => this.#node(node)?.addresses ?? [],
      log,
    });
    this.failed = this.#cluster.run();
  }

  /** Builds the network, then the installation on it. A failure takes back what was built. @throws {LabError} */
  static async start(options: LabOptions): Promise<Lab> {
    const { paths, nodes, onProgress } = options;
    const names = Array.from({ length: nodes }, (_, index) => `node-${index + 1}`);
    onProgress(`building ${nodes} nodes with an Open vSwitch each, and an external network`);
    const network = await LabNetwork.create({ name: paths.name, root: paths.root, nodes: names });
    let lab: Lab;
    try {
      lab = new Lab(options, network, await Installation.start({ ...options, network }));
    } catch (error) {
      await network.destroy();
      throw error;
    }
    try {
      lab.#listenOutside();
      onProgress("waiting for the agents to take over their switches");
      await lab.#untilInForce(startTimeoutMs);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get externalHosts(): ExternalHost[] {
    return this.#network.externalHosts.map(({ name, addresses }) => ({
      name,
      addresses,
      ports: externalPorts,
    }));
  }

  async status(): Promise<LabStatus> {
    return {
      name: this.#paths.name,
      server: this.#client.config.server,
      kubeconfig: this.#paths.kubeconfig,
      directory: this.#paths.directory,
      nodes: await Promise.all(this.#network.nodes.map((node) => this.#nodeStatus(node))),
      externalHosts: this.externalHosts,
      pods: this.#cluster.podCounts(),
      processes: this.#installation.processes(),
    };
  }

  /**
   * Waits until every pod runs and every node has confirmed all that the API server held when it was last asked.
   * @throws {LabError} naming what is missing when that takes too long
   */
  async settle(timeoutMs: number, onProgress: (text: string) => void): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    const told = new Set<string>();
    for (;;) {
      const missing = await this.#missing();
      if (missing === undefined) return;
      const { awaited, detail } = missing;
      if (performance.now() > deadline) {
        throw new LabError(`still waiting until ${awaited}: ${detail}`);
      }
      if (!told.has(awaited)) onProgress(`waiting until ${awaited}`);
      told.add(awaited);
      await sleep(20);
    }
  }

  async probe(spec: ProbeSpec): Promise<ProbeResult> {
    const { from, to, protocol, port, family } = spec;
    const netns = this.#netnsOf(from);
    const address = this.#addressOf(to, family);
    if (netns === undefined || address === undefined) {
      const what =
        netns === undefined ? `no pod or host ${from}` : `${to} has no IPv${family} address`;
      return { ...spec, verdict: "error", milliseconds: 0, message: what };
    }
    const target = { netns, to: address, port, protocol, timeoutMs: probeTimeoutMs };
    return { ...spec, ...(await this.#prober.probe(target)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
    this.#listeners.closeAll();
    await this.#client.close();
    await this.#installation[Symbol.asyncDispose]();
    await this.#network.destroy();
  }

  /** What keeps the lab from being settled, `undefined` when nothing does. */
  async #missing(): Promise<{ awaited: string; detail: string } | undefined> {
    const api = await readApiState(this.#client);
    const cluster = behind(this.#cluster.seen, api);
    if (cluster.length > 0) {
      return { awaited: "the lab has seen all objects", detail: `not every ${cluster.join(", ")}` };
    }
    if (!this.#cluster.isSettled) {
      const counts = Object.entries(this.#cluster.podCounts());
      const detail = counts.map(([phase, count]) => `${count} ${phase}`).join(", ");
      return { awaited: "all pods run", detail };
    }
    const controller = await this.#installation.controllerStatus();
    if (controller === undefined)
      return { awaited: "the controller answers", detail: "it does not" };
    const unseen = behind(controller.seen, api);
    if (unseen.length > 0) {
      const detail = `not every ${unseen.join(", ")}`;
      return { awaited: "the controller has seen all objects", detail };
    }
    if (controller.undecided > 0) {
      const detail = `${controller.undecided} namespaces to ask about`;
      return { awaited: "the controller knows what has gone", detail };
    }
    if (controller.pendingAddresses > 0) {
      const detail = `${controller.pendingAddresses} pods to go`;
      return { awaited: "all pods have their addresses", detail };
    }
    const waiting = this.#network.nodes.filter(({ name }) => {
      const agent = controller.agents.find(({ node }) => node === name);
      return agent === undefined || agent.confirmed < agent.revision;
    });
    if (waiting.length === 0) return undefined;
    const detail = `not yet ${waiting.map(({ name }) => name).join(", ")}`;
    return { awaited: "every node has confirmed its policies", detail };
  }

  async #untilInForce(timeoutMs: number): Promise<void> {
    await Promise.race([
      this.settle(timeoutMs, () => {}),
      this.failed.then(() => {
        throw new LabError("the lab stopped following the API server");
      }),
    ]);
  }

  async #nodeStatus(node: LabNode): Promise<LabNodeStatus> {
    const controller = await this.#installation.controllerStatus();
    const agent = await this.#agentStatus(node);
    const session = controller?.agents.find((one) => one.node === node.name);
    return {
      name: node.name,
      address: node.addresses[0] ?? "",
      pods: this.#cluster.podsOn(node.name),
      flows: agent?.flows ?? 0,
      inForce: session !== undefined && session.confirmed >= session.revision,
      controllerConnected: agent?.controller !== undefined,
    };
  }

  async #agentStatus(node: LabNode): Promise<AgentStatus | undefined> {
    try {
      const socket = this.#installation.agentSocket(node.name);
      const reply = await askAgent(socket, { type: "status" }, 2_000);
      return reply.type === "status" ? reply : undefined;
    } catch {
      // An agent that is down has no status; the lab's status says so.
      return undefined;
    }
  }

  #podActions(): PodActions {
    return {
      attach: async (pod) => await this.#attach(pod),
      detach: async (pod) => await this.#detach(pod),
      listen: async (pod, ports) => {
        const identity = pod.key;
        this.#listeners.open({ netns: this.#netnsOfPod(pod), identity, ports });
      },
      silence: async (pod) => this.#listeners.close(this.#netnsOfPod(pod), pod.key),
    };
  }

  async #attach(pod: PodIdentity): Promise<{ addresses: readonly string[] }> {
    await this.#network.createPod(pod.key);
    const cidrs = await this.#installation.cniRuntime(pod.node).add(this.#attachmentOf(pod));
    const addresses = cidrs.map((cidr) => cidr.slice(0, cidr.indexOf("/")));
    for (const address of addresses) this.#routedTo.set(address, pod.uid);
    await this.#network.routeExternal(new Map(addresses.map((address) => [address, pod.node])));
    return { addresses };
  }

  async #detach(pod: PodIdentity): Promise<void> {
    if (pod.hostNetwork) return;
    await this.#installation.cniRuntime(pod.node).delete(this.#attachmentOf(pod));
    const addresses = [...this.#routedTo].filter(([, uid]) => uid === pod.uid);
    for (const [address] of addresses) this.#routedTo.delete(address);
    await this.#network.routeExternal(new Map(addresses.map(([address]) => [address, undefined])));
    await this.#network.deletePod(pod.key);
  }

  /** As kubelet and containerd name it. */
  #attachmentOf(pod: PodIdentity): CniAttachment {
    const [namespace = "", name = ""] = pod.key.split("/");
    return {
      container: pod.uid,
      netns: this.#network.podNetns(pod.key),
      interface: "eth0",
      args: {
        IgnoreUnknown: "1",
        K8S_POD_NAMESPACE: namespace,
        K8S_POD_NAME: name,
        K8S_POD_INFRA_CONTAINER_ID: pod.uid,
        K8S_POD_UID: pod.uid,
      },
    };
  }

  #listenOutside(): void {
    const ports = externalPorts.map(parsePort).filter((port) => port !== undefined);
    for (const { name, netns } of this.#network.externalHosts) {
      this.#listeners.open({ netns, identity: name, ports });
    }
  }

  #node(name: string): LabNode | undefined {
    return this.#network.nodes.find((node) => node.name === name);
  }

  #netnsOfPod({ key, node, hostNetwork }: Omit<PodIdentity, "uid">): string {
    return hostNetwork ? (this.#node(node)?.netns ?? "") : this.#network.podNetns(key);
  }

  /** Of a pod that runs, a node or an external host. */
  #netnsOf(name: string): string | undefined {
    const place = this.#cluster.placeOf(name);
    if (place !== undefined) return this.#netnsOfPod({ key: name, ...place });
    const hosts = [...this.#network.nodes, ...this.#network.externalHosts];
    return hosts.find((host) => host.name === name)?.netns;
  }

  #addressOf(name: string, family: Family): string | undefined {
    if (tryParseAddress(name) !== undefined) return name;
    const target = parseServiceTarget(name);
    if (target !== undefined) {
      return serviceAddressOf(this.#cluster.service(`${target.namespace}/${target.name}`), family);
    }
    const hosts = [...this.#network.nodes, ...this.#network.externalHosts];
    const addresses =
      hosts.find((host) => host.name === name)?.addresses ?? this.#cluster.addressesOfPod(name);
    return addresses.find((address) => tryParseAddress(address)?.family === family);
  }
}
