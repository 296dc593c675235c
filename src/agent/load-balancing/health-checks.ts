// Health-check node ports: whether a load balancer outside may send a Service's connections to this node. Answers are those of
// kube-proxy (k8s.io/kubernetes/pkg/proxy/healthcheck), which load balancers are made for. Only Services whose external policy
// is Local have one.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { nameWithin } from "../../model/source-name.ts";
import type { Log } from "../../runtime/log.ts";
import { WorkQueue } from "../../runtime/work-queue.ts";
import type { BackendResource, Delta, ServiceResource } from "../../southbound/resources.ts";
import type { NodeState } from "../node-state.ts";

export interface HealthChecksOptions {
  readonly node: string;
  /** Whether node ports are Isobar's; else who has them answers. */
  readonly nodePorts: boolean;
  /** Whether the node does its work; else no load balancer is to send anything here. */
  readonly isHealthy: () => boolean;
  readonly log: Log;
}

interface Listening {
  readonly port: number;
  readonly server: Server;
}

/** The port may be another program's for a while. */
const longestDelayMs = 5_000;

export class HealthChecks implements AsyncDisposable {
  readonly #options: HealthChecksOptions;
  readonly #services = new Map<string, ServiceResource>();
  /** Service's name → ids of its resources that have a health-check port. */
  readonly #idsByName = new Map<string, Set<string>>();
  /** Service → backend → its address: only those that are ready, and on this node. */
  readonly #localBackends = new Map<string, Map<string, string>>();
  readonly #serviceOfBackend = new Map<string, string>();
  readonly #servers = new Map<string, Listening>();
  readonly #queue: WorkQueue;

  constructor(options: HealthChecksOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({
      reconcile: async (name) => await this.#listen(name),
      onError: (service, err, attempt) => {
        if (attempt === 1) options.log.warn({ service, err }, "health-check port is tried again");
      },
      longestDelayMs,
    });
  }

  /** Takes in what was known before a restart. */
  restore(state: Pick<NodeState, "all">): void {
    this.update({ upserts: [...state.all("service"), ...state.all("backend")], deletes: [] });
  }

  /** O(changed). */
  update({ upserts, deletes }: Delta): void {
    for (const { kind, id } of deletes) {
      if (kind === "service") this.#setService(id, undefined);
      else if (kind === "backend") this.#setBackend(id, undefined);
    }
    for (const resource of upserts) {
      if (resource.kind === "service") this.#setService(resource.id, resource);
      else if (resource.kind === "backend") this.#setBackend(resource.id, resource);
    }
  }

  /** How many endpoints of the Service are here. */
  localEndpoints(name: string): number {
    const ids = [...(this.#idsByName.get(name) ?? [])];
    return new Set(ids.flatMap((id) => [...(this.#localBackends.get(id)?.values() ?? [])])).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
    await Promise.all([...this.#servers.keys()].map((name) => this.#close(name)));
  }

  #setService(id: string, service: ServiceResource | undefined): void {
    const before = this.#services.get(id);
    const isOwn = this.#options.nodePorts && service?.externalPolicy === "Local";
    const after = isOwn && service.healthCheckNodePort ? service : undefined;
    if (after === undefined) this.#services.delete(id);
    else this.#services.set(id, after);
    if (before !== undefined) {
      const ids = this.#idsByName.get(before.name);
      ids?.delete(id);
      if (ids?.size === 0) this.#idsByName.delete(before.name);
    }
    if (after !== undefined) {
      const ids = this.#idsByName.get(after.name) ?? new Set();
      this.#idsByName.set(after.name, ids.add(id));
    }
    for (const name of new Set([before?.name, after?.name])) {
      if (name !== undefined) this.#queue.add(name);
    }
  }

  #setBackend(id: string, backend: BackendResource | undefined): void {
    const before = this.#serviceOfBackend.get(id);
    if (before !== undefined) {
      const local = this.#localBackends.get(before);
      local?.delete(id);
      if (local?.size === 0) this.#localBackends.delete(before);
      this.#serviceOfBackend.delete(id);
    }
    if (backend?.node !== this.#options.node || !backend.ready) return;
    const local = this.#localBackends.get(backend.service) ?? new Map<string, string>();
    this.#localBackends.set(backend.service, local.set(id, backend.address));
    this.#serviceOfBackend.set(id, backend.service);
  }

  #portOf(name: string): number | undefined {
    const [id] = this.#idsByName.get(name) ?? [];
    return id === undefined ? undefined : this.#services.get(id)?.healthCheckNodePort;
  }

  async #listen(name: string): Promise<void> {
    const port = this.#portOf(name);
    if (this.#servers.get(name)?.port === port) return;
    await this.#close(name);
    if (port === undefined) return;
    const server = createServer((request, response) => this.#answer(name, request, response));
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    server.once("error", reject);
    server.listen(port, () => resolve(undefined));
    await promise;
    this.#servers.set(name, { port, server });
  }

  async #close(name: string): Promise<void> {
    const listening = this.#servers.get(name);
    if (listening === undefined) return;
    this.#servers.delete(name);
    const closed = new Promise((resolve) => listening.server.close(resolve));
    listening.server.closeAllConnections();
    await closed;
  }

  #answer(name: string, { method }: IncomingMessage, response: ServerResponse): void {
    const [namespace = "", own = ""] = nameWithin(name).split("/");
    const localEndpoints = this.localEndpoints(name);
    const serviceProxyHealthy = this.#options.isHealthy();
    const body = {
      service: { namespace, name: own },
      localEndpoints,
      serviceProxyHealthy,
    };
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "x-load-balancing-endpoint-weight": String(localEndpoints),
    });
    response.end(method === "HEAD" ? undefined : `${JSON.stringify(body, undefined, "\t")}\n`);
  }
}
