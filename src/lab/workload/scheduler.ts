// Which node a pod goes to: one that it may run on, with the fewest pods.
import type { Node } from "../../kinds/node.ts";
import type { Pod } from "../../kinds/pod.ts";
import { isDone } from "./pod-state.ts";

function mayRunOn(pod: Pod, node: Node): boolean {
  if (node.spec?.unschedulable === true) return false;
  const labels = node.metadata.labels ?? {};
  return Object.entries(pod.spec?.nodeSelector ?? {}).every(
    ([key, value]) => labels[key] === value,
  );
}

/** The name of a node, `undefined` while there is none that the pod may run on. Ties go to the first by name. */
export function chooseNode(
  pod: Pod,
  nodes: Iterable<Node>,
  pods: Iterable<Pod>,
): string | undefined {
  const load = new Map<string, number>();
  for (const node of nodes) if (mayRunOn(pod, node)) load.set(node.metadata.name, 0);
  for (const other of pods) {
    const name = other.spec?.nodeName;
    const count = name === undefined ? undefined : load.get(name);
    if (name !== undefined && count !== undefined && !isDone(other)) load.set(name, count + 1);
  }
  const [best] = [...load].toSorted(([a, m], [b, n]) => m - n || (a < b ? -1 : 1));
  return best?.[0];
}
