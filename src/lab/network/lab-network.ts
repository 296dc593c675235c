// The network of a lab on one Linux machine: nodes with a switch each, hosts outside the overlay, and what joins them.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "../errors.ts";
import { labPaths } from "../paths.ts";
import { cleanup, netnsOf } from "./cleanup.ts";
import { runCommand, runIp } from "../../runtime/command.ts";
import { netnsPath, runScript } from "./command.ts";
import { LabNode, createDatabase } from "./lab-node.ts";
import { untilReached } from "./reach.ts";
import {
  type ExternalHostSpec,
  type HostPlan,
  type NetworkPlan,
  defaultExternalHosts,
  planNetwork,
  podNetns,
  underlayRouters,
  uplinkName,
} from "./plan.ts";

export interface LabNetworkOptions {
  readonly name: string;
  /** Names of the nodes. */
  readonly nodes: readonly string[];
  readonly externalHosts?: readonly ExternalHostSpec[];
  /** Folder of all labs. */
  readonly root?: string;
}

export interface ExternalHost {
  readonly name: string;
  /** Path of its network namespace. */
  readonly netns: string;
  readonly addresses: readonly string[];
}

/** The fabric's bridge, on which the nodes are. */
const bridge = "underlay";

/** A probe that arrives where nobody listens is told so every time: the kernel would soon fall silent. */
const refusalSettings = [
  "echo 0 >/proc/sys/net/ipv4/icmp_ratemask",
  "echo 0 >/proc/sys/net/ipv6/icmp/ratelimit",
  "[ ! -e /proc/sys/net/ipv6/icmp/ratemask ] || echo >/proc/sys/net/ipv6/icmp/ratemask",
];

/**
 * For every namespace, before its interfaces are up. Addresses are given out, and asking around whether another host has
 * them keeps a link from being used for its first seconds.
 */
const hostSettings = [
  ...refusalSettings,
  "for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$f; done",
  "ip link set lo up",
];

const podSettings = ["ip link set lo up", ...refusalSettings].join("\n");

/** Namespaces that forward for others also take packets whose way back would be another one. */
const routerSettings = [
  ...hostSettings,
  "echo 1 >/proc/sys/net/ipv4/ip_forward",
  "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
  "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter",
  "echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter",
];

/**
 * A switch in user space passes packets on as they are: checksums that hardware would have filled in must be there from
 * the start.
 */
function checksumsInSoftware(device: string): string {
  return `ethtool -K ${device} tx off >/dev/null`;
}

