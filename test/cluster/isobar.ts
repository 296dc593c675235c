// Isobar's installation in the cluster: CRDs, service accounts with what they may do, the controller's Deployment and the
// agents' DaemonSet, which run from the image of this checkout.
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Cluster } from "./cluster.ts";
import { isobarImage } from "./images.ts";

const isobarNamespace = "isobar-system";
const customResources = fileURLToPath(new URL("../../deploy/chart/crds", import.meta.url));
const controllerPort = 8443;

const defaultDomain = {
  apiVersion: "isobar.io/v1alpha1",
  kind: "Domain",
  metadata: { name: "default" },
  spec: { vni: 1, pools: ["10.128.0.0/14", "fd00:10:128::/48"] },
};

/** Applies everything; the nodes become ready when their agents have the plugin in place. */
export async function installIsobar({ kubectl }: Cluster): Promise<void> {
  const files = globSync(`${customResources}/*.yaml`).map((file) => `--filename=${file}`);
  await kubectl.run("apply", "--server-side", ...files);
  await kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s");
  await kubectl.apply(namespace, ...accounts(), ...permissions(), defaultDomain);
  await kubectl.apply(controller, agents);
}

const namespace = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: isobarNamespace },
};

function accounts(): object[] {
  return ["isobar-controller", "isobar-agent"].map((name) => ({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name, namespace: isobarNamespace },
  }));
}

const read = ["get", "list", "watch"];
const write = [...read, "create", "update", "patch", "delete"];
const rbac = "rbac.authorization.k8s.io";

function permissions(): object[] {
  const name = "isobar-controller";
  const subjects = [{ kind: "ServiceAccount", name, namespace: isobarNamespace }];
  const cluster = [
    { apiGroups: [""], resources: ["namespaces", "nodes", "pods", "services"], verbs: read },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
    { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: read },
    { apiGroups: ["policy.networking.k8s.io"], resources: ["*"], verbs: read },
    { apiGroups: ["isobar.io"], resources: ["*"], verbs: write },
    { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["get", "create", "patch"] },
    { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
  ];
  const own = [{ apiGroups: [""], resources: ["secrets", "configmaps"], verbs: write }];
  const metadata = { name, namespace: isobarNamespace };
  return [
    { apiVersion: `${rbac}/v1`, kind: "ClusterRole", metadata: { name }, rules: cluster },
    {
      apiVersion: `${rbac}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name },
      subjects,
    },
    { apiVersion: `${rbac}/v1`, kind: "Role", metadata, rules: own },
    {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: rbac, kind: "Role", name },
      subjects,
    },
  ];
}

function program(name: string): string[] {
  return ["node", "--disable-warning=ExperimentalWarning", `/opt/isobar/src/main/${name}.ts`];
}

function fieldEnv(name: string, fieldPath: string): object {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

const controller = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "isobar-controller", namespace: isobarNamespace },
  spec: {
    strategy: { type: "Recreate" },
    selector: { matchLabels: { app: "isobar-controller" } },
    template: {
      metadata: { labels: { app: "isobar-controller" } },
      spec: {
        serviceAccountName: "isobar-controller",
        hostNetwork: true,
        tolerations: [{ operator: "Exists" }],
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name: "controller",
            image: isobarImage,
            command: [
              ...program("controller"),
              "--kubeconfig=in-cluster",
              `--listen=0.0.0.0:${controllerPort}`,
              `--advertise=$(HOST_IP):${controllerPort}`,
              `--namespace=${isobarNamespace}`,
            ],
            env: [fieldEnv("HOST_IP", "status.hostIP")],
          },
        ],
      },
    },
  },
};

const networkConfig = {
  cniVersion: "1.0.0",
  name: "isobar",
  plugins: [{ type: "isobar" }, { type: "portmap", capabilities: { portMappings: true } }],
};

/** The plugin first, so that no runtime finds a configuration without it. */
const installPlugin = `cp /opt/isobar/build/isobar-cni /opt/cni/bin/.isobar
mv /opt/cni/bin/.isobar /opt/cni/bin/isobar
echo "$NETWORK" >/etc/cni/net.d/.isobar
mv /etc/cni/net.d/.isobar /etc/cni/net.d/10-isobar.conflist`;

const hostPaths = ["/run/openvswitch", "/run/isobar", "/var/lib/isobar", "/run/netns"];
const pluginPaths = ["/opt/cni/bin", "/etc/cni/net.d"];

function volumeName(path: string): string {
  return path.slice(1).replaceAll(/[^a-z]/g, "-");
}

function mountsOf(paths: readonly string[]): object[] {
  return paths.map((mountPath) => ({
    name: volumeName(mountPath),
    mountPath,
    mountPropagation: "HostToContainer",
  }));
}

const tokenVolume = {
  name: "token",
  projected: {
    sources: [{ serviceAccountToken: { path: "token", audience: "isobar-controller" } }],
  },
};

const controllersVolume = {
  name: "controllers",
  configMap: { name: "isobar-controllers", optional: true },
};

const agents = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "isobar-agent", namespace: isobarNamespace },
  spec: {
    selector: { matchLabels: { app: "isobar-agent" } },
    template: {
      metadata: { labels: { app: "isobar-agent" } },
      spec: {
        serviceAccountName: "isobar-agent",
        hostNetwork: true,
        priorityClassName: "system-node-critical",
        tolerations: [{ operator: "Exists" }],
        terminationGracePeriodSeconds: 10,
        initContainers: [
          {
            name: "plugin",
            image: isobarImage,
            command: ["sh", "-ec", installPlugin],
            env: [{ name: "NETWORK", value: JSON.stringify(networkConfig) }],
            volumeMounts: mountsOf(pluginPaths),
          },
        ],
        containers: [
          {
            name: "agent",
            image: isobarImage,
            command: [
              ...program("agent"),
              "--controllers-dir=/etc/isobar/controllers",
              "--token=/var/run/secrets/isobar/token",
            ],
            env: [fieldEnv("ISOBAR_NODE", "spec.nodeName")],
            securityContext: { privileged: true },
            volumeMounts: [
              ...mountsOf(hostPaths),
              { name: "token", mountPath: "/var/run/secrets/isobar" },
              { name: "controllers", mountPath: "/etc/isobar/controllers" },
            ],
          },
        ],
        volumes: [
          ...[...hostPaths, ...pluginPaths].map((path) => ({
            name: volumeName(path),
            hostPath: { path, type: "DirectoryOrCreate" },
          })),
          tokenVolume,
          controllersVolume,
        ],
      },
    },
  },
};
