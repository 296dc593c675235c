// The columns of `kubectl get pods`. The status column is the hardest thing that kubectl prints; its rules are those of
// k8s.io/kubernetes/pkg/printers/internalversion, printPod.
import { formatAge } from "../apimachinery/duration.ts";
import type { PrinterColumn } from "../apimachinery/kind.ts";
import { ageColumn, column, nameColumn, orNone, wideColumn } from "./column.ts";
import type { Pod } from "./pod-type.ts";

type ContainerStatus = NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number];
type Terminated = NonNullable<NonNullable<ContainerStatus["state"]>["terminated"]>;

function describeEnd({ reason, signal, exitCode }: Terminated): string {
  if (reason !== undefined && reason !== "") return reason;
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

function isRestartable(pod: Pod, name: string): boolean {
  const container = pod.spec?.initContainers?.find((init) => init.name === name);
  return container?.restartPolicy === "Always";
}

/** What the first unfinished init container does; `undefined` when none holds the pod up. */
function describeInit(pod: Pod): string | undefined {
  const total = pod.spec?.initContainers?.length ?? 0;
  for (const [index, { name, state, started }] of (
    pod.status?.initContainerStatuses ?? []
  ).entries()) {
    if (state?.terminated?.exitCode === 0) continue;
    if (isRestartable(pod, name) && started === true) continue;
    if (state?.terminated) return `Init:${describeEnd(state.terminated)}`;
    const reason = state?.waiting?.reason ?? "";
    if (reason !== "" && reason !== "PodInitializing") return `Init:${reason}`;
    return `Init:${index}/${total}`;
  }
  return undefined;
}

function isRunning({ ready, state }: ContainerStatus): boolean {
  return ready && state?.running !== undefined;
}

/** The first container that waits or ended speaks for the pod. */
function describeContainers(pod: Pod, otherwise: string): string {
  const statuses = pod.status?.containerStatuses ?? [];
  let reason = otherwise;
  for (const { state } of statuses.toReversed()) {
    if (state?.waiting?.reason) reason = state.waiting.reason;
    else if (state?.terminated) reason = describeEnd(state.terminated);
  }
  if (reason !== "Completed" || !statuses.some(isRunning)) return reason;
  const ready = pod.status?.conditions?.some(
    ({ type, status }) => type === "Ready" && status === "True",
  );
  return ready === true ? "Running" : "NotReady";
}

function formatStatus(pod: Pod): string {
  const { phase = "", reason = "", conditions = [] } = pod.status ?? {};
  const gated = conditions.some((condition) => condition.reason === "SchedulingGated");
  const base = gated ? "SchedulingGated" : reason || phase;
  const ended = phase === "Succeeded" || phase === "Failed";
  if (pod.metadata.deletionTimestamp !== undefined && !ended) {
    return reason === "NodeLost" ? "Unknown" : "Terminating";
  }
  return describeInit(pod) ?? describeContainers(pod, base);
}

function formatReady({ spec, status }: Pod): string {
  const sidecars = (spec?.initContainers ?? []).filter(
    ({ restartPolicy }) => restartPolicy === "Always",
  );
  const names = new Set(sidecars.map(({ name }) => name));
  const total = (spec?.containers.length ?? 0) + sidecars.length;
  const readySidecars = (status?.initContainerStatuses ?? []).filter(
    ({ name, ready }) => ready && names.has(name),
  );
  const ready = (status?.containerStatuses ?? []).filter(isRunning).length + readySidecars.length;
  return `${ready}/${total}`;
}

/** `2 (5m ago)`: how often, and when last. */
function formatRestarts({ status }: Pod, now: Date): string {
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const total = statuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
  const times = statuses.map(({ lastState }) => lastState?.terminated?.finishedAt ?? "");
  const last = times.toSorted().at(-1) ?? "";
  return total === 0 || last === "" ? String(total) : `${total} (${formatAge(last, now)} ago)`;
}

function formatReadinessGates({ spec, status }: Pod): string {
  const gates = spec?.readinessGates ?? [];
  const met = gates.filter(({ conditionType }) =>
    status?.conditions?.some(
      ({ type, status: value }) => type === conditionType && value === "True",
    ),
  );
  return gates.length === 0 ? "<none>" : `${met.length}/${gates.length}`;
}

export const podColumns: readonly PrinterColumn<Pod>[] = [
  nameColumn,
  column("Ready", "How many of the pod's containers are ready.", formatReady),
  column("Status", "What the pod does or waits for.", formatStatus),
  column("Restarts", "How often its containers were restarted.", formatRestarts),
  ageColumn,
  wideColumn("IP", "The pod's address.", ({ status }) =>
    orNone(status?.podIPs?.[0]?.ip ?? status?.podIP),
  ),
  wideColumn("Node", "The node that runs the pod.", ({ spec }) => orNone(spec?.nodeName)),
  wideColumn("Nominated Node", "The node that is being cleared for the pod.", ({ status }) =>
    orNone(status?.nominatedNodeName),
  ),
  wideColumn(
    "Readiness Gates",
    "How many of the pod's own conditions are met.",
    formatReadinessGates,
  ),
];