/** Like Promise.all, but waits for the others when one fails: nothing may still be building when all is taken back. */
async function allDone(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

async function connectHosts(plan: NetworkPlan): Promise<void> {
  const hosts = [...plan.nodes, ...plan.externalHosts];
  await runIp([plan.fabric, ...hosts.map(({ netns }) => netns)].map((name) => `netns add ${name}`));
  // Before the others: the kernel may take a second to notice that a veth pair whose ends have the same index in their
  // namespaces has come up, so the fabric's ends must not be the first of theirs as well.
  await runIp(
    [`link add ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`],
    plan.fabric,
  );
  await runIp(
    hosts.map(
      ({ port, netns }) =>
        `link add ${port} netns ${plan.fabric} type veth peer name ${uplinkName} netns ${netns}`,
    ),
  );
}

async function configureFabric(plan: NetworkPlan): Promise<void> {
  await runScript(plan.fabric, [
    ...routerSettings,
    // Frames between nodes are bridged, and no packet filter has a say in it.
    "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 >$f; done",
    `ip link set ${bridge} up`,
    ...underlayRouters.map((address) => `ip address add ${address} dev ${bridge}`),
    ...plan.nodes.flatMap(({ port }) => [
      checksumsInSoftware(port),
      `ip link set ${port} master ${bridge} up`,
    ]),
    ...plan.externalHosts.flatMap(({ port, placements }) => [
      checksumsInSoftware(port),
      `ip link set ${port} up`,
      ...placements.map(({ router, length }) => `ip address add ${router}/${length} dev ${port}`),
    ]),
  ]);
}

async function configureNode({ netns }: HostPlan): Promise<void> {
  await runScript(netns, [
    ...routerSettings,
    checksumsInSoftware(uplinkName),
    `ip link set ${uplinkName} addrgenmode none up`,
  ]);
}

async function configureExternalHost({ netns, placements }: HostPlan): Promise<void> {
  await runScript(netns, [
    ...hostSettings,
    checksumsInSoftware(uplinkName),
    `ip link set ${uplinkName} up`,
    ...placements.flatMap(({ address, length, router }) => [
      `ip address add ${address}/${length} dev ${uplinkName}`,
      `ip route add default via ${router} dev ${uplinkName}`,
    ]),
  ]);
}

export class LabNetwork {
  readonly name: string;
  /** Folder of this lab. */
  readonly directory: string;
  readonly nodes: readonly LabNode[];
  readonly externalHosts: readonly ExternalHost[];
  readonly #root: string | undefined;
  readonly #plan: NetworkPlan;
  readonly #routed = new Set<string>();
  /** The last change of routes. */
  #routing: Promise<unknown> = Promise.resolve();

  private constructor(plan: NetworkPlan, directory: string, root: string | undefined) {
    this.name = plan.lab;
    this.directory = directory;
    this.#root = root;
    this.#plan = plan;
    this.nodes = plan.nodes.map((node) => new LabNode(node, directory));
    this.externalHosts = plan.externalHosts.map(({ name, netns, placements }) => ({
      name,
      netns: netnsPath(netns),
      addresses: placements.map(({ address }) => address),
    }));
  }

  /**
   * Builds everything. A failure takes back what was built.
   * @throws {LabError} also when the machine has a lab of that name, or what a crash left of one: see `cleanup`.
   */
  static async create(options: LabNetworkOptions): Promise<LabNetwork> {
    const { name, nodes, externalHosts = defaultExternalHosts, root } = options;
    const { directory } = labPaths(name, root);
    const plan = planNetwork(name, nodes, externalHosts);
    if (process.getuid?.() !== 0)
      throw new LabError("a lab needs root: it makes network namespaces");
    if (netnsOf(name).length > 0) {
      throw new LabError(`there are network namespaces of a lab named ${name} on this machine`);
    }
    const network = new LabNetwork(plan, directory, root);
    try {
      await network.#build();
    } catch (error) {
      await network.destroy();
      throw error;
    }
    return network;
  }

  /**
   * Makes network namespaces for pods (`namespace/name`), empty but for a loopback; one that is there already stays.
   * @returns their paths.
   * @throws {LabError}
   */
  async createPods(pods: readonly string[]): Promise<readonly string[]> {
    const names = pods.map((pod) => podNetns(this.name, pod));
    await runCommand(
      ["sh", "-e"],
      names
        .map(
          (name) =>
            `[ -e ${netnsPath(name)} ] || ip netns add ${name}\nnsenter --net=${netnsPath(name)} sh -ec '${podSettings}'\n`,
        )
        .join(""),
    );
    return names.map(netnsPath);
  }

  async createPod(pod: string): Promise<string> {
    await this.createPods([pod]);
    return this.podNetns(pod);
  }

  /** Path of the network namespace in which everything meets. */
  get fabricNetns(): string {
    return netnsPath(this.#plan.fabric);
  }

  /** The fabric's own address on the nodes' network. */
  get router(): string {
    return underlayRouters[0].split("/")[0] ?? "";
  }

  /** Path of a pod's network namespace, whether there is one or not. */
  podNetns(pod: string): string {
    return netnsPath(podNetns(this.name, pod));
  }

  /**
   * Removes the pod's namespace, if there is one, and with it what is in it. Sockets in it must be closed first.
   * @throws {CommandError}
   */
  async deletePod(pod: string): Promise<void> {
    if (!existsSync(this.podNetns(pod))) return;
    await runCommand(["ip", "netns", "delete", podNetns(this.name, pod)]);
  }

  /**
   * Lets the external network reach addresses by way of nodes, and no longer reach those without a node. Takes effect in
   * the order of the calls.
   * @throws {LabError} for a node that there is not.
   */
  async routeExternal(routes: ReadonlyMap<string, string | undefined>): Promise<void> {
    const lines: string[] = [];
    for (const [address, name] of routes) {
      if (name === undefined) {
        if (this.#routed.delete(address)) lines.push(`route delete ${address}`);
        continue;
      }
      const node = this.nodes.find((one) => one.name === name);
      const via = node?.addresses.find((one) => one.includes(":") === address.includes(":"));
      if (via === undefined) throw new LabError(`no node ${name} for a route to ${address}`);
      this.#routed.add(address);
      lines.push(`route replace ${address} via ${via}`);
    }
    const turn = this.#routing.then(async () => await runIp(lines, this.#plan.fabric));
    this.#routing = turn.catch(() => undefined);
    await turn;
  }

  /** Removes everything of the lab, its folder too. */
  async destroy(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await cleanup(this.name, this.#root);
  }

  async #build(): Promise<void> {
    mkdirSync(this.directory, { recursive: true });
    const database = join(this.directory, "empty.db");
    await allDone([createDatabase(database), connectHosts(this.#plan)]);
    await allDone([
      configureFabric(this.#plan),
      ...this.#plan.externalHosts.map(async (plan) => {
        await configureExternalHost(plan);
        await untilReached(plan);
      }),
      ...this.#plan.nodes.map(async (plan, index) => {
        await configureNode(plan);
        await this.nodes[index]!.start(database);
      }),
    ]);
  }
}
