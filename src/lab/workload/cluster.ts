// The lab's controllers, joined to the API server: Deployments become pods, pods get a node and run there, Services get
// their EndpointSlices. Each acts on keys and on the present state, so a missed or repeated event does no harm.
import { StatusError } from "../../apimachinery/errors.ts";
import { equalJson } from "../../apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../../apimachinery/kind.ts";
import type { ApiClient } from "../../client/api-client.ts";
import { Reflector } from "../../client/reflector.ts";
import { type Deployment, deploymentKind } from "../../kinds/deployment.ts";
import { type EndpointSlice, endpointSliceKind } from "../../kinds/endpoint-slice.ts";
import { type Node, nodeKind } from "../../kinds/node.ts";
import { type Pod, podKind } from "../../kinds/pod.ts";
import { type Service, serviceKind } from "../../kinds/service.ts";
import type { Log } from "../../runtime/log.ts";
import { WorkQueue } from "../../runtime/work-queue.ts";
import { planDeployment } from "./deployment.ts";
import { Kubelet, type PodActions, type PodWrites } from "./kubelet.ts";
import { isDone } from "./pod-state.ts";
import { chooseNode } from "./scheduler.ts";
import { ServiceSlices, type SliceWrites } from "./service-slices.ts";

export interface ClusterOptions {
  readonly client: ApiClient;
  readonly actions: PodActions;
  readonly addressesOf: (node: string) => readonly string[];
  readonly log: Log;
}

export class Cluster implements AsyncDisposable {
  readonly #client: ApiClient;
  readonly #log: Log;
  readonly #pods: Reflector<Pod, Pod>;
  readonly #nodes: Reflector<Node, Node>;
  readonly #deployments: Reflector<Deployment, Deployment>;
  readonly #services: Reflector<Service, Service>;
  readonly #slices: Reflector<EndpointSlice, EndpointSlice>;
  readonly #podQueue: WorkQueue;
  readonly #scheduleQueue: WorkQueue;
  readonly #deploymentQueue: WorkQueue;
  readonly #serviceQueue: WorkQueue;
  readonly #stop = new AbortController();
  readonly #kubelet: Kubelet;
  readonly #serviceSlices: ServiceSlices;

