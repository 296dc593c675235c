// core/v1 ServiceAccount. Isobar keeps them because ordinary manifests have them; nothing in it acts on them.
import type { V1ServiceAccount } from "@kubernetes/client-node/dist/gen/models/V1ServiceAccount.js";
import type { KindDefinition } from "../apimachinery/kind.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type ServiceAccount = ObjectOf<V1ServiceAccount>;

export const serviceAccountKind: KindDefinition<ServiceAccount> = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("core.ServiceAccount"),
  hasStatus: false,
  columns: [
    nameColumn,
    column("Secrets", "Number of secrets that it names.", ({ secrets = [] }) =>
      String(secrets.length),
    ),
    ageColumn,
  ],
  selectableFields: {},
};
