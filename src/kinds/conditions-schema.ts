// Conditions in a status, and what it takes to give a schema of Kubernetes' a type.
import { Type } from "typebox";
import type { Schema } from "../apimachinery/schema.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";

/** A schema of which only the type is TypeBox's business. */
export function typed<T>(own: Schema): Schema & Type.TUnsafe<T> {
  return { ...own, ...Type.Unsafe<T>(own) };
}

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}

export const conditionsSchema = typed<Condition[]>({
  type: "array",
  items: kubernetesSchema("meta.Condition"),
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["type"],
  "x-kubernetes-patch-strategy": "merge",
  "x-kubernetes-patch-merge-key": "type",
  description: "What has become of it, by type.",
});
