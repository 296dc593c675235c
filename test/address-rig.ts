// A real API server with a real controller on it that can be killed at any write, and what must hold at every step.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { ApiClient, type RequestOptions } from "../src/client/api-client.ts";
import type { EventReport } from "../src/client/event-recorder.ts";
import { UnavailableError } from "../src/client/errors.ts";
import type { ClientConfig } from "../src/client/kubeconfig.ts";
import { Reflector } from "../src/client/reflector.ts";
import { Controller } from "../src/controller/controller.ts";
import type { AddressTimes } from "../src/controller/network-keeper.ts";
import { NetworkLedger } from "../src/ipam/network-ledger.ts";
import { SpaceNetwork } from "../src/ipam/space-network.ts";
import { domainKind } from "../src/kinds/domain.ts";
import { type Endpoint, endpointKind } from "../src/kinds/endpoint.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { type Network, networkKind } from "../src/kinds/network.ts";
import { type Pod, podKind } from "../src/kinds/pod.ts";
import { parsePrefix, prefixContains } from "../src/net/address.ts";
import { createLog } from "../src/runtime/log.ts";
import { startTestApi, type TestApi } from "./api-harness.ts";

/** What becomes of a write: it works, fails before or after it is stored, or is stored only when its writer is long dead. */
export type Fate = "works" | "before" | "after" | "late";

/** Asks what is to become of each write, and is dead after the first that does not work. */
class DoomedClient extends ApiClient {
  readonly #fateOf: () => Fate;
  readonly #delayMs: () => number;
  readonly #onDeath: () => void;
  /** Whether it fails every request, as a process that is dead makes none. */
  dead = false;

  constructor(
    config: ClientConfig,
    { fateOf = () => "works", delayMs = () => 0 }: RigOptions,
    onDeath: () => void,
  ) {
    super(config, "isobar-controller");
    this.#fateOf = fateOf;
    this.#delayMs = delayMs;
    this.#onDeath = onDeath;
  }

  override async open(
    method: Dispatcher.HttpMethod,
    path: string,
    options: RequestOptions = {},
  ): Promise<Dispatcher.ResponseData> {
    if (this.dead) throw new UnavailableError("dead");
    if (method === "GET") return await super.open(method, path, options);
    await sleep(this.#delayMs());
    if (this.dead) throw new UnavailableError("dead");
    const fate = this.#fateOf();
    if (fate === "works") return await super.open(method, path, options);
    this.dead = true;
    const send = async (): Promise<void> => {
      const answer = await super.open(method, path, options).catch(() => undefined);
      await answer?.body.dump();
    };
    if (fate === "after") await send();
    if (fate === "late") void sleep(100).then(send);
    this.#onDeath();
    throw new UnavailableError("dead");
  }
}

export interface RigOptions {
  readonly pools?: string[];
  readonly lengths?: { readonly ipv4: number; readonly ipv6: number };
  readonly times?: Partial<AddressTimes>;
  /** URL of an external IPAM. */
  readonly webhook?: string;
  readonly fateOf?: () => Fate;
  /** How long each write of a controller takes longer; several controllers come apart by it. */
  readonly delayMs?: () => number;
}

const quickTimes: AddressTimes = {
  quarantineMs: 400,
  orphanMs: 600,
  emptyMs: 400,
  claimMs: 2_000,
};

const name = "default";

export class AddressRig implements AsyncDisposable {
  readonly api: TestApi;
  readonly reports: EventReport[] = [];
  /** What must not be, with the objects that show it. */
  readonly violations: string[] = [];
  readonly endpoints = new Map<string, Endpoint>();
  readonly networks = new Map<string, Network>();
  /** Pods that have asked for addresses by name, which they get without a rest. */
  readonly #asking = new Set<string>();
  /** Address → when its endpoint went. */
  readonly #freedMs = new Map<string, number>();
  readonly #options: RigOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  /** Ends a controller, each that runs. */
  readonly #stops = new Set<() => Promise<void>>();
  /** Controllers that have been killed. */
  deaths = 0;

  private constructor(api: TestApi, options: RigOptions) {
    this.api = api;
    this.#options = options;
  }

  static async start(options: RigOptions = {}): Promise<AddressRig> {
    const rig = new AddressRig(await startTestApi(), options);
    const { ipv4 = 28, ipv6 = 124 } = options.lengths ?? {};
    await rig.api.client.create(domainKind, {
      apiVersion: "isobar.io/v1alpha1",
      kind: "Domain",
      metadata: { name },
      spec: {
        vni: 1,
        pools: options.pools ?? ["10.0.0.0/24", "fd00::/120"],
        networkPrefixLength: { ipv4, ipv6 },
        ...(options.webhook !== undefined && {
          ipam: { webhook: { url: options.webhook, timeoutSeconds: 1 } },
        }),
      },
    });
    rig.#follow();
    rig.startController();
    return rig;
  }

