// Isobar in realisation.bench.ts: API server, controller and agent as processes of their own, the store in SQLite.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../src/client/api-client.ts";
import { loadKubeconfig } from "../src/client/kubeconfig.ts";
import type { ControllerStatus } from "../src/controller/controller.ts";
import { domainKind } from "../src/kinds/domain.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { networkPolicyKind } from "../src/kinds/network-policy.ts";
import { nodeKind } from "../src/kinds/node.ts";
import { podKind } from "../src/kinds/pod.ts";
import { type MessageStream, connectStream } from "../src/runtime/message-stream.ts";
import { AgentProcess } from "../test/agent/agent-process.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import { Daemon, addPorts, countFlows, until } from "./realisation-switch.ts";
import {
  type Contender,
  type Endpoint,
  type Rule,
  endpointsOf,
  extraEndpoint,
  groupName,
} from "./realisation-workload.ts";

const namespace = "bench";
const node = "node-1";
/** How often the controller is asked what is confirmed: what is measured is up to this much too long. */
const pollMs = 1;

export interface IsobarOptions {
  readonly perSide: number;
  readonly pairs: number;
  /** Every endpoint has a label of its own, so that no two share an identity. */
  readonly identityPerEndpoint?: boolean;
  /** A NetworkPolicy for each rule, in place of one for each pair of groups. */
  readonly policyPerRule?: boolean;
}

/** Both ends are of one checkout, so little is checked. */
function isStatus(value: unknown): value is ControllerStatus {
  return typeof value === "object" && value !== null && "seen" in value && "agents" in value;
}

/** Asks the controller for its status, one question at a time, on one connection. */
export class StatusClient {
  readonly #stream: MessageStream;
  #answered: (status: ControllerStatus) => void = () => undefined;

  private constructor(stream: MessageStream) {
    this.#stream = stream;
    stream.start({
      onMessage: (status) => {
        if (isStatus(status)) this.#answered(status);
      },
      onClose: () => undefined,
    });
  }

  static async connect(path: string): Promise<StatusClient> {
    const limits = { maxMessageSize: 1 << 20, maxQueuedSize: 1 << 20 } as const;
    const address = { kind: "unix", path } as const;
    return new StatusClient(await connectStream({ ...limits, address, timeoutMs: 5_000 }));
  }

  async status(): Promise<ControllerStatus> {
    const { promise, resolve } = Promise.withResolvers<ControllerStatus>();
    this.#answered = resolve;
    this.#stream.send({});
    return await promise;
  }

  /** Settles when the controller has seen so many objects and its one agent has confirmed all that follows from them. */
  async confirmed(expected: Readonly<Record<string, number>>): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const status = await this.status();
      const [agent] = status.agents;
      const seen = Object.entries(expected).every(
        ([kind, length]) => status.seen[kind]?.objects === length,
      );
      const isConfirmed = agent !== undefined && agent.confirmed === agent.revision;
      if (seen && isConfirmed && status.undecided === 0) {
        if (agent.errors.length > 0) throw new Error(`not realised: ${agent.errors.join("; ")}`);
        return;
      }
      if (performance.now() > deadline) {
        throw new Error(`not confirmed within a minute: ${JSON.stringify(status)}`);
      }
      await sleep(pollMs);
    }
  }

  close(): void {
    this.#stream.close();
  }
}

export class Isobar implements Contender {
  readonly name = "Isobar";
  storedAtMs = 0;
  readonly #options: IsobarOptions;
  readonly #stack: AsyncDisposableStack;
  readonly #ovs: OpenVswitch;
  readonly #client: ApiClient;
  readonly #status: StatusClient;
  /** Names of the policies in force. */
  #policies: readonly string[] = [];

  private constructor(
    options: IsobarOptions,
    parts: {
      readonly stack: AsyncDisposableStack;
      readonly ovs: OpenVswitch;
      readonly client: ApiClient;
      readonly status: StatusClient;
    },
  ) {
    this.#options = options;
    this.#stack = parts.stack;
    this.#ovs = parts.ovs;
    this.#client = parts.client;
    this.#status = parts.status;
  }

  static async start(options: IsobarOptions): Promise<Isobar> {
    await using stack = new AsyncDisposableStack();
    const ovs = stack.use(await OpenVswitch.start());
    const endpoints = endpointsOf(options.perSide, options.pairs);
    await addPorts(
      ovs,
      [...endpoints, extraEndpoint].map(({ name }) => ({
        "isobar-endpoint": `${namespace}/${name}`,
        "isobar-container": name,
      })),
    );
    const client = await startApiServer(ovs.rundir, stack);
    const status = await startController(ovs.rundir, stack);
    const isobar = new Isobar(options, { stack: stack.move(), ovs, client, status });
    try {
      await isobar.#populate(endpoints);
      await isobar.#startAgent();
      await isobar.#confirmed({ Pod: endpoints.length, Endpoint: endpoints.length });
    } catch (error) {
      await isobar[Symbol.asyncDispose]();
      throw error;
    }
    return isobar;
  }

