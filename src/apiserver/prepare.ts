// What the server itself writes into an object, on top of what the client sent.
import { randomInt, randomUUID } from "node:crypto";
import { StatusError } from "../apimachinery/errors.ts";
import { equalJson } from "../apimachinery/json.ts";
import type { KindDefinition, KubeObject, ObjectMeta } from "../apimachinery/kind.ts";
import { applyDefaults, validateObject } from "../apimachinery/object.ts";
import { badRequest, conflict, invalidObject } from "../apimachinery/status.ts";
import { isNamespace, namespaceFinalizers, setNamespaceFinalizers } from "./namespace-rules.ts";

/** Without vowels and look-alikes, as upstream has it, so that no words come about. */
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";
const suffixLength = 5;
const longestGeneratedName = 63;

/** RFC 3339 in whole seconds, as metav1.Time prints. */
export function formatTime(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}

function generateName(prefix: string): string {
  const suffix = Array.from(
    { length: suffixLength },
    () => suffixAlphabet[randomInt(suffixAlphabet.length)],
  );
  return prefix.slice(0, longestGeneratedName - suffixLength) + suffix.join("");
}

/** Kinds with a spec count its changes. */
function hasGeneration(kind: KindDefinition): boolean {
  return kind.schema.properties !== undefined && Object.hasOwn(kind.schema.properties, "spec");
}

/**
 * Makes a new object of what a client sent, which is not changed: with identity, defaults and first status, and a random
 * name when it asks for one. It is still to be checked.
 * @throws {StatusError} 400
 */
export function prepareCreate(
  kind: KindDefinition,
  sent: KubeObject,
  namespace: string | undefined,
  now: Date,
): KubeObject {
  const { metadata } = sent;
  if ((metadata.resourceVersion ?? "") !== "") {
    throw new StatusError(badRequest("resourceVersion should not be set on objects to be created"));
  }
  checkNamespace(metadata, namespace);
  const {
    deletionTimestamp: _timestamp,
    deletionGracePeriodSeconds: _seconds,
    resourceVersion: _revision,
    ...kept
  } = metadata;
  const meta: ObjectMeta = {
    ...kept,
    uid: randomUUID(),
    creationTimestamp: formatTime(now),
    resourceVersion: "",
  };
  if (namespace !== undefined) meta.namespace = namespace;
  if (!meta.name && meta.generateName) meta.name = generateName(meta.generateName);
  if (hasGeneration(kind)) meta.generation = 1;
  else delete meta.generation;
  const object: KubeObject = structuredClone({ ...sent, metadata: meta });
  if (isNamespace(kind)) setNamespaceFinalizers(object, ["kubernetes"]);
  if (kind.hasStatus) {
    const status = kind.initialStatus?.(object);
    delete object.status;
    if (status !== undefined) object.status = status;
  }
  return applyDefaults(kind, object);
}

/**
 * Makes the next state of an object from what a client sent. An update of the object leaves its status as it is; one of its
 * status leaves all else. It is still to be checked.
 * @throws {StatusError} 400 or 409
 */
export function prepareUpdate(
  kind: KindDefinition,
  current: KubeObject,
  sent: KubeObject,
  subresource: string | undefined,
): KubeObject {
  checkUpdateMetadata(kind, current, sent.metadata);
  const object =
    subresource === "status" ? withStatusOf(current, sent) : withStateOf(kind, current, sent);
  if (isNamespace(kind) && subresource !== "finalize") {
    // Without its finalizer a namespace would go and leave its content behind.
    setNamespaceFinalizers(object, namespaceFinalizers(current));
  }
  return applyDefaults(kind, object);
}

/** Changes `next`, which is about to be stored. */
export function countGeneration(kind: KindDefinition, next: KubeObject, current: KubeObject): void {
  if (!hasGeneration(kind) || equalJson(next.spec, current.spec)) return;
  next.metadata.generation = (current.metadata.generation ?? 0) + 1;
}

function withStatusOf(current: KubeObject, sent: KubeObject): KubeObject {
  const { managedFields } = sent.metadata;
  const metadata = { ...current.metadata, ...(managedFields && { managedFields }) };
  const { status: _old, ...rest } = current;
  return { ...rest, metadata, ...(sent.status !== undefined && { status: sent.status }) };
}

function withStateOf(kind: KindDefinition, current: KubeObject, sent: KubeObject): KubeObject {
  const old = current.metadata;
  const metadata: ObjectMeta = {
    ...sent.metadata,
    name: old.name,
    uid: old.uid,
    resourceVersion: old.resourceVersion,
    creationTimestamp: old.creationTimestamp,
  };
  for (const field of [
    "namespace",
    "generateName",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
  ] as const) {
    if (old[field] === undefined) delete metadata[field];
    else Object.assign(metadata, { [field]: old[field] });
  }
  const object: KubeObject = { ...sent, metadata };
  if (kind.hasStatus) {
    delete object.status;
    if (current.status !== undefined) object.status = current.status;
  }
  return object;
}

function checkNamespace(metadata: ObjectMeta, namespace: string | undefined): void {
  if (namespace === undefined || !metadata.namespace || metadata.namespace === namespace) return;
  const message =
    "the namespace of the provided object does not match the namespace sent on the request";
  throw new StatusError(badRequest(message));
}

function checkUpdateMetadata(kind: KindDefinition, current: KubeObject, sent: ObjectMeta): void {
  const { name, namespace, uid, resourceVersion } = current.metadata;
  if (sent.name !== name) {
    const message = `the name of the object (${sent.name ?? ""}) does not match the name on the URL (${name})`;
    throw new StatusError(badRequest(message));
  }
  checkNamespace(sent, namespace);
  if (sent.uid && sent.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${uid}`;
    throw new StatusError(conflict(kind, name, why));
  }
  if (sent.resourceVersion && sent.resourceVersion !== resourceVersion) {
    throw new StatusError(conflict(kind, name));
  }
}

/** @throws {StatusError} 422 */
export function assertValid(kind: KindDefinition, object: KubeObject, old?: KubeObject): void {
  const errors = validateObject(kind, object, old);
  if (errors.length === 0) return;
  throw new StatusError(invalidObject(kind, object.metadata.name ?? "", errors));
}
