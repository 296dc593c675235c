// Isobar in tenants.bench.ts: API server, controller and agent as processes of their own.
import type { ApiClient } from "../src/client/api-client.ts";
import { endpointKind } from "../src/kinds/endpoint.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { networkPolicyKind } from "../src/kinds/network-policy.ts";
import type { NetworkPolicy } from "../src/kinds/network-policy.ts";
import { podKind } from "../src/kinds/pod.ts";
import { formatMac } from "../src/net/mac.ts";
import { routerMac } from "../src/pipeline/neighbour.ts";
import { OpenVswitch } from "../test/ovs/open-vswitch.ts";
import {
  type StatusClient,
  startAgent,
  startApiServer,
  startController,
} from "./realisation-isobar.ts";
import { addPorts, countFlows } from "./realisation-switch.ts";
import { type End, type Landlord, type Pod, type Tenant, external } from "./tenants-workload.ts";
import { passesSwitch } from "./traced-packet.ts";

const node = "node-1";

type Spec = NonNullable<NetworkPolicy["spec"]>;

/** The first two are in force before the others are made, as in the workload. */
const inside: Readonly<Record<string, Spec>> = {
  deny: { podSelector: {}, policyTypes: ["Ingress"] },
  within: { podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] },
};

const fromOutside: Readonly<Record<string, Spec>> = Object.fromEntries(
  external.map((addresses, index) => [
    `external-${index}`,
    {
      podSelector: {},
      ingress: [{ from: addresses.map((each) => ({ ipBlock: { cidr: `${each}/32` } })) }],
    },
  ]),
);

export class IsobarLandlord implements Landlord {
  readonly name = "Isobar";
  storingMs = 0;
  readonly #stack: AsyncDisposableStack;
  readonly #ovs: OpenVswitch;
  readonly #client: ApiClient;
  readonly #status: StatusClient;
  #pods = 0;
  #policies = 0;

  private constructor(
    stack: AsyncDisposableStack,
    ovs: OpenVswitch,
    client: ApiClient,
    status: StatusClient,
  ) {
    this.#stack = stack;
    this.#ovs = ovs;
    this.#client = client;
    this.#status = status;
  }

  static async start(tenants: readonly Tenant[]): Promise<IsobarLandlord> {
    await using stack = new AsyncDisposableStack();
    const ovs = stack.use(await OpenVswitch.start());
    await addPorts(
      ovs,
      tenants.flatMap(({ pods }) =>
        pods.map(({ namespace, name }) => ({
          "isobar-endpoint": `${namespace}/${name}`,
          "isobar-container": `${namespace}-${name}`,
        })),
      ),
    );
    const client = await startApiServer(ovs.rundir, stack);
    stack.defer(async () => await client.close());
    const status = await startController(ovs.rundir, stack);
    stack.defer(() => status.close());
    await startAgent(ovs, node, stack);
    await status.confirmed({ Pod: 0 });
    return new IsobarLandlord(stack.move(), ovs, client, status);
  }

  async admit({ name, pods }: Tenant): Promise<void> {
    const begun = performance.now();
    await this.#client.create(namespaceKind, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name },
    });
    // As manifests have them: pods that come before their policies would be open, and be closed then.
    await this.#createAll(name, inside);
    await Promise.all(pods.map((pod) => this.#createPod(pod)));
    this.#pods += pods.length;
    this.storingMs = performance.now() - begun;
    await this.#confirmed();
    const resumed = performance.now();
    await this.#createAll(name, fromOutside);
    this.storingMs += performance.now() - resumed;
    await this.#confirmed();
  }

  async endOf({ namespace, name, port }: Pod): Promise<End> {
    const { spec } = await this.#client.get(endpointKind, { namespace, name });
    return { port, mac: spec.mac, address: spec.addresses[0] ?? "" };
  }

  async passes(from: End, to: End): Promise<boolean> {
    return await passesSwitch(this.#ovs, from, to, formatMac(routerMac));
  }

  flowCount(): number {
    return countFlows(this.#ovs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #createPod({ namespace, name }: Pod): Promise<void> {
    await this.#client.create(podKind, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name, labels: { app: name } },
      spec: { nodeName: node, containers: [{ name: "main", image: "none" }] },
    });
  }

  async #createAll(namespace: string, specs: Readonly<Record<string, Spec>>): Promise<void> {
    const all = Object.entries(specs).map(async ([name, spec]) => {
      await this.#client.create(networkPolicyKind, {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { namespace, name },
        spec,
      });
    });
    await Promise.all(all);
    this.#policies += all.length;
  }

  async #confirmed(): Promise<void> {
    const [pods, policies] = [this.#pods, this.#policies];
    await this.#status.confirmed({ Pod: pods, Endpoint: pods, NetworkPolicy: policies });
  }
}
