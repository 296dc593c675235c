// A cluster of the policies' tests in a lab: its namespaces, pods and policies, at the addresses that the tests know.
import { setTimeout as sleep } from "node:timers/promises";
import { equalJson } from "../../src/apimachinery/json.ts";
import type { KindDefinition, KubeObject } from "../../src/apimachinery/kind.ts";
import { domainKind } from "../../src/kinds/domain.ts";
import { namespaceKind } from "../../src/kinds/namespace.ts";
import { networkKind } from "../../src/kinds/network.ts";
import { clusterNetworkPolicyKind } from "../../src/kinds/cluster-network-policy.ts";
import { nodeKind } from "../../src/kinds/node.ts";
import { networkPolicyKind } from "../../src/kinds/network-policy.ts";
import { podKind } from "../../src/kinds/pod.ts";
import { fieldOf, listOf } from "../../src/kubernetes/json.ts";
import { type ObjectPlace, pathOf } from "../../src/client/object-path.ts";
import type { TestLab } from "./harness.ts";

type Labels = Readonly<Record<string, string>>;

export function ofKind(objects: readonly KubeObject[], kind: string): KubeObject[] {
  return objects.filter((object) => object.kind === kind);
}

interface PolicyPlace extends ObjectPlace {
  readonly kind: KindDefinition;
}

const policyKinds: readonly KindDefinition[] = [networkPolicyKind, clusterNetworkPolicyKind];

function keyOf({ kind, metadata: { namespace, name } }: KubeObject): string {
  return `${kind} ${namespace ?? ""}/${name}`;
}

/** The tests' nodes are n1, n2, n3. */
export function labNode(name: string): string {
  return name.replace(/^n(?=\d$)/, "node-");
}

/** The API has a port's name once in a container, and the tests' pods may have it twice: each port gets a container. */
function labPod({ metadata: { name, namespace, labels }, spec }: KubeObject): unknown {
  const [container] = listOf(fieldOf(spec, "containers")) ?? [];
  const ports = listOf(fieldOf(container, "ports")) ?? [];
  const containers = [undefined, ...ports].map((port, index) => ({
    name: `c${index}`,
    image: "isobar.io/listener",
    ...(port === undefined ? {} : { ports: [port] }),
  }));
  const nodeName = labNode(String(fieldOf(spec, "nodeName")));
  return { metadata: { name, namespace, labels }, spec: { nodeName, containers } };
}

export class LabCluster {
  readonly #lab: TestLab;
  /** Of namespaces and pods, by key. */
  readonly #labels = new Map<string, Labels>();
  readonly #policies = new Map<string, PolicyPlace>();

  private constructor(lab: TestLab) {
    this.#lab = lab;
  }

  /** Adds the networks of the tests' pods to the lab's. */
  static async open(lab: TestLab): Promise<LabCluster> {
    const { spec } = await lab.client.get(domainKind, { name: "default" });
    const pools = [...spec.pools, "10.0.0.0/16", "fd00::/48"];
    const body = { spec: { pools } };
    await lab.client.patch(domainKind, { name: "default" }, { type: "merge-patch+json", body });
    return new LabCluster(lab);
  }

  /**
   * Makes the namespaces and pods; those of the cluster before must be gone. The network of namespace x, counted from 1,
   * is 10.0.x.0/24 and fd00:0:0:x::/64, and its pods have the addresses from 1 on in their order.
   */
  async create(objects: readonly KubeObject[]): Promise<void> {
    for (const [index, namespace] of ofKind(objects, "Namespace").entries()) {
      const { name, labels = {} } = namespace.metadata;
      await this.#create(namespaceKind, {}, { metadata: { name, labels } });
      const cidrs = [`10.0.${index + 1}.0/24`, `fd00:0:0:${index + 1}::/64`];
      const spec = { domain: "default", cidrs };
      await this.#create(networkKind, { namespace: name }, { metadata: { name: "pods" }, spec });
      this.#labels.set(keyOf(namespace), labels);
    }
    await this.#lab.settle();
    for (const pod of ofKind(objects, "Pod")) {
      const { namespace = "" } = pod.metadata;
      await this.#create(podKind, { namespace }, labPod(pod));
      this.#labels.set(keyOf(pod), pod.metadata.labels ?? {});
    }
    await this.#lab.settle();
  }

  /** Namespaces, pods and nodes get the labels that they have in the objects. */
  async relabel(objects: readonly KubeObject[]): Promise<void> {
    const kinds = { Namespace: namespaceKind, Pod: podKind, Node: nodeKind };
    const changes = Object.entries(kinds).flatMap(([name, kind]) =>
      ofKind(objects, name).map(async (object) => await this.#relabel(kind, object)),
    );
    await Promise.all(changes);
  }

  /** Makes these the policies: changes those of the same name, adds and deletes the others. */
  async setPolicies(policies: readonly KubeObject[]): Promise<void> {
    const wanted = new Map(policies.map((policy) => [keyOf(policy), policy]));
    const surplus = [...this.#policies].filter(([key]) => !wanted.has(key));
    for (const [key] of surplus) this.#policies.delete(key);
    await Promise.all(
      surplus.map(async ([, { kind, ...place }]) => await this.#lab.delete(kind, place)),
    );
    await Promise.all([...wanted].map(async (entry) => await this.#setPolicy(...entry)));
  }

  /** Deletes everything, and waits until it is gone. */
  async clear(): Promise<void> {
    await this.setPolicies([]);
    const names = [...this.#labels.keys()]
      .filter((key) => key.startsWith("Namespace"))
      .map((key) => key.slice("Namespace /".length));
    await Promise.all(names.map(async (name) => await this.#lab.delete(namespaceKind, { name })));
    for (const name of names) {
      while ((await this.#lab.client.find(namespaceKind, { name })) !== undefined) await sleep(20);
    }
    this.#labels.clear();
    this.#policies.clear();
    await this.#lab.settle();
  }

  async #create(
    kind: KindDefinition,
    place: { readonly namespace?: string },
    body: unknown,
  ): Promise<void> {
    await this.#lab.client.json("POST", pathOf(kind, place), { body });
  }

  async #setPolicy(
    key: string,
    { kind: kindName, metadata: { namespace, name }, spec }: KubeObject,
  ): Promise<void> {
    const body = { metadata: { name }, spec };
    const kind = policyKinds.find((each) => each.kind === kindName) ?? networkPolicyKind;
    const place = namespace === undefined ? {} : { namespace };
    if (this.#policies.has(key)) {
      await this.#lab.client.json("PUT", pathOf(kind, { ...place, name }), { body });
    } else {
      await this.#create(kind, place, body);
      this.#policies.set(key, { kind, ...place, name });
    }
  }

  async #relabel(kind: KindDefinition, object: KubeObject): Promise<void> {
    const { name, namespace, labels = {} } = object.metadata;
    const key = keyOf(object);
    const old = this.#labels.get(key) ?? {};
    if (equalJson(old, labels)) return;
    const gone = Object.fromEntries(Object.keys(old).map((label) => [label, null]));
    const own = kind === nodeKind ? labNode(name) : name;
    const place = { name: own, ...(namespace !== undefined && { namespace }) };
    const body = { metadata: { labels: { ...gone, ...labels } } };
    await this.#lab.client.patch(kind, place, { type: "merge-patch+json", body });
    this.#labels.set(key, labels);
  }
}
