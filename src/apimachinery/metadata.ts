// Validation of metadata, in upstream's words (k8s.io/apimachinery/pkg/api/validation).
import { forbidden, invalid, invalidEach, required, tooLong } from "./field-error.ts";
import { equalJson } from "./json.ts";
import type { FieldError, KindDefinition, ObjectMeta, OwnerReference } from "./kind.ts";
import {
  checkDnsLabel,
  checkLabelValue,
  checkName,
  checkNamePrefix,
  checkQualifiedName,
  lengthBytes,
} from "./names.ts";

const maximumAnnotationsBytes = 256 * 1024;

export function validateLabels(
  labels: Readonly<Record<string, string>>,
  path: string,
): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...invalidEach(path, key, checkQualifiedName(key)),
    ...invalidEach(path, value, checkLabelValue(value)),
  ]);
}

function validateAnnotations(
  annotations: Readonly<Record<string, string>>,
  path: string,
): FieldError[] {
  let sizeBytes = 0;
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(annotations)) {
    errors.push(...invalidEach(path, key, checkQualifiedName(key.toLowerCase())));
    sizeBytes += lengthBytes(key) + lengthBytes(value);
  }
  if (sizeBytes > maximumAnnotationsBytes) errors.push(tooLong(path, maximumAnnotationsBytes));
  return errors;
}

function validateOwnerReference(reference: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const apiVersion = reference.apiVersion ?? "";
  if (apiVersion === "") errors.push(required(`${path}.apiVersion`, "must not be empty"));
  else if (!/^([^/]+\/)?[^/]+$/.test(apiVersion)) {
    errors.push(
      invalid(`${path}.apiVersion`, apiVersion, "must be <group>/<version> or <version>"),
    );
  }
  for (const name of ["kind", "name", "uid"] as const) {
    if (!reference[name]) errors.push(required(`${path}.${name}`, "must not be empty"));
  }
  if (apiVersion === "v1" && reference.kind === "Event") {
    errors.push(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"));
  }
  return errors;
}

function validateOwnerReferences(
  references: readonly OwnerReference[],
  path: string,
): FieldError[] {
  const errors = references.flatMap((reference, index) =>
    validateOwnerReference(reference, `${path}[${index}]`),
  );
  const [first, ...others] = references.filter((reference) => reference.controller === true);
  for (const other of others) {
    const found = `${first?.kind}/${first?.name} and ${other.kind}/${other.name}`;
    const rule = "Only one reference can have Controller set to true.";
    errors.push(invalid(path, references, `${rule} Found "true" in references for ${found}`));
  }
  return errors;
}

function validateFinalizers(finalizers: readonly string[], path: string): FieldError[] {
  const errors = finalizers.flatMap((finalizer) =>
    invalidEach(path, finalizer, checkQualifiedName(finalizer)),
  );
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    const detail = "finalizer orphan and foregroundDeletion cannot be both set";
    errors.push(invalid(path, finalizers, detail));
  }
  return errors;
}

function validateNamespace(namespaced: boolean, meta: ObjectMeta): FieldError[] {
  const namespace = meta.namespace ?? "";
  if (!namespaced) {
    return namespace === "" ? [] : [forbidden("metadata.namespace", "not allowed on this type")];
  }
  if (namespace === "") return [required("metadata.namespace")];
  return invalidEach("metadata.namespace", namespace, checkDnsLabel(namespace));
}

type NamedKind = Pick<KindDefinition, "namespaced" | "nameRule">;

/** Checks the metadata of a new object, after its name was generated. */
export function validateMetadata(kind: NamedKind, meta: ObjectMeta): FieldError[] {
  const { nameRule = "subdomain", namespaced } = kind;
  const { name, generateName = "" } = meta;
  const errors: FieldError[] = [];
  if (generateName !== "") {
    const messages = checkNamePrefix(nameRule, generateName);
    errors.push(...invalidEach("metadata.generateName", generateName, messages));
  }
  if (!name) errors.push(required("metadata.name", "name or generateName is required"));
  else errors.push(...invalidEach("metadata.name", name, checkName(nameRule, name)));
  errors.push(...validateNamespace(namespaced, meta));
  errors.push(...validateLabels(meta.labels ?? {}, "metadata.labels"));
  errors.push(...validateAnnotations(meta.annotations ?? {}, "metadata.annotations"));
  errors.push(...validateOwnerReferences(meta.ownerReferences ?? [], "metadata.ownerReferences"));
  errors.push(...validateFinalizers(meta.finalizers ?? [], "metadata.finalizers"));
  return errors;
}

const immutableFields = [
  "name",
  "namespace",
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
] as const;

/**
 * Checks the metadata of an update. What a client may leave out (uid, timestamps, generation) has been filled in from the
 * old object by then.
 */
export function validateMetadataUpdate(meta: ObjectMeta, old: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  const { finalizers = [] } = meta;
  if (old.deletionTimestamp !== undefined) {
    const added = finalizers.filter((finalizer) => !(old.finalizers ?? []).includes(finalizer));
    if (added.length > 0) {
      const shown = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(", ")}}`;
      const rule = "no new finalizers can be added if the object is being deleted";
      errors.push(forbidden("metadata.finalizers", `${rule}, found new finalizers ${shown}`));
    }
  }
  for (const name of immutableFields) {
    if (!equalJson(meta[name], old[name])) {
      errors.push(invalid(`metadata.${name}`, meta[name], "field is immutable"));
    }
  }
  errors.push(...validateLabels(meta.labels ?? {}, "metadata.labels"));
  errors.push(...validateAnnotations(meta.annotations ?? {}, "metadata.annotations"));
  errors.push(...validateOwnerReferences(meta.ownerReferences ?? [], "metadata.ownerReferences"));
  errors.push(...validateFinalizers(finalizers, "metadata.finalizers"));
  return errors;
}
