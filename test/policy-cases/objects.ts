import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { KubeObject } from "../../src/apimachinery/kind.ts";

/** A cluster in short form, as base.yaml has it. In a case it is laid over the base: what it names, it replaces. */
export interface ClusterDescription {
  /** InternalIP addresses by node. */
  readonly nodes?: Readonly<Record<string, readonly string[]>>;
  /** Labels by node; none where it is not named. */
  readonly nodeLabels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Addresses of other types than InternalIP, by node. */
  readonly nodeExternalIps?: Readonly<Record<string, readonly string[]>>;
  /** Labels by namespace. */
  readonly namespaces?: Readonly<Record<string, Readonly<Record<string, string>> | null>>;
  /** By `namespace/name`; a pod of the base keeps what the case does not mention, null removes it. */
  readonly pods?: Readonly<Record<string, PodDescription | null>>;
}

export interface PodDescription {
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `tcp/80` or a list of such, by name. */
  readonly ports?: Readonly<Record<string, string | readonly string[]>>;
  readonly addresses?: readonly string[];
  /** Further fields of the pod's spec, metadata and status. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

/** Specs by name: of NetworkPolicies by `namespace/name`, of ClusterNetworkPolicies by `name`. */
export type PolicySpecs = Readonly<Record<string, unknown>>;

const base: WholeCluster = {
  nodeLabels: {},
  nodeExternalIps: {},
  ...parse(readFileSync(new URL("base.yaml", import.meta.url), "utf8")),
};

export type WholeCluster = Required<ClusterDescription>;

/** Pods' addresses come out of these. */
const domain: KubeObject = {
  ...object("isobar.io/v1alpha1", "Domain", "default"),
  spec: { vni: 1, pools: ["10.0.0.0/16", "fd00::/48"] },
};

function object(
  apiVersion: string,
  kind: string,
  path: string,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject {
  const [name = "", namespace] = path.split("/").toReversed();
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid: `${kind}-${path}`,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...metadata,
    },
  };
}

function renderPorts(ports: PodDescription["ports"]): unknown[] {
  return Object.entries(ports ?? {}).flatMap(([name, texts]) =>
    [texts].flat().map((text) => {
      const [protocol = "", port] = text.split("/");
      return { name, protocol: protocol.toUpperCase(), containerPort: Number(port) };
    }),
  );
}

function renderPod(path: string, pod: PodDescription): KubeObject {
  const addresses = pod.addresses ?? [];
  return {
    ...object("v1", "Pod", path, { labels: pod.labels ?? {}, ...pod.metadata }),
    spec: {
      nodeName: pod.node,
      containers: [{ name: "main", image: "isobar.io/listener", ports: renderPorts(pod.ports) }],
      ...pod.spec,
    },
    status: {
      phase: "Running",
      podIP: addresses[0],
      podIPs: addresses.map((ip) => ({ ip })),
      ...pod.status,
    },
  };
}

/** Lays the case's cluster over the base. */
function lay(change: ClusterDescription): WholeCluster {
  const pods: Record<string, PodDescription | null> = { ...base.pods };
  for (const [path, pod] of Object.entries(change.pods ?? {})) {
    pods[path] = pod === null ? null : { ...pods[path], ...pod };
  }
  return {
    nodes: { ...base.nodes, ...change.nodes },
    nodeLabels: change.nodeLabels ?? {},
    nodeExternalIps: change.nodeExternalIps ?? {},
    namespaces: { ...base.namespaces, ...change.namespaces },
    pods,
  };
}

/** A whole cluster as Kubernetes objects, with the domain that its pods' addresses are in. */
export function renderCluster(cluster: WholeCluster, policies: PolicySpecs): KubeObject[] {
  const nodes = Object.entries(cluster.nodes).map(([name, addresses]) => ({
    ...object("v1", "Node", name, { labels: cluster.nodeLabels[name] ?? {} }),
    status: {
      addresses: [
        ...addresses.map((address) => ({ type: "InternalIP", address })),
        ...(cluster.nodeExternalIps[name] ?? []).map((address) => ({
          type: "ExternalIP",
          address,
        })),
      ],
    },
  }));
  const namespaces = Object.entries(cluster.namespaces)
    .filter(([, labels]) => labels !== null)
    .map(([name, labels]) =>
      object("v1", "Namespace", name, {
        labels: { ...labels, "kubernetes.io/metadata.name": name },
      }),
    );
  const pods = Object.entries(cluster.pods)
    .filter((entry): entry is [string, PodDescription] => entry[1] !== null)
    .map(([path, pod]) => renderPod(path, pod));
  const allPolicies = Object.entries(policies).map(([path, spec]) => ({
    ...(path.includes("/")
      ? object("networking.k8s.io/v1", "NetworkPolicy", path)
      : object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", path)),
    spec,
  }));
  return [domain, ...nodes, ...namespaces, ...pods, ...allPolicies];
}

/** The base cluster with the change laid over it. */
export function renderObjects(change: ClusterDescription, policies: PolicySpecs): KubeObject[] {
  return renderCluster(lay(change), policies);
}
