// What the API server needs to know of a kind; the list of them is the API. One definition gives the CRD, the OpenAPI
// document, the validation, the TypeScript type, the printed table and the reference documentation.
import type { TSchema } from "typebox";

/** metadata of every object; the fields that Isobar reads. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: unknown[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Any object of the Kubernetes Resource Model. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: unknown;
  [field: string]: unknown;
}

/** One finding of validation, worded as the Kubernetes API words it (field.Error of apimachinery). */
export interface FieldError {
  /** e.g. `spec.ingress[0].from[1].ipBlock.cidr` */
  readonly field: string;
  /** The status cause's reason, e.g. FieldValueInvalid. */
  readonly reason:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueDuplicate"
    | "FieldValueNotSupported"
    | "FieldValueForbidden"
    | "FieldValueNotFound"
    | "FieldValueTypeInvalid"
    | "FieldValueTooLong"
    | "FieldValueTooMany";
  /** Without the field's path, e.g. `Invalid value: "10.0.0/8": must be a valid CIDR`. */
  readonly message: string;
}

/** A column of `kubectl get`. */
export interface PrinterColumn<T> {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean";
  readonly format?: "name";
  readonly description: string;
  /** 0 is always shown, 1 only with `-o wide`. */
  readonly priority: 0 | 1;
  readonly value: (object: T, now: Date) => string | number | boolean;
}

export interface KindDefinition<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Whole object, `metadata` included; carries the x-kubernetes-* keywords for lists, maps and patches. */
  readonly schema: TSchema;
  readonly hasStatus: boolean;
  /** Subresources besides `status`, e.g. `scale`, `binding`. */
  readonly subresources?: readonly string[];
  readonly columns: readonly PrinterColumn<T>[];
  /** Field selectors beyond metadata.name and metadata.namespace, with the value to compare. */
  readonly selectableFields: Readonly<Record<string, (object: T) => string>>;
  /** Fills in defaults, as the Kubernetes API does on create and update. Changes and returns its argument. */
  readonly applyDefaults?: (object: T) => T;
  /** Checks beyond the schema. `old` is given on update, for immutable fields. */
  readonly validate?: (object: T, old?: T) => FieldError[];
}
