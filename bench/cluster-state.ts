// A cluster that has been running for a while, written straight into an API server's store: namespaces, nodes, policies, and
// pods as kubelets leave them, each with its Endpoint in its namespace's Network.
import { encodeObject, keyOf } from "../src/apiserver/object-codec.ts";
import type { KindDefinition, KubeObject, ObjectMeta } from "../src/apimachinery/kind.ts";
import { domainKind } from "../src/kinds/domain.ts";
import { endpointKind } from "../src/kinds/endpoint.ts";
import { namespaceKind } from "../src/kinds/namespace.ts";
import { networkPolicyKind } from "../src/kinds/network-policy.ts";
import { networkKind } from "../src/kinds/network.ts";
import { nodeKind } from "../src/kinds/node.ts";
import { podKind } from "../src/kinds/pod.ts";
import type { Store } from "../src/store/store.ts";

export const podsPerNamespace = 100;
const time = "2026-01-01T00:00:00Z";
const appsPerNamespace = 10;

type Parts = Omit<KubeObject, "apiVersion" | "kind" | "metadata">;
type Entry = readonly [KindDefinition, Partial<ObjectMeta> & { readonly name: string }, Parts];

function uid(kind: string, number: number): string {
  const text = number.toString(16).padStart(12, "0");
  return `00000000-0000-4000-8${kind.length.toString(16).padStart(3, "0")}-${text}`;
}

function* podEntries(number: number, nodes: number): Generator<Entry> {
  const [space, index] = [Math.floor(number / podsPerNamespace), number % podsPerNamespace];
  const namespace = `team-${space}`;
  const app = `app-${index % appsPerNamespace}`;
  const name = `${app}-6d4cf56db6-${number.toString(36).padStart(5, "x")}`;
  const labels = { app, "pod-template-hash": "6d4cf56db6", "app.kubernetes.io/part-of": namespace };
  const node = `node-${(number * 7919) % nodes}`;
  const address = `10.${(space >> 8) & 255}.${space & 255}.${index + 1}`;
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: `${app}-6d4cf56db6` };
  const ownerReferences = [{ ...owner, uid: uid("set", space), controller: true }];
  const annotations = {
    "kubernetes.io/config.seen": time,
    "prometheus.io/scrape": "true",
    "kubectl.kubernetes.io/restartedAt": time,
  };
  const podUid = uid("pod", number);
  yield [
    podKind,
    { namespace, name, uid: podUid, labels, annotations, ownerReferences, generateName: `${app}-` },
    { spec: podSpec(node), status: podStatus(address) },
  ];
  const own = { apiVersion: "v1", kind: "Pod", name, uid: podUid };
  const hex = (part: number): string => (part & 255).toString(16).padStart(2, "0");
  yield [
    endpointKind,
    { namespace, name, uid: uid("endpoint", number), ownerReferences: [own] },
    {
      spec: {
        domain: "default",
        network: "pods-1",
        node,
        addresses: [address],
        mac: `0a:58:0a:${hex(space >> 8)}:${hex(space)}:${hex(index + 1)}`,
        attachment: { kind: "Pod", name, uid: podUid },
      },
    },
  ];
}