  async applyRules(rules: readonly Rule[]): Promise<void> {
    const parts = this.#options.policyPerRule
      ? rules.map((rule) => [rule])
      : [...Map.groupBy(rules, ({ pair }) => pair).values()];
    this.#policies = parts.map((_, n) => `policy-${n}`);
    await Promise.all(parts.map((part, n) => this.#createPolicy(`policy-${n}`, part)));
    await this.#confirmed({ NetworkPolicy: parts.length });
  }

  async removeRules(): Promise<void> {
    const names = this.#policies;
    this.#policies = [];
    await Promise.all(names.map((name) => this.#deletePolicy(name)));
    await this.#confirmed({ NetworkPolicy: 0 });
  }

  async addRule(rule: Rule): Promise<void> {
    await this.#createPolicy("extra", [rule]);
    await this.#confirmed({ NetworkPolicy: this.#policies.length + 1 });
  }

  async removeRule(): Promise<void> {
    await this.#deletePolicy("extra");
    await this.#confirmed({ NetworkPolicy: this.#policies.length });
  }

  async addEndpoint(): Promise<void> {
    await this.#createPod(extraEndpoint);
    const endpoints = this.#options.perSide * 2 + 1;
    await this.#confirmed({ Pod: endpoints, Endpoint: endpoints });
  }

  async removeEndpoint(): Promise<void> {
    await this.#client.delete(podKind, { namespace, name: extraEndpoint.name });
    const endpoints = this.#options.perSide * 2;
    await this.#confirmed({ Pod: endpoints, Endpoint: endpoints });
  }

  flowCount(): number {
    return countFlows(this.#ovs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#status.close();
    await this.#client.close();
    await this.#stack.disposeAsync();
  }

  async #createPolicy(name: string, rules: readonly Rule[]): Promise<void> {
    const pair = rules[0]?.pair ?? 0;
    const from = [{ podSelector: { matchLabels: { app: groupName("a", pair) } } }];
    await this.#client.create(networkPolicyKind, {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { namespace, name },
      spec: {
        podSelector: { matchLabels: { app: groupName("b", pair) } },
        policyTypes: ["Ingress"],
        ingress: rules.map(({ ports }) => ({
          from,
          ports: ports.map((port) => ({ protocol: "TCP", port })),
        })),
      },
    });
  }

  async #deletePolicy(name: string): Promise<void> {
    await this.#client.delete(networkPolicyKind, { namespace, name });
  }

  async #createPod({ name, group }: Endpoint): Promise<void> {
    const own = this.#options.identityPerEndpoint ? { "app.kubernetes.io/instance": name } : {};
    await this.#client.create(podKind, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name, labels: { app: group, ...own } },
      spec: { nodeName: node, containers: [{ name: "main", image: "none" }] },
    });
  }

  async #populate(endpoints: readonly Endpoint[]): Promise<void> {
    await Promise.all(endpoints.map((endpoint) => this.#createPod(endpoint)));
    await until("addresses for all endpoints", async () => {
      const { seen, pendingAddresses } = await this.#status.status();
      const done = seen["Endpoint"]?.objects === endpoints.length && pendingAddresses === 0;
      return done || undefined;
    });
  }

  async #startAgent(): Promise<void> {
    const agent = await startAgent(this.#ovs, node, this.#stack);
    await agent.until(({ endpoints }) => endpoints.length === this.#options.perSide * 2 + 1);
  }

  async #confirmed(expected: Readonly<Record<string, number>>): Promise<void> {
    this.storedAtMs = performance.now();
    await this.#status.confirmed(expected);
  }
}

function run(program: string, flags: Readonly<Record<string, string>>): readonly string[] {
  const file = join(import.meta.dirname, `../src/main/${program}.ts`);
  const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  return [process.execPath, "--disable-warning=ExperimentalWarning", file, ...args];
}

/** An agent on the switch, and following the controller in its folder. */
export async function startAgent(
  { rundir, databaseSocket: ovsdb }: OpenVswitch,
  name: string,
  stack: AsyncDisposableStack,
): Promise<AgentProcess> {
  const folder = join(rundir, "agent");
  mkdirSync(folder);
  const controllers = [join(rundir, "controller.sock")];
  const options = {
    node: name,
    folder,
    controllers,
    ovsdb,
    rundir,
    datapathType: "dummy",
  } as const;
  const agent = stack.use(new AgentProcess(options));
  await agent.start();
  return agent;
}

/** With a domain, one namespace and one node. */
export async function startApiServer(
  folder: string,
  stack: AsyncDisposableStack,
): Promise<ApiClient> {
  const kubeconfig = join(folder, "kubeconfig");
  const command = run("apiserver", {
    data: join(folder, "objects.db"),
    listen: "127.0.0.1:0",
    "cert-dir": join(folder, "certificates"),
    "kubeconfig-out": kubeconfig,
  });
  const server = stack.use(new Daemon("apiserver", command, { folder }));
  await until("an API server", () => server.running && (existsSync(kubeconfig) || undefined));
  const client = new ApiClient(loadKubeconfig(kubeconfig), "isobar-bench");
  await client.create(domainKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Domain",
    metadata: { name: "default" },
    spec: { vni: 1, pools: ["10.128.0.0/14"] },
  });
  await client.create(namespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  await client.create(nodeKind, { apiVersion: "v1", kind: "Node", metadata: { name: node } });
  return client;
}

export async function startController(
  folder: string,
  stack: AsyncDisposableStack,
): Promise<StatusClient> {
  const [listen, statusSocket] = [join(folder, "controller.sock"), join(folder, "status.sock")];
  const command = run("controller", {
    kubeconfig: join(folder, "kubeconfig"),
    listen,
    "status-socket": statusSocket,
  });
  const controller = stack.use(new Daemon("controller", command, { folder }));
  await until("a controller", () => controller.running && (existsSync(listen) || undefined));
  return await StatusClient.connect(statusSocket);
}
