import type { Zone } from "../model/endpoint.ts";
import { fieldAt, labelsOf, stringOf } from "./json.ts";

/** The label that the Kubernetes API gives every namespace: its name. */
const nameLabel = "kubernetes.io/metadata.name";

/**
 * core/v1 Namespace. `undefined` for one that could not be understood: its endpoints are then in a zone that does not
 * exist, and closed.
 */
export function translateNamespace(object: unknown): Zone | undefined {
  const name = stringOf(fieldAt(object, "metadata", "name"));
  const labels = labelsOf(fieldAt(object, "metadata", "labels"));
  if (name === undefined || labels === undefined) return undefined;
  return { name, labels: { ...labels, [nameLabel]: name } };
}
