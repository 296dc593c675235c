// A controller over real API servers, in this process.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApiClient } from "../../src/client/api-client.ts";
import type { EventReport, EventSink } from "../../src/client/event-recorder.ts";
import { Controller, type ControllerOptions } from "../../src/controller/controller.ts";
import { domainKind } from "../../src/kinds/domain.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { networkPolicyKind, type NetworkPolicy } from "../../src/kinds/network-policy.ts";
import { nodeKind } from "../../src/kinds/node.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { createLog } from "../../src/runtime/log.ts";
import type { Resource } from "../../src/southbound/resources.ts";
import { FollowingAgent } from "./following-agent.ts";

/** Keeps what was reported. */
class Reports implements EventSink {
  readonly all: EventReport[] = [];

  record(report: EventReport): void {
    this.all.push(report);
  }
}

export class RunningController implements AsyncDisposable {
  readonly controller: Controller;
  readonly reports = new Reports();
  readonly socket: string;
  readonly #directory = mkdtempSync(join(tmpdir(), "isobar-controller-"));
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  /** The first client's source has an empty name. */
  constructor(
    clients: Readonly<Record<string, ApiClient>>,
    options: Partial<ControllerOptions> = {},
  ) {
    this.socket = join(this.#directory, "controller.sock");
    const sources = Object.entries(clients).map(([name, client]) => {
      return { name, client, events: this.reports };
    });
    try {
      this.controller = new Controller({
        sources,
        listen: [{ kind: "unix", path: this.socket }],
        writesStatus: { settleMs: 100, startMs: 1_500 },
        log: createLog({ name: "controller", level: "fatal" }),
        ...options,
      });
    } catch (error) {
      rmSync(this.#directory, { recursive: true });
      throw error;
    }
    this.#done = this.controller.run(this.#stop.signal);
  }

  agent(node: string, refuses?: (resource: Resource) => string | undefined): FollowingAgent {
    return new FollowingAgent(node, this.socket, refuses);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
    rmSync(this.#directory, { recursive: true });
  }
}

export async function createDomain(client: ApiClient, vni: number, pool: string): Promise<void> {
  await client.create(domainKind, {
    apiVersion: "isobar.io/v1alpha1",
    kind: "Domain",
    metadata: { name: "default" },
    spec: { vni, pools: [pool] },
  });
}

export async function createNode(client: ApiClient, name: string, address: string): Promise<void> {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name } };
  await client.create(nodeKind, node);
  const status = { addresses: [{ type: "InternalIP", address }] };
  await client.patch(
    nodeKind,
    { name, subresource: "status" },
    { type: "merge-patch+json", body: { status } },
  );
}

export async function createNamespace(client: ApiClient, name: string): Promise<void> {
  await client.create(namespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

export async function createPod(
  client: ApiClient,
  { namespace, name, node }: { namespace: string; name: string; node: string },
): Promise<void> {
  await client.create(podKind, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, labels: { app: name } },
    spec: { nodeName: node, containers: [{ name: "c", image: "i" }] },
  });
}

export async function createPolicy(
  client: ApiClient,
  name: string,
  spec: NonNullable<NetworkPolicy["spec"]>,
): Promise<NetworkPolicy> {
  return await client.create(networkPolicyKind, {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace: "shop", name },
    spec,
  });
}