  constructor({ client, actions, addressesOf, log }: ClusterOptions) {
    this.#client = client;
    this.#log = log;
    this.#kubelet = new Kubelet({
      actions,
      writes: podWrites(client),
      addressesOf,
      now,
      later: (key, delayMs) => setTimeout(() => this.#podQueue.add(key), delayMs).unref(),
    });
    this.#serviceSlices = new ServiceSlices({
      writes: sliceWrites(client),
      enqueue: (key) => this.#serviceQueue.add(key),
    });
    // Attaching waits for the switch, so several pods are worked on at once; plans are made one at a time.
    this.#podQueue = this.#queue("pod", 16, (key) => this.#kubelet.reconcile(key));
    this.#scheduleQueue = this.#queue("scheduler", 1, (key) => this.#schedule(key));
    this.#deploymentQueue = this.#queue("deployment", 1, (key) => this.#reconcileDeployment(key));
    this.#serviceQueue = this.#queue("service", 1, (key) => this.#serviceSlices.reconcile(key));
    this.#pods = this.#reflect(podKind, (key, pod, old) => this.#podChanged(key, pod, old));
    this.#nodes = this.#reflect(nodeKind, (_key, node, old) => {
      this.#serviceSlices.setNode((node ?? old)?.metadata.name ?? "", node);
      for (const pod of this.#pods.values()) this.#scheduleQueue.add(keyOf(pod));
    });
    this.#deployments = this.#reflect(deploymentKind, (key) => this.#deploymentQueue.add(key));
    this.#services = this.#reflect(serviceKind, (key, service) =>
      this.#serviceSlices.setService(key, service),
    );
    this.#slices = this.#reflect(endpointSliceKind, (key, slice, old) =>
      this.#serviceSlices.setSlice(key, slice, old),
    );
  }

  /** Pods by phase, `Terminating` counted apart. */
  podCounts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const pod of this.#pods.values()) {
      const phase =
        pod.metadata.deletionTimestamp === undefined
          ? (pod.status?.phase ?? "Pending")
          : "Terminating";
      counts[phase] = (counts[phase] ?? 0) + 1;
    }
    return counts;
  }

  podsOn(node: string): number {
    return [...this.#pods.values()].filter((pod) => pod.spec?.nodeName === node && !isDone(pod))
      .length;
  }

  /** Where a pod that runs has its interface: the node, and whether that is the node's own namespace. */
  placeOf(key: string): { readonly node: string; readonly hostNetwork: boolean } | undefined {
    return this.#kubelet.running.get(key)?.identity;
  }

  addressesOfPod(key: string): readonly string[] {
    return this.#kubelet.running.get(key)?.addresses ?? [];
  }

  service(key: string): Service | undefined {
    return this.#services.get(...placeOfKey(key));
  }

  /** Nothing waits, and every pod runs. */
  get isSettled(): boolean {
    const queues = [this.#podQueue, this.#scheduleQueue, this.#deploymentQueue, this.#serviceQueue];
    const unsettled = Object.keys(this.podCounts()).filter((phase) => !settledPhases.has(phase));
    return unsettled.length === 0 && queues.every(({ size }) => size === 0);
  }

  /** By kind, how far the API has been followed: the version seen, and how many objects there are. */
  get seen(): Readonly<Record<string, { resourceVersion: string; objects: number }>> {
    const reflectors = { Pod: this.#pods, Deployment: this.#deployments, Service: this.#services };
    return Object.fromEntries(
      Object.entries(reflectors).map(([kind, { resourceVersion = "0", size }]) => [
        kind,
        { resourceVersion, objects: size },
      ]),
    );
  }

  /** Follows the API server until disposed of. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    const all = [this.#nodes, this.#slices, this.#pods, this.#deployments, this.#services];
    await Promise.all(all.map((reflector) => reflector.run(signal)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const queues = [this.#podQueue, this.#scheduleQueue, this.#deploymentQueue, this.#serviceQueue];
    await Promise.all(queues.map((queue) => queue[Symbol.asyncDispose]()));
  }

  #podChanged(key: string, pod: Pod | undefined, old: Pod | undefined): void {
    this.#kubelet.setPod(key, pod);
    if (pod !== undefined && pod.spec?.nodeName === undefined) this.#scheduleQueue.add(key);
    this.#podQueue.add(key);
    for (const owner of (pod ?? old)?.metadata.ownerReferences ?? []) {
      if (owner.kind === "Deployment") {
        this.#deploymentQueue.add(`${(pod ?? old)?.metadata.namespace}/${owner.name}`);
      }
    }
    this.#serviceSlices.setPod(key, pod, old);
  }

  async #schedule(key: string): Promise<void> {
    const pod = this.#pods.get(...placeOfKey(key));
    if (pod === undefined || pod.spec?.nodeName !== undefined || isDone(pod)) return;
    const node = chooseNode(pod, this.#nodes.values(), this.#pods.values());
    if (node === undefined) throw new Error("no node that the pod may run on");
    const { namespace = "", name } = pod.metadata;
    const target = { apiVersion: "v1", kind: "Node", name: node };
    const body = { apiVersion: "v1", kind: "Binding", metadata: { name, namespace }, target };
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/binding`;
    await ignoring([404, 409], () => this.#client.json("POST", path, { body }));
    // The next pod is placed with this one counted, so wait until it is seen.
    while (!this.#stop.signal.aborted && this.#isUnplaced(key)) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #isUnplaced(key: string): boolean {
    const pod = this.#pods.get(...placeOfKey(key));
    return pod !== undefined && pod.spec?.nodeName === undefined;
  }

  async #reconcileDeployment(key: string): Promise<void> {
    const [namespace, name] = placeOfKey(key);
    const deployment = this.#deployments.get(namespace, name);
    if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return;
    const { create, remove, status } = planDeployment(deployment, this.#pods.values());
    const made: Pod[] = [];
    for (const pod of create) made.push(await this.#client.create(podKind, pod));
    for (const pod of remove) {
      await ignoring([404], () => this.#client.delete(podKind, { namespace, name: pod }));
    }
    if (!equalJson(status, deployment.status ?? {})) {
      await ignoring([404, 409], () =>
        this.#client.updateStatus(deploymentKind, { ...deployment, status }),
      );
    }
    // What was made must be seen before the next plan, or it would be made again.
    for (const pod of made) {
      while (!this.#stop.signal.aborted && !this.#hasSeen(pod)) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  }

  #hasSeen({ metadata: { namespace, name, resourceVersion } }: Pod): boolean {
    const seen = Number(this.#pods.resourceVersion ?? 0);
    return this.#pods.get(namespace, name) !== undefined || seen >= Number(resourceVersion);
  }

  #queue(name: string, concurrency: number, reconcile: (key: string) => Promise<void>): WorkQueue {
    return new WorkQueue({
      reconcile,
      concurrency,
      longestDelayMs: 1_000,
      onError: (key, error, attempt) => {
        const message = error instanceof Error ? error.message : String(error);
        this.#log.warn({ [name]: key, attempt, error: message }, "is tried again");
      },
    });
  }

  #reflect<T extends KubeObject>(
    kind: KindDefinition<T>,
    onChange: (key: string, object: T | undefined, old: T | undefined) => void,
  ): Reflector<T, T> {
    return new Reflector({
      client: this.#client,
      kind,
      strip: (object: T) => object,
      handlers: {
        set: (object: T, old: T | undefined) => onChange(keyOf(object), object, old),
        delete: (old: T) => onChange(keyOf(old), undefined, old),
      },
    });
  }
}

/** Pods that run, and those that have ended. */
const settledPhases = new Set(["Running", "Succeeded", "Failed"]);

function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return `${namespace ?? ""}/${name}`;
}

function placeOfKey(key: string): [namespace: string, name: string] {
  const [namespace = "", name = ""] = key.split("/");
  return [namespace, name];
}

/** The present time as the API writes it. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}

/** Runs the request; an answer with one of these codes is as good as a success. */
async function ignoring(codes: readonly number[], request: () => Promise<unknown>): Promise<void> {
  try {
    await request();
  } catch (error) {
    if (!(error instanceof StatusError && codes.includes(error.status.code))) throw error;
  }
}

function podWrites(client: ApiClient): PodWrites {
  return {
    async updateStatus(pod, status) {
      const metadata = { ...pod.metadata, resourceVersion: "" };
      await ignoring([404], () => client.updateStatus(podKind, { ...pod, metadata, status }));
    },
    async remove({ metadata: { namespace = "", name, uid } }) {
      const options = { gracePeriodSeconds: 0, preconditions: { uid } };
      await ignoring([404, 409], () => client.delete(podKind, { namespace, name }, options));
    },
  };
}

function sliceWrites(client: ApiClient): SliceWrites {
  return {
    create: async (slice) => await client.create(endpointSliceKind, slice),
    async update(slice) {
      const metadata = { ...slice.metadata, resourceVersion: "" };
      await ignoring([404], () => client.update(endpointSliceKind, { ...slice, metadata }));
    },
    async remove({ metadata: { namespace = "", name } }) {
      await ignoring([404], () => client.delete(endpointSliceKind, { namespace, name }));
    },
  };
}
