// Pods of the cluster as its tests see them: through kubectl, and from the machine into their network namespaces.
import { readdirSync, readlinkSync } from "node:fs";
import type { Kubectl } from "./kubectl.ts";
import { workloadImage } from "./images.ts";

export interface PodView {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly node: string;
  /** IPv4 first. */
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly restarts: number;
}

type Labels = Readonly<Record<string, string>>;

const fields = [
  "{.metadata.name}",
  "{.metadata.namespace}",
  "{.metadata.uid}",
  "{.spec.nodeName}",
  "{.status.podIPs[*].ip}",
  "{.status.conditions[?(@.type=='Ready')].status}",
  "{.status.containerStatuses[*].restartCount}",
];

/** The pods that kubectl's arguments name. */
export async function podsOf(kubectl: Kubectl, ...args: readonly string[]): Promise<PodView[]> {
  const template = `{range .items[*]}${fields.join("{'\\t'}")}{'\\n'}{end}`;
  const lines = (await kubectl.get(template, "pods", ...args)).split("\n");
  return lines.filter((line) => line !== "").map(viewOf);
}

function viewOf(line: string): PodView {
  const [name = "", namespace = "", uid = "", node = "", addresses = "", ready, restarts = ""] =
    line.split("\t");
  return {
    name,
    namespace,
    uid,
    node,
    addresses: addresses.split(" "),
    ready: ready === "True",
    restarts: restarts.split(" ").reduce((sum, count) => sum + Number(count), 0),
  };
}

/** What becomes of connections that a pod opens, by target such as `tcp/10.0.0.1:80`: allowed, denied, refused or an error. */
export async function probe(
  kubectl: Kubectl,
  pod: PodView,
  targets: readonly string[],
): Promise<Map<string, string>> {
  const command = ["/program", "probe", "-timeout=3s", ...targets];
  const said = await kubectl.run(
    "exec",
    `--namespace=${pod.namespace}`,
    pod.name,
    "--",
    ...command,
  );
  const verdicts = new Map<string, string>();
  for (const line of said.trim().split("\n")) {
    const [one = "", verdict = ""] = line.split(" ");
    verdicts.set(one, verdict);
  }
  return verdicts;
}

/** `host:port`, with the brackets of IPv6. */
export function target(protocol: "tcp" | "udp", address: string, port: number): string {
  return `${protocol}/${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/** Id of a process in the pod's network namespace, as the machine sees it. */
export async function processOf(kubectl: Kubectl, pod: PodView): Promise<number> {
  const command = ["/program", "netns"];
  const namespace = `--namespace=${pod.namespace}`;
  const link = (await kubectl.run("exec", namespace, pod.name, "--", ...command)).trim();
  const found = readdirSync("/proc").find((name) => /^\d+$/.test(name) && netnsOf(name) === link);
  if (found === undefined) throw new Error(`no process of ${pod.name} is in ${link}`);
  return Number(found);
}

function netnsOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return "";
  }
}

/** A pod's specification: a server with all kinds of probes. Pods of equal labels are spread over the nodes. */
function serverPod(labels: Labels): object {
  return {
    metadata: { labels },
    spec: {
      terminationGracePeriodSeconds: 1,
      dnsPolicy: "Default",
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector: { matchLabels: labels },
          // In a rolling update, those that go do not count.
          matchLabelKeys: ["pod-template-hash"],
        },
      ],
      containers: [
        {
          name: "server",
          image: workloadImage,
          args: ["serve"],
          ports: [
            { name: "http", containerPort: 8080 },
            { name: "lines", containerPort: 7000 },
          ],
          startupProbe: { tcpSocket: { port: "lines" }, periodSeconds: 1, failureThreshold: 60 },
          readinessProbe: {
            httpGet: { path: "/healthz", port: "http" },
            periodSeconds: 1,
            timeoutSeconds: 5,
          },
          livenessProbe: {
            exec: { command: ["/program", "check", "/tmp/dead"] },
            periodSeconds: 2,
            timeoutSeconds: 10,
          },
        },
      ],
    },
  };
}

export function deployment(namespace: string, name: string, replicas: number): object {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels: labels }, template: serverPod(labels) },
  };
}

export function statefulSet(namespace: string, name: string, replicas: number): object {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name, namespace },
    spec: {
      replicas,
      serviceName: name,
      selector: { matchLabels: labels },
      template: serverPod(labels),
    },
  };
}

export function namespaceObject(name: string): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { name } } };
}