  get times(): AddressTimes {
    return { ...quickTimes, ...this.#options.times };
  }

  /** Starts a controller, and another one whenever it dies. */
  startController(): void {
    const stopping = new AbortController();
    const client = new DoomedClient(this.api.client.config, this.#options, () => {
      this.deaths += 1;
      void stop();
      if (!this.#stopping.signal.aborted) this.startController();
    });
    const log = createLog({ name: "controller", level: "silent" });
    const events = { record: (report: EventReport) => this.reports.push(report) };
    const controller = new Controller({
      sources: [{ name: "", client, events }],
      listen: [],
      log,
      addressTimes: this.times,
    });
    const running = controller.run(stopping.signal).catch((error: unknown) => {
      if (!client.dead) this.violations.push(`the controller failed: ${String(error)}`);
    });
    this.#running.push(running);
    const stop = async (): Promise<void> => {
      this.#stops.delete(stop);
      stopping.abort();
      await running;
      // What is on its way when its sender is dead still arrives.
      await sleep(client.dead ? 500 : 0);
      await client.close();
    };
    this.#stops.add(stop);
  }

  /** Ends the controllers without others taking their places. */
  async stopController(): Promise<void> {
    await Promise.all([...this.#stops].map(async (stop) => await stop()));
  }

  async namespace(
    namespace: string,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.api.client.create(namespaceKind, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, annotations: { ...annotations } },
    });
  }

  async pod(key: string, metadata: Partial<Pod["metadata"]> = {}, node = "n1"): Promise<Pod> {
    const [namespace = "", podName = ""] = key.split("/");
    if (metadata.annotations?.["isobar.io/addresses"] !== undefined) this.#asking.add(key);
    return await this.api.client.create(podKind, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name: podName, ...metadata },
      spec: { nodeName: node, containers: [{ name: "c", image: "i" }] },
    });
  }

  async deletePod(key: string): Promise<void> {
    const [namespace = "", podName = ""] = key.split("/");
    await this.api.client.delete(podKind, { namespace, name: podName });
  }

  /** The addresses of the pod's endpoint, once it has one. */
  async addressesOf(key: string, podUid?: string): Promise<readonly string[]> {
    await until(`an endpoint for ${key}`, () => {
      const endpoint = this.endpoints.get(key);
      return (
        endpoint !== undefined &&
        (podUid ?? endpoint.spec.attachment.uid) === endpoint.spec.attachment.uid
      );
    });
    return this.endpoints.get(key)?.spec.addresses ?? [];
  }

  async reported(reason: string): Promise<EventReport> {
    await until(`an event ${reason}`, () => this.reports.some((each) => each.reason === reason));
    const report = this.reports.find((each) => each.reason === reason);
    assert.ok(report);
    return report;
  }

  /** What the ledgers say that the endpoints do not, and the reverse. */
  disagreements(): string[] {
    const found: string[] = [];
    for (const [id, network] of this.networks) {
      const [zone = ""] = id.split("/");
      const space = new SpaceNetwork(id, { ...network.spec, zone });
      const held = new Set<number>();
      for (const [key, { spec }] of this.endpoints) {
        if (!key.startsWith(`${zone}/`) || spec.network !== network.metadata.name) continue;
        for (const offset of space.offsetsOf(spec.addresses)) held.add(offset);
      }
      const { allocated } = NetworkLedger.parse(network.status);
      for (const offset of held) if (!allocated.has(offset)) found.push(`${id}: ${offset} is free`);
      for (const offset of allocated) if (!held.has(offset)) found.push(`${id}: ${offset} leaks`);
    }
    return found;
  }

  #follow(): void {
    const { client } = this.api;
    const { signal } = this.#stopping;
    const endpoints = new Reflector<Endpoint, Endpoint>({
      client,
      kind: endpointKind,
      strip: (endpoint) => endpoint,
      handlers: {
        set: (endpoint) => this.#check(endpoint),
        delete: (endpoint) => {
          this.endpoints.delete(keyOf(endpoint));
          for (const address of endpoint.spec.addresses) {
            this.#freedMs.set(address, performance.now());
          }
        },
      },
    });
    const networks = new Reflector<Network, Network>({
      client,
      kind: networkKind,
      strip: (network) => network,
      handlers: {
        set: (network) => this.#checkNetwork(network),
        delete: (network) => this.networks.delete(keyOf(network)),
      },
    });
    this.#running.push(endpoints.run(signal), networks.run(signal));
  }

  #check(endpoint: Endpoint): void {
    const key = keyOf(endpoint);
    for (const [other, { spec }] of this.endpoints) {
      if (other === key) continue;
      for (const address of spec.addresses) {
        if (endpoint.spec.addresses.includes(address)) {
          this.violations.push(`${address} is ${key}'s and ${other}'s`);
        }
      }
    }
    if (!this.endpoints.has(key) && !this.#asking.has(key)) {
      for (const address of endpoint.spec.addresses) {
        const restMs = performance.now() - (this.#freedMs.get(address) ?? -Infinity);
        // What this process sees late, it sees as too short a rest.
        if (restMs < this.times.quarantineMs / 2) {
          this.violations.push(`${address} rested for ${Math.round(restMs)} ms only`);
        }
      }
    }
    this.endpoints.set(key, endpoint);
  }

  #checkNetwork(network: Network): void {
    const id = keyOf(network);
    if (!this.networks.has(id)) {
      const own = network.spec.cidrs.map(parsePrefix);
      for (const [other, { spec }] of this.networks) {
        const theirs = spec.cidrs.map(parsePrefix);
        const overlaps = own.some((a) =>
          theirs.some((b) => prefixContains(a, b) || prefixContains(b, a)),
        );
        if (overlaps) this.violations.push(`networks ${id} and ${other} overlap`);
      }
    }
    this.networks.set(id, network);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.stopController();
    await Promise.all(this.#running);
    await this.api[Symbol.asyncDispose]();
  }
}

function keyOf({ metadata: { namespace = "", name: own } }: Endpoint | Network): string {
  return `${namespace}/${own}`;
}

/** Settles when it holds. @throws {Error} with `what` when that takes too long. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come in ${timeoutMs} ms`);
    await sleep(5);
  }
}
