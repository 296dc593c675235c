// What the API server needs to know of a kind; the list of them is the API. One definition gives the CRD, the OpenAPI
// document, the validation, the TypeScript type, the printed table and the reference documentation.
import type { NameRule } from "./names.ts";
import type { Schema } from "./schema.ts";

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
    | "FieldValueTooMany"
    | "FieldValueTooFew"
    | "FieldValueTooShort";
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
  /** Where a server that knows the kind by its schema alone finds the value, e.g. `.spec.vni`. */
  readonly jsonPath?: string;
  value(object: T, now: Date): string | number | boolean;
}

/** Reads the text that a field selector compares with; empty for an absent field. */
type FieldReader<T> = { read(object: T): string }["read"];

/**
 * A kind. What takes an object is declared as a method, so that a definition of a particular kind is a definition of any
 * object: the API server holds them all in one list and gives each only objects that its own schema has read.
 */
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
  readonly schema: Schema;
  /** What metadata.name must look like; `subdomain` when absent. */
  readonly nameRule?: NameRule;
  readonly hasStatus: boolean;
  /**
   * The status of a new object; without it a new object has none, whatever its creator sent. Given the object as it was sent,
   * its status included, before defaults.
   */
  initialStatus?(object: T): unknown;
  /** Subresources besides `status`, e.g. `scale`, `binding`. */
  readonly subresources?: readonly string[];
  readonly columns: readonly PrinterColumn<T>[];
  /** Field selectors beyond metadata.name and metadata.namespace, with the value to compare. */
  readonly selectableFields: Readonly<Record<string, FieldReader<T>>>;
  /** Fills in defaults, as the Kubernetes API does on create and update. Changes and returns its argument. */
  applyDefaults?(object: T): T;
  /** Checks beyond the schema. `old` is given on update, for immutable fields. */
  validate?(object: T, old?: T): FieldError[];
}
