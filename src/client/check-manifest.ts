import { StatusError } from "../apimachinery/errors.ts";
import type { KindDefinition } from "../apimachinery/kind.ts";
import {
  apiVersionOf,
  applyDefaults,
  decodeObject,
  validateObject,
} from "../apimachinery/object.ts";
import { invalidObject } from "../apimachinery/status.ts";
import { ManifestError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";

/**
 * Refuses, in the API's words, what an API server would not create: unknown kinds and fields, wrong types, invalid values.
 * A field that is passed over could make a policy wider than it was meant to be.
 * @throws {ManifestError}
 */
export function checkManifest(kinds: readonly KindDefinition[], manifest: Manifest): void {
  const kind = kindOf(kinds, manifest);
  const namespace = kind.namespaced ? { namespace: "default" } : {};
  const body = structuredClone({
    ...manifest,
    metadata: { ...namespace, ...manifest.metadata },
  });
  try {
    const object = applyDefaults(kind, decodeObject(kind, body, "Strict").object);
    const errors = validateObject(kind, object);
    if (errors.length === 0) return;
    throw new StatusError(invalidObject(kind, object.metadata.name, errors));
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    throw new ManifestError(error.message, { cause: error });
  }
}

/** @throws {ManifestError} when there is no such kind */
export function kindOf(kinds: readonly KindDefinition[], manifest: Manifest): KindDefinition {
  const { apiVersion, kind } = manifest;
  const found = kinds.find((one) => apiVersionOf(one) === apiVersion && one.kind === kind);
  if (found !== undefined) return found;
  throw new ManifestError(`no matches for kind "${kind}" in version "${apiVersion}"`);
}
