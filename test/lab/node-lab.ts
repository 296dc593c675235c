// Nodes with an agent each and pods attached by them, told by a controller of the test's own: for tests of what an agent
// makes of its node.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { cleanup } from "../../src/lab/network/cleanup.ts";
import { LabNetwork } from "../../src/lab/network/lab-network.ts";
import type { LabNode } from "../../src/lab/network/lab-node.ts";
import { Listeners } from "../../src/lab/network/listeners.ts";
import { Prober } from "../../src/lab/network/prober.ts";
import type { DomainResource, EndpointResource } from "../../src/southbound/resources.ts";
import { AgentProcess } from "../agent/agent-process.ts";
import { TestController } from "../agent/test-controller.ts";

export interface NodeLabOptions {
  readonly name: string;
  /** How many. */
  readonly nodes: number;
  /** The node's addresses as the controller tells them; those of the lab unless given. */
  readonly addressesOf?: (node: LabNode) => readonly string[];
  readonly agentArguments?: readonly string[];
  /** Whether the agents are started; they are unless told otherwise. */
  readonly started?: boolean;
}

export const domain: DomainResource = {
  kind: "domain",
  id: "default",
  vni: 9,
  pools: ["10.9.0.0/16", "fd09::/64"],
};

export class NodeLab implements AsyncDisposable {
  readonly network: LabNetwork;
  readonly controller: TestController;
  readonly agents: readonly AgentProcess[];
  readonly root: string;
  readonly #listeners = new Listeners();
  readonly #prober = new Prober();
  readonly #stack = new AsyncDisposableStack();
  #pods = 0;

  private constructor(
    root: string,
    network: LabNetwork,
    controller: TestController,
    options: NodeLabOptions,
  ) {
    this.root = root;
    this.network = network;
    this.controller = controller;
    this.agents = network.nodes.map((node) => {
      const folder = join(root, `agent-${node.name}`);
      mkdirSync(folder);
      return new AgentProcess({
        node: node.name,
        folder,
        controllers: [join(root, "controller.sock")],
        ovsdb: node.databaseSocket,
        rundir: node.rundir,
        datapathType: node.datapathType,
        netns: node.netns,
        arguments: options.agentArguments ?? [],
      });
    });
  }

  static async create(options: NodeLabOptions): Promise<NodeLab> {
    const root = mkdtempSync(join(tmpdir(), "isobar-node-"));
    const names = Array.from({ length: options.nodes }, (_, index) => `node${index}`);
    const network = await LabNetwork.create({ name: options.name, nodes: names, root });
    const controller = await TestController.listen(join(root, "controller.sock"));
    const lab = new NodeLab(root, network, controller, options);
    const addressesOf = options.addressesOf ?? ((node) => node.addresses);
    controller.change([
      domain,
      { kind: "posture", id: "open", ingress: [], egress: [] },
      { kind: "posture", id: "closed", ingress: ["NetworkPolicy/shop/closed"], egress: [] },
      ...network.nodes.map(
        (node) => ({ kind: "node", id: node.name, addresses: addressesOf(node) }) as const,
      ),
    ]);
    try {
      if (options.started ?? true) {
        await Promise.all(lab.agents.map(async (agent) => await agent.start()));
      }
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.closeAll();
    await this.#stack.disposeAsync();
    for (const agent of this.agents) await agent.stop();
    await this.controller[Symbol.asyncDispose]();
    await this.network.destroy();
    await cleanup(this.network.name, this.root);
    rmSync(this.root, { recursive: true, force: true });
  }

  node(index: number): LabNode {
    const node = this.network.nodes[index];
    assert.ok(node !== undefined);
    return node;
  }

  /** Makes a pod and attaches it; the identities `open` and `closed` (to others than its node) have their postures. */
  async pod(index: number, identity = "open"): Promise<Pod> {
    const number = ++this.#pods;
    const name = `shop/pod-${number}`;
    const netns = await this.network.createPod(name);
    const resource: EndpointResource = {
      kind: "endpoint",
      id: name,
      domain: "default",
      node: this.node(index).name,
      addresses: [`10.9.0.${number}`, `fd09::${number.toString(16)}`],
      mac: `0a:00:00:00:09:${number.toString(16).padStart(2, "0")}`,
      identity,
    };
    this.controller.change([resource]);
    const reply = await this.agents[index]?.request({
      type: "attach",
      endpoint: name,
      container: name,
      netns,
      interface: "eth0",
      timeoutMs: 15_000,
    });
    assert.ok(reply?.type === "attached", JSON.stringify(reply));
    this.listen(netns, name);
    return {
      name,
      netns,
      mtu: reply.mtu,
      port: reply.hostInterface,
      addresses: resource.addresses,
    };
  }

  /** Answers on TCP port 80 with the name. */
  listen(netns: string, identity: string): void {
    this.#listeners.open({ netns, identity, ports: [{ protocol: "tcp", port: 80 }] });
  }

  /** Answers on TCP port 81 with the address that the client is seen under. */
  async listenForAddresses(netns: string): Promise<void> {
    const program = `
      require("net").createServer((socket) => {
        socket.on("error", () => undefined);
        socket.end(socket.remoteAddress.replace("::ffff:", "") + "\\n");
      }).listen(81, "::", () => console.log("ready"));`;
    const child = spawn(
      "nsenter",
      [`--net=${netns}`, "setpriv", "--pdeathsig", "KILL", process.execPath, "-e", program],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#stack.defer(() => void child.kill("SIGKILL"));
    await once(createInterface({ input: child.stdout }), "line");
  }

  /** What became of a TCP connection. */
  async verdict(netns: string, to: string, port = 80, from?: string): Promise<string> {
    const source = from === undefined ? {} : { from };
    const target = { netns, to, protocol: "tcp", port, timeoutMs: 1_500, ...source } as const;
    return (await this.#prober.probe(target)).verdict;
  }

  /** Under which address the listener on port 81 sees who connects. */
  async seenAs(netns: string, to: string): Promise<string | undefined> {
    const target = { netns, to, protocol: "tcp", port: 81, timeoutMs: 3_000 } as const;
    return (await this.#prober.probe(target)).answeredBy;
  }
}

export interface Pod {
  readonly name: string;
  readonly netns: string;
  readonly mtu: number;
  /** The switch's. */
  readonly port: string;
  readonly addresses: readonly string[];
}

/** Runs a shell script in a network namespace and gives what it printed. */
export function sh(netns: string, script: string): string {
  return execFileSync("nsenter", [`--net=${netns}`, "sh", "-ec", script], { encoding: "utf8" });
}

/** Tries again for a while. */
export async function eventually(check: () => unknown): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await check();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(100);
    }
  }
}