function podSpec(node: string): object {
  const container = {
    name: "main",
    image: "registry.example.com/team/service:1.42.0",
    ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
    env: Array.from({ length: 12 }, (_, index) => ({
      name: `SETTING_${index}`,
      value: `value ${index}`,
    })),
    resources: {
      requests: { cpu: "100m", memory: "128Mi" },
      limits: { cpu: "1", memory: "256Mi" },
    },
    livenessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 10 },
    readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 5 },
    volumeMounts: [{ name: "config", mountPath: "/etc/service" }],
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: "IfNotPresent",
  };
  return {
    nodeName: node,
    containers: [container, { ...container, name: "sidecar", ports: [{ containerPort: 15090 }] }],
    volumes: [{ name: "config", configMap: { name: "service" } }],
    restartPolicy: "Always",
    serviceAccountName: "default",
    schedulerName: "default-scheduler",
    tolerations: [
      { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
      { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
    ],
  };
}

function podStatus(address: string): object {
  const types = ["Initialized", "Ready", "ContainersReady", "PodScheduled"];
  const state = { running: { startedAt: time } };
  const status = (name: string): object => ({
    name,
    state,
    ready: true,
    restartCount: 0,
    image: "registry.example.com/team/service:1.42.0",
    imageID: `registry.example.com/team/service@sha256:${"0".repeat(64)}`,
    containerID: `containerd://${"0".repeat(64)}`,
  });
  return {
    phase: "Running",
    podIP: address,
    podIPs: [{ ip: address }],
    hostIP: "192.0.2.1",
    startTime: time,
    conditions: types.map((type) => ({ type, status: "True", lastTransitionTime: time })),
    containerStatuses: [status("main"), status("sidecar")],
  };
}

function* namespaceEntries(space: number, pods: number): Generator<Entry> {
  const namespace = `team-${space}`;
  yield [namespaceKind, { name: namespace }, { status: { phase: "Active" } }];
  const cidrs = [`10.${(space >> 8) & 255}.${space & 255}.0/24`];
  const counts = { capacity: 254, used: pods, free: 254 - pods };
  yield [
    networkKind,
    { namespace, name: "pods-1", labels: { "app.kubernetes.io/managed-by": "isobar" } },
    { spec: { domain: "default", cidrs }, status: { ...counts, allocated: `1-${pods}` } },
  ];
  const podSelector = {};
  yield [
    networkPolicyKind,
    { namespace, name: "default-deny" },
    { spec: { podSelector, policyTypes: ["Ingress"] } },
  ];
  for (let app = 0; app < appsPerNamespace; app++) {
    const from = [{ podSelector: { matchLabels: { app: `app-${(app + 1) % appsPerNamespace}` } } }];
    const spec = {
      podSelector: { matchLabels: { app: `app-${app}` } },
      policyTypes: ["Ingress"],
      ingress: [{ from, ports: [{ protocol: "TCP", port: 8080 }] }],
    };
    yield [networkPolicyKind, { namespace, name: `app-${app}` }, { spec }];
  }
}

function* entries(pods: number, nodes: number): Generator<Entry> {
  yield [domainKind, { name: "default" }, { spec: { vni: 1, pools: ["10.0.0.0/8"] } }];
  for (let node = 0; node < nodes; node++) {
    const addresses = [{ type: "InternalIP", address: `172.16.${node >> 8}.${node & 255}` }];
    yield [nodeKind, { name: `node-${node}` }, { spec: {}, status: { addresses } }];
  }
  for (let pod = 0; pod < pods; pod++) {
    if (pod % podsPerNamespace === 0) {
      const count = Math.min(podsPerNamespace, pods - pod);
      yield* namespaceEntries(pod / podsPerNamespace, count);
    }
    yield* podEntries(pod, nodes);
  }
}

/** Writes all of it; gives the number of objects. */
export async function writeClusterState(
  store: Store,
  { pods, nodes }: { readonly pods: number; readonly nodes: number },
): Promise<number> {
  let batch: { kind: "put"; key: string; value: string }[] = [];
  let count = 0;
  for (const [kind, given, parts] of entries(pods, nodes)) {
    count += 1;
    const metadata = {
      uid: uid(kind.plural, count),
      resourceVersion: "",
      creationTimestamp: time,
      generation: 1,
      ...given,
    };
    const object: KubeObject = { apiVersion: "", kind: kind.kind, metadata, ...parts };
    const key = keyOf(kind, given.namespace, given.name);
    batch.push({ kind: "put", key, value: encodeObject(kind, object) });
    if (batch.length < 1_000) continue;
    await store.transact({ success: batch });
    batch = [];
  }
  if (batch.length > 0) await store.transact({ success: batch });
  return count;
}
