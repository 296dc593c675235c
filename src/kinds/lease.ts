// coordination.k8s.io/v1 Lease.
import type { V1Lease } from "@kubernetes/client-node/dist/gen/models/V1Lease.js";
import { invalid } from "../apimachinery/field-error.ts";
import type { FieldError, KindDefinition } from "../apimachinery/kind.ts";
import { ageColumn, column, nameColumn } from "./column.ts";
import { kubernetesSchema } from "./kubernetes-schema.ts";
import type { ObjectOf } from "./object-type.ts";

export type Lease = ObjectOf<V1Lease>;

function validate({ spec = {} }: Lease): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions, holderIdentity } = spec;
  const errors: FieldError[] = [];
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    const field = "spec.leaseDurationSeconds";
    errors.push(invalid(field, leaseDurationSeconds, "must be greater than 0"));
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    const field = "spec.leaseTransitions";
    errors.push(invalid(field, leaseTransitions, "must be greater than or equal to 0"));
  }
  if (holderIdentity === "") {
    errors.push(invalid("spec.holderIdentity", holderIdentity, "must not be empty"));
  }
  return errors;
}

export const leaseKind: KindDefinition<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: kubernetesSchema("coordination.Lease"),
  hasStatus: false,
  columns: [
    nameColumn,
    column("Holder", "Who holds the lease.", ({ spec }) => spec?.holderIdentity ?? ""),
    ageColumn,
  ],
  selectableFields: {},
  validate,
};
