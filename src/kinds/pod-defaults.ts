// Defaults of a PodSpec, in a Pod as in the template of a Deployment (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go).
import type { Container, PodSpec, Probe, Volume } from "./pod-type.ts";

type HttpGet = NonNullable<Probe["httpGet"]>;

/** 0644, the mode of files in volumes. */
const defaultFileMode = 0o644;

/** `:latest` may mean something new at each start; every other tag is taken to stay. */
function defaultPullPolicy(image = ""): string {
  const [name = "", digest] = image.split("@");
  const tag = /:(?<tag>[^:/]+)$/.exec(name)?.groups?.["tag"];
  return digest === undefined && (tag === undefined || tag === "latest")
    ? "Always"
    : "IfNotPresent";
}

function applyHttpGetDefaults(httpGet: HttpGet): void {
  httpGet.path ||= "/";
  httpGet.scheme ||= "HTTP";
}

function applyProbeDefaults(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet) applyHttpGetDefaults(probe.httpGet);
}

function applyContainerDefaults(container: Container): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image);
  container.terminationMessagePath ||= "/dev/termination-log";
  container.terminationMessagePolicy ||= "File";
  container.resources ??= {};
  for (const port of container.ports ?? []) port.protocol ??= "TCP";
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef) valueFrom.fieldRef.apiVersion ||= "v1";
  }
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    const probe = container[name];
    if (probe) applyProbeDefaults(probe);
  }
  for (const name of ["postStart", "preStop"] as const) {
    const httpGet = container.lifecycle?.[name]?.httpGet;
    if (httpGet) applyHttpGetDefaults(httpGet);
  }
}

function applyVolumeDefaults(volume: Volume): void {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (Object.keys(volume).length === 1) volume.emptyDir = {};
  for (const source of [configMap, secret, downwardAPI, projected]) {
    if (source) source.defaultMode ??= defaultFileMode;
  }
  for (const { serviceAccountToken } of projected?.sources ?? []) {
    if (serviceAccountToken) serviceAccountToken.expirationSeconds ??= 3600;
  }
}

/** Changes its argument. */
export function applyPodSpecDefaults(spec: PodSpec): void {
  spec.restartPolicy ||= "Always";
  spec.dnsPolicy ||= "ClusterFirst";
  spec.schedulerName ||= "default-scheduler";
  spec.terminationGracePeriodSeconds ??= 30;
  spec.securityContext ??= {};
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  for (const container of containers) applyContainerDefaults(container);
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume);
  if (spec.hostNetwork !== true) return;
  // In the host's network a container's port is the host's.
  for (const port of containers.flatMap(({ ports = [] }) => ports))
    port.hostPort ??= port.containerPort;
}
