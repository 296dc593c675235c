// core/v1 Namespace.
import type { V1Namespace } from "@kubernetes/client-node/dist/gen/models/V1Namespace.js";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type Namespace = ObjectOf<V1Namespace>;

/** The label by which policies select a namespace by its name; the API sets it and keeps it so. */
const namespaceNameLabel = "kubernetes.io/metadata.name";

function applyDefaults(namespace: Namespace): Namespace {
  const { metadata } = namespace;
  // A name that is still to be generated gives no label yet.
  if (metadata.name) {
    metadata.labels = { ...metadata.labels, [namespaceNameLabel]: metadata.name };
  }
  return namespace;
}

export const namespaceKind: KindDefinition<Namespace> = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  categories: [],
  namespaced: false,
  schema: kubernetesSchema("core.Namespace"),
  nameRule: "label",
  hasStatus: true,
  initialStatus: () => ({ phase: "Active" }),
  columns: [
    nameColumn,
    column(
      "Status",
      "Whether the namespace is active or being deleted.",
      (namespace) => namespace.status?.phase ?? "",
    ),
    ageColumn,
  ],
  selectableFields: {
    "status.phase": (namespace) => namespace.status?.phase ?? "",
  },
  applyDefaults,
};
