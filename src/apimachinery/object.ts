// The way of an object from a request's body to what is stored: decode, default, validate.
import { StatusError } from "./errors.ts";
import { quote } from "./field-error.ts";
import { isDeeperThan, isObject, maximumDepth, type JsonObject } from "./json.ts";
import type { FieldError, KindDefinition, KubeObject, ObjectMeta } from "./kind.ts";
import { validateMetadata, validateMetadataUpdate } from "./metadata.ts";
import { badRequest, invalidObject } from "./status.ts";
import { applySchemaDefaults, checkConstraints, readStructure } from "./structural.ts";

/** The `fieldValidation` parameter of a request: what happens to fields that the kind does not have. */
export type FieldValidation = "Ignore" | "Warn" | "Strict";

export interface Decoded {
  /** Without defaults; `metadata` is there, its name perhaps not. */
  readonly object: KubeObject;
  /** For the response's Warning header. */
  readonly warnings: readonly string[];
}

export function apiVersionOf(kind: Pick<KindDefinition, "group" | "version">): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

function cannotHandle(kind: KindDefinition, why: string): StatusError {
  const what = `${kind.kind} in version ${quote(kind.version)} cannot be handled as a ${kind.kind}`;
  return new StatusError(badRequest(`${what}: ${why}`));
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function checkTypeMeta(kind: KindDefinition, body: JsonObject): void {
  const apiVersion = body["apiVersion"] ?? apiVersionOf(kind);
  const name = body["kind"] ?? kind.kind;
  if (apiVersion !== apiVersionOf(kind)) {
    const found = `the API version in the data (${show(apiVersion)})`;
    const message = `${found} does not match the expected API version (${apiVersionOf(kind)})`;
    throw new StatusError(badRequest(message));
  }
  if (name !== kind.kind) {
    const found = `the kind in the data (${show(name)})`;
    const message = `${found} does not match the expected kind (${kind.kind})`;
    throw new StatusError(badRequest(message));
  }
}

/** Clients write these empty as often as not at all; stored, both are the same. */
const omittedWhenEmpty = ["labels", "annotations", "finalizers", "ownerReferences"] as const;

/** The schema has checked the types of metadata's fields; what the server fills in is still missing. */
function isMetadata(value: unknown): value is ObjectMeta {
  return isObject(value);
}

/**
 * Reads a parsed body as an object of the kind; never throws anything but {StatusError}: 400 when it is no such object or,
 * with `Strict`, has unknown fields, 422 when a field has the wrong type.
 */
export function decodeObject(
  kind: KindDefinition,
  body: unknown,
  fieldValidation: FieldValidation = "Warn",
): Decoded {
  if (!isObject(body)) throw cannotHandle(kind, "the body is no JSON object");
  if (isDeeperThan(body, maximumDepth)) {
    throw cannotHandle(kind, `nested more than ${maximumDepth} deep`);
  }
  checkTypeMeta(kind, body);
  const { value, typeErrors, unknownFields } = readStructure(kind.schema, body);
  const { metadata = {}, ...fields } = isObject(value) ? value : {};
  if (!isMetadata(metadata)) throw cannotHandle(kind, "metadata is no JSON object");
  for (const name of omittedWhenEmpty) {
    const part = metadata[name];
    if (part !== undefined && Object.keys(part).length === 0) delete metadata[name];
  }
  const typeMeta = { apiVersion: apiVersionOf(kind), kind: kind.kind };
  const object: KubeObject = { ...typeMeta, metadata, ...fields, ...typeMeta };
  if (typeErrors.length > 0) {
    throw new StatusError(invalidObject(kind, metadata.name ?? "", typeErrors));
  }
  const warnings = unknownFields.map((field) => `unknown field ${quote(field)}`);
  if (fieldValidation === "Strict" && warnings.length > 0) {
    throw cannotHandle(kind, `strict decoding error: ${warnings.join(", ")}`);
  }
  return { object, warnings: fieldValidation === "Warn" ? warnings : [] };
}

/** Fills in the schema's defaults, then the kind's own. Changes and returns its argument. */
export function applyDefaults(kind: KindDefinition, object: KubeObject): KubeObject {
  applySchemaDefaults(kind.schema, object);
  return kind.applyDefaults?.(object) ?? object;
}

/**
 * What is wrong with an object that another server has stored, by the rules for new ones. Unknown fields pass: a later
 * version may have written them.
 */
export function checkObject(kind: KindDefinition, object: KubeObject): FieldError[] {
  const { typeErrors } = readStructure(kind.schema, object);
  if (typeErrors.length > 0) return typeErrors;
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...fields } = object;
  const structural = checkConstraints(kind.schema, { ...fields, metadata: {} });
  return structural.length > 0 ? structural : (kind.validate?.(object) ?? []);
}

/** What is wrong with an object that has its defaults: nothing, or findings for a 422. `old` is given on update. */
export function validateObject(
  kind: KindDefinition,
  object: KubeObject,
  old?: KubeObject,
): FieldError[] {
  const errors =
    old === undefined
      ? validateMetadata(kind, object.metadata)
      : validateMetadataUpdate(object.metadata, old.metadata);
  const structural = checkConstraints(kind.schema, object);
  // The kind's own checks rely on what the schema promises.
  return [
    ...errors,
    ...(structural.length > 0 ? structural : (kind.validate?.(object, old) ?? [])),
  ];
}
