// Which pods a name on the command line means.
import { fieldAt, fieldOf, listOf, stringOf } from "../kubernetes/json.ts";

function isOwnedBy(pod: unknown, kind: string, name: string): boolean {
  return (listOf(fieldAt(pod, "metadata", "ownerReferences")) ?? []).some(
    (owner) => fieldOf(owner, "kind") === kind && fieldOf(owner, "name") === name,
  );
}

function nameOf(pod: unknown): string {
  return stringOf(fieldAt(pod, "metadata", "name")) ?? "";
}

/**
 * `NAMESPACE/POD`, `NAMESPACE/DEPLOYMENT` for its pods, or `NAMESPACE` for all of its pods, among objects of any kind.
 * @returns pods as `namespace/name`, sorted; empty when nothing has that name
 */
export function resolvePods(objects: readonly unknown[], text: string): string[] {
  const [namespace = "", wanted] = text.split("/");
  const inNamespace = objects.filter(
    (object) =>
      fieldOf(object, "kind") === "Pod" && fieldAt(object, "metadata", "namespace") === namespace,
  );
  const exact = inNamespace.filter((pod) => wanted === undefined || nameOf(pod) === wanted);
  const chosen =
    exact.length > 0 || wanted === undefined
      ? exact
      : inNamespace.filter((pod) => isOwnedBy(pod, "Deployment", wanted));
  return chosen.map((pod) => `${namespace}/${nameOf(pod)}`).toSorted();
}
